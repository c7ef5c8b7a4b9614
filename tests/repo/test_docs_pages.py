"""The pages with files can be followed: what they run, with the files that they show, gives what they say."""

import asyncio
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.catalog import catalog, load_agents, load_filters
from perdure.client import GraphClient
from perdure.settings import Settings
from perdure.worker import WorkerOptions, build_worker
from tests.repo import documents
from tests.repo.documents import Block
from tests.support import ROOT
from tests.support.durable import embedded

PAGES = (
    "edge.md",
    "federated.md",
    "filters.md",
    "from_graphai.md",
    "pipelines.md",
    "python.md",
    "quickstart.md",
    "recipes.md",
    "sessions.md",
)
BLOCKS = {page: documents.blocks(page) for page in PAGES}
SHOWN = ("output", "stderr")


def of_kind(*kinds: str) -> pytest.MarkDecorator:
    """A parameter `block` for each block whose kind is one of `kinds`, or begins with one."""
    chosen = [block for page in PAGES for block in BLOCKS[page] if block.kind.split(" ")[0] in kinds]
    return pytest.mark.parametrize("block", chosen, ids=str)


@pytest.fixture
def folder(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the files of the block's page, as the working folder."""
    shown = [item for item in BLOCKS[block.document] if item.kind.startswith("file ")]
    files = {item.kind.removeprefix("file "): item.text for item in shown}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for commands, which are processes of their own
    yield tmp_path
    for name in files:
        sys.modules.pop(Path(name).stem, None)


def shown_after(block: Block) -> list[Block]:
    """What the page says that the block prints."""
    page = BLOCKS[block.document]
    after = page[page.index(block) + 1 :]
    count = next((n for n, item in enumerate(after) if item.kind not in SHOWN), len(after))
    assert count, f"{block}: the page does not show what it prints"
    return after[:count]


def test_there_are_blocks() -> None:
    for page in PAGES:
        assert {block.kind.split(" ")[0] for block in BLOCKS[page]} >= {"file", "output"}, page


@of_kind("run")
def test_command(block: Block, folder: Path) -> None:
    argv = [sys.executable, "-m", "perdure", *shlex.split(block.text)[1:]]
    assert block.text.startswith("perdure ")
    check(block, process(argv, folder))


@of_kind("script")
def test_script(block: Block, folder: Path) -> None:
    check(block, process([sys.executable, "-c", block.text], folder))


def process(argv: list[str], folder: Path) -> dict[str, str]:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60)
    return {"output": done.stdout, "stderr": done.stderr}


def check(block: Block, printed: dict[str, str]) -> None:
    for shown in shown_after(block):
        if shown.kind == "output":
            assert printed["output"] == shown.text, printed["stderr"]
        else:
            assert shown.text.strip() in printed["stderr"]


@pytest.mark.anyio
@of_kind("durable")
async def test_durable_command(
    block: Block, folder: Path, client: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that runs on a server, and the file that it writes."""
    on_server_of(client, monkeypatch)
    argv = [sys.executable, "-m", "perdure", *shlex.split(block.text)[1:]]
    printed = await asyncio.to_thread(process, argv, folder)
    page = BLOCKS[block.document]
    written = page[page.index(block) + 1]
    path = folder / written.kind.removeprefix("written ")
    assert path.exists(), printed["stderr"]
    assert path.read_text() == written.text


@of_kind("file")
def test_file(block: Block, folder: Path) -> None:
    """A file of tests is run; any other of Python is at least read."""
    name = block.kind.removeprefix("file ")
    if not name.endswith(".py"):
        return
    names: dict[str, Any] = {"__name__": Path(name).stem}
    exec(compile(block.text, name, "exec"), names)
    tests = [value for key, value in names.items() if key.startswith("test_")]
    assert bool(tests) == name.startswith("test_")
    for test in tests:
        test()


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GraphClient]:
    async with embedded(tmp_path_factory.mktemp("pages")) as client:
        yield client


def on_server_of(client: GraphClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has `connect` and commands find the server of `client`."""
    home = client.settings.home
    monkeypatch.setenv("PERDURE_HOME", str(home))
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(home / "no-profiles.toml"))


@pytest.mark.anyio
@of_kind("server")
async def test_from_python(
    block: Block,
    folder: Path,
    client: GraphClient,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its `main` connects to a server where a worker has the agents and filters of the page."""
    on_server_of(client, monkeypatch)
    names: dict[str, Any] = {}
    exec(block.text, names)
    agents = {**catalog(), **(load_agents("agents.py") if (folder / "agents.py").exists() else {})}
    filters = load_filters("filters.py") if (folder / "filters.py").exists() else ()
    options = WorkerOptions(agents=agents, settings=client.settings, filters=filters)
    async with build_worker(client.temporal, Settings().queue, options):
        await names["main"]()
    check(block, {"output": capsys.readouterr().out, "stderr": ""})
