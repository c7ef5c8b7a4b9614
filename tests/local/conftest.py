import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure import local
from perdure.local.fetch import fetch
from perdure.local.models import MINILM, SMOLLM2
from perdure.settings import Settings


@pytest.fixture(scope="session")
def models() -> Path:
    """A folder with the models, fetched once for all sessions: that of PERDURE_TEST_HOME, or the user's."""
    given = os.environ.get("PERDURE_TEST_HOME")  # noqa: TID251  # a setting of the tests, not of Perdure
    home = Path(given) if given else Settings().home
    folder = home.absolute() / "models"
    for model in (SMOLLM2, MINILM):
        fetch(model, folder)
    return folder


def home_with(models: Path, folder: Path) -> Path:
    """A new home with the models, so that nothing but the tests meets the processes that they start."""
    (folder / "models").mkdir()
    for model in (SMOLLM2, MINILM):
        (folder / "models" / model.name).symlink_to(models / model.name)
    return folder


@pytest.fixture
def home(models: Path, tmp_path: Path) -> Path:
    """A home whose processes the test starts and stops."""
    return home_with(models, tmp_path)


@pytest.fixture(scope="session")
def base_url(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The local models, up and running."""
    settings = Settings(home=home_with(models, tmp_path_factory.mktemp("home")))
    yield asyncio.run(local.ensure(settings))
    local.stop(settings)
