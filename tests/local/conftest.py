import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure import daemon, local
from perdure.local.models import chat_model
from perdure.settings import Settings


@pytest.fixture(scope="session")
def home() -> Path:
    """The home whose models the tests use, so that they are fetched once."""
    given = os.environ.get("PERDURE_TEST_HOME")  # noqa: TID251  # a setting of the tests, not of Perdure
    return Path(given) if given else Settings().home


@pytest.fixture(scope="session")
def base_url(home: Path) -> Iterator[str]:
    """The local models, up and running."""
    settings = Settings(home=home)
    was_up = daemon.running(home.absolute() / "models", chat_model(settings.local_model).name)
    yield asyncio.run(local.ensure(settings))
    if not was_up:
        local.stop(settings)


@pytest.fixture
def own_home(tmp_path: Path, home: Path, base_url: str) -> Path:
    """Another home with the same models, for tests that start and stop processes."""
    del base_url  # fetched them
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    for name in ("smollm2", "all-minilm-l6-v2"):
        (models / name).symlink_to(home.absolute() / "models" / name)
    return models.parent
