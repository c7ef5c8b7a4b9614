import gc
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["tests.support.time_limit"]

HERE = Path(__file__).parent

LAYERS = {
    "unit": """fuzz graph engine limits lineage memory pictures policy property protocol storage
        test_settings""",
    "integration": """activities agents net cli conformance differential examples gateway history monitoring
        replay
        temporal workflows test_garbage test_runs test_transport web""",
    "system": "bench chaos daemon deployment e2e faults local poison server",
    "docs": "repo",
}
"""What a test of each folder, or file next to the folders, needs. A unit test needs no server, an
integration test needs one, a system test starts and ends processes. A file that needs more than its folder
says so with `pytestmark`.
"""

SHARED = {
    "chaos": "chaos",
    "e2e": "crashes",
    "faults": "chaos",
    "local": "local",
    "poison": "crashes",
    "workflows": "workflows",
}
"""Folders whose tests stay together. They share a server or the models; or they are about what dies and
how soon it is back, and want no company of their kind."""

FIRST = ("e2e", "faults", "poison", "workflows", "chaos", "bench", "cli", "conformance", "history", "local")
"""What takes long begins first where processes share out the tests: nothing long is left for the end."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m LAYER`, or `LAYER and …`, no file is loaded that cannot have a test of this layer."""
    layer = config.option.markexpr.partition(" and ")[0]
    if layer not in LAYERS or not collection_path.name.startswith("test_"):
        return None
    default = _layers().get(_top(collection_path).removesuffix(".py"))
    return True if default != layer and f"mark.{layer}" not in collection_path.read_text("utf-8") else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The tests of one file stay together in one process, whatever `--dist` says."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return SHARED.get(_top(Path(file)), file)

    config.option.loadscopereorder = False
    return Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks each test with its layer; what a file says of itself goes before what its folder says."""
    layers = _layers()
    for item in items:
        if not any(item.get_closest_marker(layer) for layer in LAYERS):
            item.add_marker(layers[_top(item.path).removesuffix(".py")])
    if hasattr(config, "workerinput"):
        turns = {name: turn for turn, name in enumerate(FIRST)}
        items.sort(key=lambda item: turns.get(_top(item.path), len(turns)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is loaded stays: it is not searched for garbage, neither now nor after each file."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def _layers() -> dict[str, str]:
    """The layer of each folder, or of a file next to the folders."""
    return {name: layer for layer, names in LAYERS.items() for name in names.split()}


def _top(path: Path) -> str:
    """The file, or folder of files, in the folder of the tests."""
    return (HERE.parent / path).relative_to(HERE).parts[0]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _import_path() -> Iterator[None]:
    """Modules of agents are found by a path that grows with each; the folder of a test leaves it again."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture(scope="module", autouse=True)
def _leaks() -> Iterator[None]:
    """A socket or task left open fails the file that left it, and no test that comes later."""
    yield
    clients = sys.modules.get("perdure.agents.llm.openai_client")
    assert not getattr(clients, "_kept", None), "await close_clients() where a model is asked"
    gc.collect()
