"""The folder: atomic, durable, private, for many writers; and what it does during a collection."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from perdure.errors import ObjectCorrupt, StoreUnavailable
from perdure.storage import Store, folder, open_store
from tests.support.stored import DATA, NAME, age, names

WRITER = """
import asyncio, sys
from perdure.storage import open_store

async def main():
    store = open_store(sys.argv[1])
    number = 0
    while True:
        await asyncio.gather(*(store.put(b"%d " % (number + more) * 20_000) for more in range(8)))
        number += 8
        print(number, flush=True)

asyncio.run(main())
"""


def path_of(root: Path, name: str) -> Path:
    return root / "objects" / name[:2] / name[2:4] / name


@pytest.mark.anyio
async def test_a_writer_that_is_killed_leaves_whole_objects_only(tmp_path: Path) -> None:
    acknowledged = 0
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],  # where perdure is found
        )
        assert writer.stdout
        acknowledged = max(acknowledged, int(writer.stdout.readline()))
        acknowledged = max(acknowledged, int(writer.stdout.readline()))
        writer.send_signal(signal.SIGKILL)
        writer.stdout.close()
        writer.wait()
    store = open_store(str(tmp_path))
    stored = await names(store)
    for name in stored:
        assert await store.get(name)  # compares the hash
    for number in range(acknowledged):
        assert await store.put(b"%d " % number * 20_000) in stored
    for partial in (tmp_path / "partial").iterdir():
        os.utime(partial, (0, 0))
    left = len(list((tmp_path / "partial").iterdir()))
    assert await store.tidy(time.time()) == left
    assert list((tmp_path / "partial").iterdir()) == []
    assert await names(store) == stored


@pytest.mark.anyio
async def test_what_is_being_written_is_not_tidied_away(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    await store.put(DATA)
    (tmp_path / "partial" / "mine").write_bytes(b"half")
    assert await store.tidy(time.time() + 1000) == 0


@pytest.mark.anyio
async def test_many_writers_of_the_same(tmp_path: Path) -> None:
    stores = [open_store(str(tmp_path)) for _ in range(6)]
    values = [b"%d" % (number % 5) * 1000 for number in range(30)]
    put = await asyncio.gather(*(store.put(value) for store in stores for value in values))
    assert len(set(put)) == 5
    assert await names(stores[0]) == set(put)
    assert list((tmp_path / "partial").iterdir()) == []


@pytest.mark.anyio
async def test_everything_is_on_disk_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(number: int) -> None:
        order.append(f"sync {Path(os.readlink(f'/proc/self/fd/{number}')).relative_to(tmp_path)}")
        fsync(number)

    def replaced(source: str, target: Path) -> None:
        order.append("replace")
        replace(source, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    root = tmp_path / "store"
    await open_store(str(root)).put(DATA)
    one, two = NAME[:2], NAME[2:4]
    parents = ["sync .", "sync store", "sync store/objects", f"sync store/objects/{one}", "sync store"]
    assert order[:5] == parents
    assert order[5].startswith("sync store/partial/")
    assert order[6:] == ["replace", f"sync store/objects/{one}/{two}"]
    order.clear()
    await open_store(str(root)).put(DATA)  # another one may have put it and not be done yet
    assert order == [f"sync store/objects/{one}/{two}"]
    age(root, NAME, 1000)
    order.clear()
    await open_store(str(root)).put(DATA)
    assert order == []


@pytest.mark.anyio
async def test_it_is_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        await open_store(str(tmp_path / "a" / "store")).put(DATA)
    finally:
        os.umask(before)
    for path in [tmp_path / "a", *(tmp_path / "a").rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda path: path.write_bytes(DATA[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "one bit": lambda path: path.write_bytes(DATA[:-1] + bytes([DATA[-1] ^ 1])),
}


@pytest.mark.anyio
@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_is_noticed_and_half_an_object_is_put_again(tmp_path: Path, damage: str) -> None:
    await open_store(str(tmp_path)).put(DATA)
    DAMAGES[damage](path_of(tmp_path, NAME))
    with pytest.raises(ObjectCorrupt):
        await open_store(str(tmp_path)).get(NAME)
    if damage != "one bit":
        await open_store(str(tmp_path)).put(DATA)
        assert await open_store(str(tmp_path)).get(NAME) == DATA


@pytest.mark.anyio
async def test_what_is_no_object_is_not_listed(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    await store.put(DATA)
    path_of(tmp_path, NAME).with_name("notes.txt").touch()
    (tmp_path / "objects" / "file").touch()
    (tmp_path / "objects" / "aa").mkdir()
    (tmp_path / "objects" / "aa" / "file").touch()
    assert await names(store) == {NAME}


@pytest.mark.anyio
async def test_a_folder_that_is_not_mounted_is_no_empty_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no store in this folder\n  hint: mount it"):
        await open_store(str(tmp_path)).get(NAME)


@pytest.mark.anyio
async def test_the_folders_may_be_removed_under_a_writer(tmp_path: Path) -> None:
    import shutil

    store = open_store(str(tmp_path / "store"))
    await store.put(b"first")
    shutil.rmtree(tmp_path / "store")
    await store.put(DATA)
    assert await open_store(str(tmp_path / "store")).get(NAME) == DATA


@pytest.mark.anyio
async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    store = open_store(str(tmp_path))
    with pytest.raises(StoreUnavailable, match=r"(?s)No space left on device .* has space"):
        await store.put(DATA)
    monkeypatch.undo()
    await store.put(DATA)
    assert [path for path in (tmp_path / "partial").iterdir()] == []


@pytest.mark.anyio
async def test_the_event_loop_goes_on_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticking = asyncio.Event()
    loop = asyncio.get_running_loop()
    fsync = os.fsync

    def waits_for_the_loop(number: int) -> None:
        asyncio.run_coroutine_threadsafe(ticking.wait(), loop).result(10)
        fsync(number)

    monkeypatch.setattr(os, "fsync", waits_for_the_loop)
    writing = asyncio.create_task(open_store(str(tmp_path)).put(DATA))
    await asyncio.sleep(0)
    ticking.set()
    assert await writing == NAME


# During a collection: at every step of a removal another process intervenes


def at(step: str, monkeypatch: pytest.MonkeyPatch, then: Callable[[], None]) -> None:
    """Does `then` once, before the collector's next `step`."""
    original = getattr(os, step) if step == "replace" else getattr(Path, step)

    def interrupted(*args: object, **more: object) -> object:
        monkeypatch.undo()
        then()
        return original(*args, **more)

    monkeypatch.setattr(os if step == "replace" else Path, step, interrupted)


@pytest.mark.anyio
@pytest.mark.parametrize("step", ["stat", "replace", "unlink"])
async def test_who_puts_while_it_is_removed_has_it_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await open_store(str(tmp_path)).put(DATA)
    age(tmp_path, NAME, 100_000)
    path = path_of(tmp_path, NAME)
    writer = folder.Folder(tmp_path)
    at(step, monkeypatch, lambda: writer._write(path, DATA))
    folder._remove(path, time.time() - 50_000)
    assert await open_store(str(tmp_path)).get(NAME) == DATA
    assert path.exists()


@pytest.mark.anyio
async def test_a_date_that_is_set_too_late_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_store(str(tmp_path)).put(DATA)
    age(tmp_path, NAME, 100_000)
    path = path_of(tmp_path, NAME)
    utime = os.utime

    def late(path: Path) -> None:
        with path.open() as file:
            assert folder._remove(path, time.time() - 50_000)
            utime(file.fileno())

    monkeypatch.setattr(os, "utime", late)
    folder.Folder(tmp_path)._write(path, DATA)
    assert path.read_bytes() == DATA


@pytest.mark.anyio
@pytest.mark.parametrize("step", ["replace", "unlink"])
async def test_who_reads_while_it_is_removed_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await open_store(str(tmp_path)).put(DATA)
    age(tmp_path, NAME, 100_000)
    path = path_of(tmp_path, NAME)
    read: list[bytes | None] = []
    at(step, monkeypatch, lambda: read.append(folder.Folder(tmp_path)._read(path)))
    assert folder._remove(path, time.time() - 50_000)
    assert read == [DATA]


@pytest.mark.anyio
async def test_a_removal_that_was_broken_off_is_ended_by_the_next(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    await store.put(DATA)
    age(tmp_path, NAME, 100_000)
    path = path_of(tmp_path, NAME)
    path.rename(path.with_suffix(folder.GONE))
    assert await open_store(str(tmp_path)).get(NAME) == DATA
    assert await names(store) == {NAME}
    assert await store.remove(NAME, time.time() - 50_000)
    assert await names(store) == set()


@pytest.mark.anyio
async def test_threads_of_agents_do_not_keep_it_waiting(tmp_path: Path) -> None:
    import threading

    over = threading.Event()
    loop = asyncio.get_running_loop()
    busy = [loop.run_in_executor(None, over.wait, 30) for _ in range(64)]
    try:
        assert await Store(folder.Folder(tmp_path), timeout=20).put(DATA) == NAME
    finally:
        over.set()
        await asyncio.gather(*busy)
