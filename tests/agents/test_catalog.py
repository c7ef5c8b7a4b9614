import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from perdure.agents.agent import agent, declared
from perdure.agents.catalog import SHIPPED, agents_by_name, catalog, load_agents, load_entry_point
from perdure.errors import UsageError
from perdure.worker import WorkerOptions

SHOUT = """
from perdure.agents.agent import agent
from perdure.agents.shipped.arrays import push

@agent("{name}", pure=True)
def shout(inputs):
    return {{"text": inputs["text"].upper()}}

loud = shout
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_every_shipped_function_is_one_agent() -> None:
    assert len(catalog()) == len(SHIPPED)
    assert all(declared(function) for function in SHIPPED)
    assert all(name == agent.name for name, agent in catalog().items())


@pytest.mark.parametrize("name", ["mine", "mine.py", "inner.mine", "inner/mine.py", "{folder}/inner/mine.py"])
def test_agents_of_a_module(name: str, folder: Path) -> None:
    (folder / "inner").mkdir()
    for path in (folder / "mine.py", folder / "inner/mine.py"):
        path.write_text(SHOUT.format(name=path.parent.name if path.parent != folder else "top"))
    agents = load_agents(name.format(folder=folder))
    assert list(agents) == ["inner" if "inner" in name else "top"]
    assert next(iter(agents.values())).function({"text": "hi"}) == {"text": "HI"}


def test_a_file_may_import_its_neighbours(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner/words.py").write_text("SUFFIX = '!'")
    (folder / "inner/mine.py").write_text(SHOUT.format(name="loud") + "\nimport words")
    assert list(load_agents("inner/mine.py")) == ["loud"]


def test_a_module_here_cannot_stand_in_for_a_library(folder: Path) -> None:
    (folder / "json.py").write_text("raise SystemExit('shadowed')")
    with pytest.raises(UsageError, match="no agents in it"):
        load_agents("json")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("mine", None, "'mine': there is no module 'mine'"),
        ("mine.sub", None, "there is no module 'mine'"),
        ("mine.py", None, "there is no such file"),
        ("mine", "", "no agents in it. Decorate a function"),
        ("mine.py", "x = 1", "no agents in it. Decorate a function"),
        ("mine", "import nowhere_at_all", r"importing it failed at .*mine\.py:1: ModuleNotFoundError"),
        ("mine.py", "\n1/0", r"importing it failed at .*mine\.py:2: ZeroDivisionError"),
        ("mine.py", "def (", "importing it failed.*: SyntaxError"),
        ("mine", "raise SystemExit(3)", "importing it failed.*: SystemExit"),
        ("mine", SHOUT.format(name="a") + SHOUT.format(name="b").replace("shout", "cry"), None),
        ("mine", SHOUT.format(name="a") + SHOUT.format(name="a").replace("shout", "cry"), "two functions"),
    ],
)
def test_what_cannot_be_loaded(name: str, text: str | None, message: str | None, folder: Path) -> None:
    if text is not None:
        (folder / "mine.py").write_text(text)
    if message is None:
        assert set(load_agents(name)) == {"a", "b"}
        return
    with pytest.raises(UsageError, match=message):
        load_agents(name)


def test_a_file_that_failed_can_be_mended(folder: Path) -> None:
    path = folder / "mine.py"
    path.write_text("1/0")
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        load_agents("mine.py")
    path.write_text(SHOUT.format(name="corrected, at last"))
    assert list(load_agents("mine.py")) == ["corrected, at last"]


def install(folder: Path, package: str, entry: str) -> None:
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[perdure.agents]\n{entry}\n")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    importlib.invalidate_caches()


@pytest.mark.parametrize(("entry", "expected"), [("extra = mine", ["top"]), ("extra = mine:loud", ["top"])])
def test_agents_of_an_installed_package(entry: str, expected: list[str], folder: Path) -> None:
    (folder / "mine.py").write_text(SHOUT.format(name="top"))
    install(folder, "pack", entry)
    assert list(load_entry_point("extra")) == expected


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "'extra': no installed package offers it"),
        (["other = mine"], r"no installed package offers it.*: .*other\."),
        (["extra = mine", "extra = mine:loud"], "offered by several packages: mine, mine:loud"),
        (["extra = nowhere_at_all"], r"\(nowhere_at_all\): importing it failed.*ModuleNotFoundError"),
        (["extra = mine:nothing"], "importing it failed.*AttributeError"),
        (["extra = mine:push.__name__"], "no agents in it"),
    ],
)
def test_offers_that_cannot_be_loaded(entries: list[str], message: str, folder: Path) -> None:
    (folder / "mine.py").write_text(SHOUT.format(name="top"))
    for number, entry in enumerate(entries):
        install(folder, f"pack{number}", entry)
    with pytest.raises(UsageError, match=message):
        load_entry_point("extra")


def test_agents_by_name() -> None:
    @agent("mine")
    def mine() -> None: ...

    def bare() -> None: ...

    assert agents_by_name([mine]) == agents_by_name({"mine": mine.agent}) == {"mine": mine.agent}
    undeclared = "is not declared to be one\n  hint: decorate its function with @agent"
    strange: list[tuple[Any, str]] = [
        ([bare], f"agent 'bare' {undeclared}"),
        ({"bare": bare}, f"agent 'bare' {undeclared}"),
        ({"x": None}, f"agent 'x' {undeclared}"),
        ({"mine": mine}, "agent 'mine' is a function, and not an Agent\n  hint: pass mine.agent"),
    ]
    for agents, message in strange:
        with pytest.raises(UsageError, match=message):
            agents_by_name(agents)
    with pytest.raises(UsageError, match=undeclared):
        WorkerOptions(agents={"bare": cast("Any", bare)})
