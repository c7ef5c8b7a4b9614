import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure import local
from perdure.settings import Settings
from tests.support.models import fetched, home_with


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder with the models."""
    return fetched()


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
