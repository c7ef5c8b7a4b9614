"""A bucket: what goes over the wire, what fails how, and the order of things with a collector."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from perdure.errors import ObjectMissing, StoreUnavailable, UsageError
from perdure.storage import Store, backend_of, open_store, remote
from perdure.storage.backend import RENEWAL_INTERVAL_S
from tests.storage.bucket import Bucket, bucket
from tests.support.servers import Answer, Seen, Server
from tests.support.stored import DATA, NAME

KEY = f"p/objects/{NAME}"
SIGN = f"p/removing/{NAME}"
OLD = 100_000


@pytest.fixture
def made() -> Iterator[tuple[Bucket, Server]]:
    with bucket() as remote:
        yield remote


def fresh() -> Store:
    """A store without memory of what was put."""
    return Store(backend_of("s3://b/p"), missing_delays_s=())


def sent(server: Server) -> list[str]:
    requests = [f"{seen.method} {seen.path.removeprefix('/b').partition(NAME)[0]}" for seen in server.seen]
    server.seen.clear()
    return requests


@pytest.mark.anyio
async def test_an_object_is_sent_once_in_one_piece(made: tuple[Bucket, Server]) -> None:
    _, server = made
    big = bytes(12_000_000)
    await fresh().put(big)
    assert [seen.method for seen in server.seen if seen.body] == ["PUT"]
    server.seen.clear()
    await fresh().put(big)
    assert {seen.method for seen in server.seen} == {"HEAD"}


@pytest.mark.anyio
async def test_it_is_renewed_when_it_is_no_longer_fresh_or_not_whole(made: tuple[Bucket, Server]) -> None:
    stored, server = made
    await fresh().put(DATA)
    assert sent(server) == ["HEAD /p/objects/", "HEAD /p/removing/", "PUT /p/objects/"]
    stored.age(KEY, RENEWAL_INTERVAL_S - 60)
    await fresh().put(DATA)
    assert sent(server) == ["HEAD /p/objects/", "HEAD /p/removing/"]
    stored.age(KEY, RENEWAL_INTERVAL_S + 60)
    await fresh().put(DATA)
    assert "PUT /p/objects/" in sent(server)
    assert time.time() - stored.objects[KEY][1] < 10
    stored.age(KEY, -3600)  # a date that no clock should show
    await fresh().put(DATA)
    assert "PUT /p/objects/" in sent(server)
    stored.objects[KEY] = (b"half", time.time())
    await fresh().put(DATA)
    assert stored.objects[KEY][0] == DATA


@pytest.mark.anyio
async def test_refusals_tell_what_to_look_at(made: tuple[Bucket, Server]) -> None:
    stored, _ = made
    for status in (403, 401, 400):
        stored.answers = [Answer(status=status)]
        with pytest.raises(StoreUnavailable, match=r"(?s)s3://b/p: .*credentials in the environment"):
            await fresh().put(DATA)
    stored.answers = [Answer(status=503)]  # repeated by the library
    await fresh().put(DATA)
    elsewhere = Store(backend_of("s3://other/p"), missing_delays_s=())
    with pytest.raises(StoreUnavailable, match="s3://other/p"):  # a missing bucket, not a missing object
        await elsewhere.get(NAME)
    with pytest.raises(StoreUnavailable, match="s3://other/p"):
        await elsewhere.put(DATA)
    with pytest.raises(ObjectMissing):
        await fresh().get("0" * 64)


@pytest.mark.anyio
async def test_a_bucket_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with bucket() as (_, server):
        store = Store(backend_of("s3://b/p"), timeout=1)
        assert server.url
    with pytest.raises(StoreUnavailable, match="s3://b/p"):
        await store.put(DATA)


def test_azure_wants_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(
        UsageError, match=r"(?s)az://container/x.*Account must be specified.*from the environment"
    ):
        open_store("az://container/x")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "somebody")
    assert open_store("az://container/x").place == "az://container/x"


@pytest.mark.anyio
async def test_a_removal_says_so_first(made: tuple[Bucket, Server]) -> None:
    stored, server = made
    await fresh().put(DATA)
    stored.age(KEY, OLD)
    sent(server)
    assert await fresh().remove(NAME, time.time() - OLD / 2)
    assert sent(server)[:3] == ["PUT /p/removing/", "HEAD /p/objects/", "POST "]
    assert stored.objects == {}


STEPS = ["PUT /p/removing/", "HEAD /p/objects/", "first POST", "second POST"]


@pytest.mark.anyio
@pytest.mark.parametrize("step", range(4), ids=STEPS)
async def test_who_puts_while_it_is_removed_has_it_afterwards(
    made: tuple[Bucket, Server], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The collector is held up before each of its requests, until the writer has ended or waits for it."""
    monkeypatch.setattr(remote, "REMOVAL_POLL_INTERVAL_S", 0.01)
    stored, _ = made
    await fresh().put(DATA)
    stored.age(KEY, OLD)
    loop = asyncio.get_running_loop()
    collector, writer = fresh(), fresh()
    held = asyncio.Event()
    seen_by_collector = 0
    looks = 0
    writing: list[asyncio.Task[str]] = []

    async def hold_up() -> None:
        writing.append(asyncio.create_task(writer.put(DATA)))
        await asyncio.wait([writing[0], asyncio.create_task(held.wait())], return_when="FIRST_COMPLETED")

    def before(seen: Seen) -> None:
        nonlocal seen_by_collector, looks
        own = seen.method in ("PUT", "HEAD", "POST") and not writing
        if own:
            seen_by_collector += 1
            if seen_by_collector == step + 1:
                asyncio.run_coroutine_threadsafe(hold_up(), loop).result(20)
        elif seen.method == "HEAD" and "removing" in seen.path:
            looks += 1
            if looks > 3:  # it waits for the collector
                loop.call_soon_threadsafe(held.set)

    stored.before = before
    await collector.remove(NAME, time.time() - OLD / 2)
    assert await asyncio.wait_for(writing[0], 20) == NAME
    data, modified = stored.objects[KEY]
    assert data == DATA
    assert time.time() - modified < 30
    assert SIGN not in stored.objects


@pytest.mark.anyio
async def test_a_collector_that_decided_before_it_was_put_again(
    made: tuple[Bucket, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer sees no collector, the collector sees the old date, and then both continue."""
    monkeypatch.setattr(remote, "REMOVAL_POLL_INTERVAL_S", 0.01)
    stored, _ = made
    await fresh().put(DATA)
    stored.age(KEY, OLD)
    loop = asyncio.get_running_loop()
    decided, written = threading.Event(), threading.Event()
    collecting: list[asyncio.Task[bool]] = []

    async def collect() -> None:
        collecting.append(asyncio.create_task(fresh().remove(NAME, time.time() - OLD / 2)))

    def before(seen: Seen) -> None:
        if seen.method == "PUT" and "objects" in seen.path and not collecting:
            asyncio.run_coroutine_threadsafe(collect(), loop).result(20)
            assert decided.wait(120)
        elif seen.method == "POST":
            decided.set()
            assert written.wait(120)
        elif decided.is_set() and seen.method == "HEAD":
            written.set()  # the writer looks again

    stored.before = before
    writing = asyncio.create_task(fresh().put(DATA))
    writing.add_done_callback(lambda _: written.set())
    await writing
    assert await collecting[0]
    assert stored.objects[KEY][0] == DATA


@pytest.mark.anyio
async def test_a_collector_that_died_does_not_delay_others_for_long(made: tuple[Bucket, Server]) -> None:
    stored, _ = made
    stored.objects[SIGN] = (b"", time.time())
    with pytest.raises(StoreUnavailable, match="did not end the write"):
        await Store(backend_of("s3://b/p"), timeout=0.2).put(DATA)
    stored.age(SIGN, remote.STALE_REMOVAL_S + 1)
    await fresh().put(DATA)
    assert await fresh().tidy(time.time()) == 0
    stored.age(SIGN, OLD)
    assert await fresh().tidy(time.time()) == 1
    assert SIGN not in stored.objects
