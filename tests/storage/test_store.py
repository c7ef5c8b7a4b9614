"""What every store promises, whatever it is kept in."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perdure.errors import FinalError, ObjectCorrupt, ObjectMissing, StoreUnavailable, UsageError
from perdure.storage import Store, backend_of, open_store
from perdure.storage.backend import MIN_GARBAGE_AGE_S
from perdure.storage.cache import ObjectCache
from perdure.storage.memory import Memory
from perdure.storage.objects import RECENTLY_PUT_S
from tests.storage.bucket import bucket
from tests.support.stored import DATA, NAME, age, names

Age = Callable[[str, float], None]


@pytest.fixture(params=["folder", "memory", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Age]]:
    """The URL of an empty store, and a function that makes an object of it older."""
    if request.param == "folder":
        yield str(tmp_path / "store"), lambda name, seconds: age(tmp_path / "store", name, seconds)
    elif request.param == "memory":
        url = f"memory://{tmp_path.name}"
        yield url, Memory.named(tmp_path.name).make_older
    else:
        with bucket() as (made, _):
            yield "s3://b/some/prefix", lambda name, s: made.age(f"some/prefix/objects/{name}", s)


@pytest.mark.anyio
async def test_bytes_come_back_under_their_hash(place: tuple[str, Age]) -> None:
    url, _ = place
    for data in (DATA, b"", bytes(range(256)) * 5000):
        name = await open_store(url).put(data)
        assert name == hashlib.sha256(data).hexdigest()
        assert await open_store(url).get(name) == data


@pytest.mark.anyio
async def test_a_name_is_known_before_the_object_is_stored(place: tuple[str, Age]) -> None:
    store, writes = open_store(place[0]), list[asyncio.Task[None]]()
    made = [await store.put(b"%d" % number, writes=writes) for number in range(8)]
    assert [await store.get(name) for name in made] == [b"%d" % number for number in range(8)]
    await asyncio.gather(*writes)
    assert await names(open_store(place[0])) == set(made)
    assert await store.put(b"3", writes=writes) == made[3]
    assert len(writes) == 8, "it was put just now"


@pytest.mark.anyio
async def test_the_list_has_every_object_once(place: tuple[str, Age]) -> None:
    store = open_store(place[0])
    assert await names(store) == set()
    started = time.time()
    put = {await store.put(b"%d" % number): number for number in range(8)}
    assert await store.put(b"3") in put
    listed = [item async for item in store.list()]
    assert sorted(item.name for item in listed) == sorted(put)
    for item in listed:
        assert item.size == 1
        assert started - 2 < item.modified < time.time() + 2


@pytest.mark.anyio
async def test_it_knows_who_uses_it(place: tuple[str, Age]) -> None:
    url, _ = place
    assert await open_store(url).own("default-1") == []
    assert await open_store(url).own("prod.x-2") == ["default-1"]
    assert await open_store(url).own("default-1") == ["prod.x-2"]
    assert await names(open_store(url)) == set()


@pytest.mark.anyio
async def test_only_what_is_old_is_removed(place: tuple[str, Age]) -> None:
    url, make_older = place
    store = open_store(url)
    old, young = await store.put(b"old"), await store.put(b"young")
    make_older(old, 100_000)
    assert await store.remove(young, time.time() - 50_000) is False
    assert await store.remove(young, time.time() + 50_000) is False, "younger than an hour, whatever is asked"
    assert await store.remove(old, time.time() - 200_000) is False
    assert await store.remove(old, time.time() - 50_000) is True
    assert await store.remove(old, time.time() - 50_000) is False
    assert await names(open_store(url)) == {young}
    assert await names(store) == {young}


@pytest.mark.anyio
async def test_what_is_put_again_is_young_again(place: tuple[str, Age]) -> None:
    url, make_older = place
    name = await open_store(url).put(DATA)
    make_older(name, 100_000)
    assert await open_store(url).put(DATA) == name
    (item,) = [item async for item in open_store(url).list()]
    assert time.time() - item.modified < 10
    assert await open_store(url).remove(name, time.time() - 50_000) is False


@pytest.mark.anyio
async def test_what_was_removed_can_be_put_again(place: tuple[str, Age]) -> None:
    url, make_older = place
    store = open_store(url)
    name = await store.put(DATA)
    make_older(name, 100_000)
    assert await store.remove(name, time.time() - MIN_GARBAGE_AGE_S)
    await store.put(DATA)
    assert await open_store(url).get(name) == DATA


@pytest.mark.anyio
async def test_missing(place: tuple[str, Age]) -> None:
    store = open_store(place[0])
    await store.put(b"another")  # so that the folder is a store
    eager = Store(backend_of(place[0]), missing_delays_s=(0.01,))
    with pytest.raises(ObjectMissing, match=f"(?s)object {NAME} is not in the store .*PERDURE_STORE must be"):
        await eager.get(NAME)
    assert issubclass(ObjectMissing, FinalError)


@pytest.mark.anyio
async def test_an_object_may_come_a_little_later(tmp_path: Path) -> None:
    await open_store(str(tmp_path)).put(b"another")
    reader = asyncio.create_task(open_store(str(tmp_path)).get(NAME))
    await asyncio.sleep(0.02)
    await open_store(str(tmp_path)).put(DATA)
    assert await reader == DATA


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["", "x" * 64, NAME.upper(), NAME[:63], NAME + "0", "../" + NAME])
async def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="names no object"):
        await open_store("memory://names").get(name)


WRONG = {
    "ftp://host/path": "no stores of the kind 'ftp'",
    "s3://": "the bucket or container is missing",
    "gs:///": "the bucket or container is missing",
    "file://host/folder": "write file:///path/to/folder",
    "file://folder": "write file:///path/to/folder",
}


@pytest.mark.parametrize("url", WRONG)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(UsageError, match=WRONG[url]):
        open_store(url)


@pytest.mark.anyio
async def test_addresses_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = await open_store("a b").put(DATA)
    for url in (f"{tmp_path}/a b", f"file://{tmp_path}/a%20b", f"file://localhost{tmp_path}/a%20b"):
        assert await open_store(url).get(name) == DATA


# A backend that does as the test says


class Slow:
    """Counts what is asked of it, and answers when the test says so."""

    place = "slow://"

    def __init__(self, data: bytes | None = DATA) -> None:
        self.data = data
        self.reads = self.writes = 0
        self.go = asyncio.Event()

    async def read(self, name: str) -> bytes | None:
        self.reads += 1
        await self.go.wait()
        return self.data

    async def write(self, name: str, data: bytes) -> None:
        self.writes += 1
        await self.go.wait()


@pytest.mark.anyio
async def test_many_who_ask_at_once_read_once_and_one_may_give_up() -> None:
    backend = Slow()
    store = Store(backend)
    asking = [asyncio.create_task(store.get(NAME)) for _ in range(10)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    backend.go.set()
    assert await asyncio.gather(*asking[1:]) == [DATA] * 9
    assert asking[0].cancelled()
    assert await store.get(NAME) == DATA
    assert backend.reads == 1


@pytest.mark.anyio
async def test_a_failed_read_is_not_remembered() -> None:
    backend = Slow(None)
    backend.go.set()
    store = Store(backend, missing_delays_s=())
    for _ in range(2):
        with pytest.raises(ObjectMissing):
            await store.get(NAME)
    backend.data = DATA
    assert await store.get(NAME) == DATA


@pytest.mark.anyio
async def test_other_bytes_are_noticed() -> None:
    backend = Slow(DATA[:-1])
    backend.go.set()
    with pytest.raises(
        ObjectCorrupt, match=f"object {NAME} in the store slow:// is damaged: its 4,999 bytes"
    ):
        await Store(backend).get(NAME)


@pytest.mark.anyio
async def test_a_store_that_does_not_answer() -> None:
    store = Store(Slow(), timeout=0.01)
    with pytest.raises(StoreUnavailable, match=r"did not end the write of object .* within 0\.01 s"):
        await store.put(DATA)
    with pytest.raises(StoreUnavailable, match="did not end the read"):
        await store.get(NAME)


@pytest.mark.anyio
async def test_what_was_put_just_now_is_not_put_again(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Slow()
    backend.go.set()
    store = Store(backend)
    await store.put(DATA)
    await store.put(DATA)
    assert backend.writes == 1
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + RECENTLY_PUT_S + 1)
    await store.put(DATA)
    assert backend.writes == 2


@pytest.mark.anyio
async def test_what_was_only_read_is_put() -> None:
    backend = Slow()
    backend.go.set()
    store = Store(backend)
    await store.get(NAME)
    await store.put(DATA)
    assert backend.writes == 1


def test_the_cache_has_a_bound() -> None:
    cache = ObjectCache(100)
    for number in range(5):
        cache.add(str(number), bytes(30))
    assert [name for name in "01234" if cache.get(name)] == ["2", "3", "4"]
    cache.get("2")
    cache.add("5", bytes(30))
    assert [name for name in "012345" if cache.get(name)] == ["2", "4", "5"]
    cache.add("2", bytes(10))
    cache.add("huge", bytes(101))
    assert cache.get("huge") is None
    assert cache.size == 70
    cache.drop("2")
    cache.drop("2")
    assert cache.size == 60
