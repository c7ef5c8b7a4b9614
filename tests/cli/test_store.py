"""`perdure store`: what is in it, and the removal of what no run refers to."""

import asyncio
import json
import re
import time
from pathlib import Path

import pytest

from perdure.cli.commands import store as command
from perdure.storage import ObjectInfo, open_store
from tests.support.cli import HELLO, Cli
from tests.support.stored import age

DAY = 86_400
ELSEWHERE = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}


def put(folder: Path, *values: bytes, days: float = 10) -> list[str]:
    async def main() -> list[str]:
        store = open_store(str(folder))
        return [await store.put(value) for value in values]

    names = asyncio.run(main())
    for name in names:
        age(folder, name, days * DAY)
    return names


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "objects").rglob("*") if path.is_file()}


def test_garbage_is_shown_then_removed(alone: Cli):
    store = alone.folder / "own-home" / "store"
    used, unused, recent = (*put(store, b"used", b"unused" * 1000), *put(store, b"recent", days=6))
    assert alone("run", alone.write("hello.yaml", HELLO), "-i", f"name={used}").code == 0
    shown = alone("store", "gc")
    assert (shown.code, shown.err) == (0, "")
    assert re.fullmatch(
        rf"store    {re.escape(str(store))}\nholds    3 objects, 6\.0 kB\n"
        r"garbage  1 objects, 6\.0 kB, the oldest of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S+; nothing was removed, "
        r"--yes does it\n",
        shown.out,
    )
    shown = json.loads(alone("store", "gc", "--json", "--older-than", "11").out)
    assert shown == {
        "store": str(store),
        "runs": 0,
        "objects": 3,
        "bytes": 6010,
        "garbage": {"objects": 0, "bytes": 0},
        "oldest": None,
        "removed": {"objects": 0, "bytes": 0},
    }
    assert names(store) == {used, unused, recent}
    done = alone("store", "gc", "--yes")
    assert done.code == 0
    assert done.out.endswith("removed  1 objects, 6.0 kB\n")
    assert names(store) == {used, recent}
    done = alone("store", "gc", "--yes", "--json", PERDURE_STORE_RETENTION="2")
    assert json.loads(done.out)["removed"] == {"objects": 1, "bytes": 6}
    assert names(store) == {used}


def test_without_a_server_nothing_is_removed(alone: Cli):
    put(alone.folder / "store", b"unused")
    done = alone("store", "gc", "--yes", PERDURE_STORE="store", **ELSEWHERE)
    assert (done.code, done.out) == (3, "")
    assert "no Temporal server answers at 127.0.0.1:1" in done.err
    assert len(names(alone.folder / "store")) == 1


def test_info_needs_no_server(alone: Cli):
    home = alone.folder / "own-home"
    assert alone("store", "info").out == f"store    {home}/store\nobjects  0\nsize     0 bytes\n"
    assert not home.exists()
    put(home / "store", b"x" * 2_500_000, b"y")
    assert alone("store", "info").out == f"store    {home}/store\nobjects  2\nsize     2.5 MB\n"
    info = json.loads(alone("store", "info", "--json").out)
    assert (info["objects"], info["bytes"]) == (2, 2_500_001)
    assert info["oldest"]
    shown = alone("store", "info", "--json", PERDURE_STORE="memory://", **ELSEWHERE)
    assert json.loads(shown.out) == {"store": "memory://", "objects": 0, "bytes": 0, "oldest": None}


WRONG = {
    ("store", "gc", "--older-than", "0"): "--older-than: '0' is not a number of days from 0.042 (an hour) up",
    ("store", "gc", "--older-than", "soon"): "--older-than: 'soon' is not a number of days",
    ("store", "info", "--yes"): "--yes and --older-than are for perdure store gc",
    ("store", "info"): "there is no store: set PERDURE_STORE",
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_calls(alone: Cli, words: tuple[str, ...]):
    done = alone(*words, **ELSEWHERE)
    assert (done.code, done.out) == (2, "")
    assert WRONG[words] in done.err


AMOUNTS = {0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 2_340_000: "2.3 MB", 7_100_000_000: "7.1 GB"}


def test_amounts():
    assert {size: command.amount(size) for size in AMOUNTS} == AMOUNTS


def test_the_oldest():
    assert command.oldest([]) is None
    objects = [ObjectInfo("a", 1, time.time()), ObjectInfo("b", 1, 0.0)]
    assert (command.oldest(objects) or "")[:4] in ("1969", "1970")


def test_progress_is_for_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    silent = command.ListingProgress()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(command, "PROGRESS_INTERVAL_S", 0.0)
    shown = command.ListingProgress()
    for progress in (silent, shown):
        progress("runs read", 1200)
        progress.end()
    assert capsys.readouterr().err == "\r\x1b[K1,200 runs read\r\x1b[K"
