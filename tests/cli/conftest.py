"""The command line with one embedded server for all tests here."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perdure import server
from perdure.cli.main import run
from perdure.settings import Settings
from tests.support.cli import Cli, Done, environment, lacks_program


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the one embedded server."""
    if lacks_program():
        pytest.skip(lacks_program())
    folder = tmp_path_factory.mktemp("perdure-home")
    yield folder
    server.stop(Settings(home=folder))


@pytest.fixture
def perdure(home: Path, tmp_path: Path) -> Cli:
    return Cli(tmp_path, environment(home))


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Cli]:
    """The command line with a home of its own, and without a server until one is started."""
    own = tmp_path / "own-home"
    yield Cli(tmp_path, environment(own))
    server.stop(Settings(home=own))


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Commands that need no server, in this process."""

    def invoke(*words: str) -> Done:
        capsys.readouterr()
        code = run(words)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return invoke
