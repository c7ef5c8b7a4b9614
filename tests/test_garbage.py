"""What no run refers to is removed, and nothing else, whatever happens meanwhile."""

import dataclasses
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    Client,
    FetchWorkflowHistoryEventsInput,
    Interceptor,
    ListWorkflowsInput,
    OutboundInterceptor,
)
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.service import RPCError, RPCStatusCode

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import ConnectionFailed, UsageError
from perdure.garbage import find_garbage, names_in, payloads_of, remove_garbage
from perdure.graph.deferred import BlobRef
from perdure.plugin import GraphPlugin
from perdure.storage import Store, open_store
from perdure.storage.claim_check import ClaimCheck
from tests.support.durable import embedded, started
from tests.support.stored import age
from tests.support.waiting import until

DAY = 86_400
GRAPH = {"nodes": {"v": {"value": ""}, "a": {"agent": "copyAgent", "inputs": {"v": ":v"}, "isResult": True}}}


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GraphClient]:
    async with embedded(tmp_path_factory.mktemp("references")) as connected:
        yield connected


async def old_objects(root: Path, count: int) -> tuple[Store, list[str]]:
    store = open_store(str(root))
    names = [await store.put(f"{root} {number}".encode()) for number in range(count)]
    for name in names:
        age(root, name, 10 * DAY)
    return store, names


def week_ago() -> float:
    return time.time() - 7 * DAY


def quiet(what: str, count: int) -> None:
    pass


async def collected(temporal: Client, store: Store) -> set[str]:
    """What is left after a collection."""
    garbage = await find_garbage(temporal, store, week_ago(), quiet)
    removed = await remove_garbage(store, garbage, week_ago(), quiet)
    assert set(removed) <= set(garbage.objects)
    return await left(store)


async def left(store: Store) -> set[str]:
    return {item.name async for item in store.list()}


@pytest.mark.anyio
async def test_what_runs_refer_to_stays(client: GraphClient, tmp_path: Path) -> None:
    store, (in_input, in_result, in_memo, nowhere) = await old_objects(tmp_path, 4)
    young = await store.put(b"young")
    await client.start(GRAPH, inputs={"v": f"see {in_input}!"}, id="open")  # without a worker
    await client.temporal.start_workflow("Graph", id="memo", task_queue="none", memo={"x": {"ref": in_memo}})
    made = {"nodes": {"a": {"agent": "copyAgent", "inputs": {"v": in_result}, "isResult": True}}}
    async with started(client, "closed", made, catalog(), client.settings) as run:
        await run.result()
    listed: dict[str, int] = {}
    garbage = await find_garbage(client.temporal, store, week_ago(), listed.__setitem__)
    assert [item.name for item in garbage.objects] == [nowhere]
    assert (garbage.count, garbage.size) == (5, sum([item.size async for item in store.list()]))
    assert garbage.runs == 3
    assert listed == {"objects listed": 5, "runs read": 3}
    assert len(await left(store)) == 5
    assert await collected(client.temporal, store) == {in_input, in_result, in_memo, young}


@pytest.mark.anyio
async def test_a_store_that_another_namespace_uses_keeps_everything(
    client: GraphClient, tmp_path: Path
) -> None:
    store, names = await old_objects(tmp_path, 2)
    await store.own("other-1")
    with pytest.raises(UsageError, match=r"also used by another namespace.*other-1; nothing is removed"):
        await collected(client.temporal, store)
    assert await left(store) == set(names)
    (tmp_path / "owners" / "other-1").unlink()
    assert await collected(client.temporal, store) == set()


@pytest.mark.anyio
@pytest.mark.parametrize("young", [True, False])
async def test_what_a_delta_refers_to_stays_as_long_as_it(
    client: GraphClient, tmp_path: Path, young: bool
) -> None:
    """A young delta may be on its way into a history; an old one counts only if one has it."""
    claims = ClaimCheck(open_store(str(tmp_path)), 1_000)
    text = "".join(f"{number} " for number in range(3_000))
    base, unused = await claims.keep(text), await claims.keep(text[::-1])
    delta, lost = (
        await claims.keep(f"{text}!", near=base),
        await claims.keep(f"{text[::-1]}!", near=unused),
    )
    assert all(isinstance(each, BlobRef) for each in (base, unused, delta, lost))
    names = [each.digest for each in (base, unused, delta, lost) if isinstance(each, BlobRef)]
    assert [name.endswith("-delta") for name in names] == [False, False, True, True]
    for name in names[:2] if young else names:
        age(tmp_path, name, 10 * DAY)
    await client.start(GRAPH, inputs={"v": "nothing" if young else f"see {names[2]}"}, id=f"delta-{young}")
    left = await collected(client.temporal, open_store(str(tmp_path)))
    assert left == (set(names) if young else {names[0], names[2]})
    assert await ClaimCheck(open_store(str(tmp_path)), 1_000).redeem(delta) == f"{text}!"


@pytest.mark.anyio
async def test_what_is_put_again_meanwhile_stays(client: GraphClient, tmp_path: Path) -> None:
    store, (again, nowhere) = await old_objects(tmp_path, 2)
    await client.start(GRAPH, id="some run")
    garbage = await find_garbage(client.temporal, store, week_ago(), quiet)
    assert {item.name for item in garbage.objects} == {again, nowhere}
    await open_store(str(tmp_path)).put(f"{tmp_path} 0".encode())
    removed = await remove_garbage(store, garbage, week_ago(), quiet)
    assert [item.name for item in removed] == [nowhere]
    assert await left(store) == {again}


class Interfering(Interceptor):
    """Breaks what is asked of the server, as the test says."""

    def __init__(self, status: RPCStatusCode, *, listing: bool = False) -> None:
        self.status = status
        self.listing = listing

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Interfering(next, self)


class _Interfering(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, asked: Interfering) -> None:
        super().__init__(next)
        self.asked = asked

    def list_workflows(self, input: ListWorkflowsInput) -> Any:
        if self.asked.listing:
            raise RPCError("no", self.asked.status, b"")
        return super().list_workflows(input)

    def fetch_workflow_history_events(self, input: FetchWorkflowHistoryEventsInput) -> Any:
        if input.id == "broken":
            raise RPCError("no", self.asked.status, b"")
        return super().fetch_workflow_history_events(input)


def interfered(client: GraphClient, interceptor: Interceptor) -> Client:
    config = client.temporal.config()
    return Client(config["service_client"], namespace=config["namespace"], interceptors=[interceptor])


@pytest.mark.anyio
@pytest.mark.parametrize("listing", [True, False])
async def test_without_all_histories_nothing_is_removed(
    client: GraphClient, tmp_path: Path, listing: bool
) -> None:
    store, names = await old_objects(tmp_path, 2)
    await client.start(GRAPH, id="broken")
    for status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DATA_LOSS, RPCStatusCode.PERMISSION_DENIED):
        with pytest.raises(Exception, match="nothing is removed") as caught:
            await collected(interfered(client, Interfering(status, listing=listing)), store)
        if not listing:
            assert caught.type is ConnectionFailed
            assert "history of run 'broken'" in str(caught.value)
    assert await left(store) == set(names)


@pytest.mark.anyio
async def test_a_run_whose_time_is_over_refers_to_nothing(client: GraphClient, tmp_path: Path) -> None:
    store, (kept, _) = await old_objects(tmp_path, 2)
    await client.start(GRAPH, id="broken")
    await client.start(GRAPH, inputs={"v": kept}, id="keeps")
    gone = interfered(client, Interfering(RPCStatusCode.NOT_FOUND))
    assert await collected(gone, store) == {kept}


class Rot(PayloadCodec):
    """Hides what is in payloads, as encryption does."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(
                metadata={"encoding": b"binary/rot"}, data=bytes(b ^ 85 for b in payload.SerializeToString())
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload.FromString(bytes(b ^ 85 for b in payload.data))
            if payload.metadata["encoding"] == b"binary/rot"
            else payload
            for payload in payloads
        ]


class Broken(Rot):
    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        raise RuntimeError("the key is gone")


@pytest.mark.anyio
async def test_histories_behind_a_codec(tmp_path: Path) -> None:
    async with embedded(tmp_path / "home", "off") as client:
        hidden = await connected(client, Rot())
        store, (kept, nowhere) = await old_objects(tmp_path / "store", 2)
        await GraphClient(hidden, client.settings).start(GRAPH, inputs={"v": kept})

        async def is_listed() -> bool:
            return (await client.temporal.count_workflows()).count == 1

        await until(is_listed, "the server lists the run")
        with pytest.raises(
            UsageError, match=r"encoding 'binary/rot'; nothing is removed\n  hint: call perdure\.garbage"
        ):
            await collected(client.temporal, store)
        with pytest.raises(UsageError, match="its codec fails: the key is gone; nothing is removed"):
            await collected(await connected(client, Broken()), store)
        assert await left(store) == {kept, nowhere}
        assert await collected(hidden, store) == {kept}


async def connected(client: GraphClient, codec: PayloadCodec) -> Client:
    assert client.embedded
    converter = dataclasses.replace(DataConverter.default, payload_codec=codec)
    return await Client.connect(client.embedded.address, data_converter=converter, plugins=[GraphPlugin()])


@pytest.mark.anyio
async def test_a_server_without_runs_is_the_wrong_one(tmp_path: Path) -> None:
    async with embedded(tmp_path / "home", "off") as client:
        store, names = await old_objects(tmp_path / "store", 1)
        with pytest.raises(UsageError, match="the server has no run in namespace 'default'"):
            await collected(client.temporal, store)
        assert await left(store) == set(names)
        empty = open_store(str(tmp_path / "empty"))
        assert await collected(client.temporal, empty) == set()


ONE, TWO = "ab" * 32, "0" * 63 + "1"
NAMES: dict[str, set[str]] = {
    f'{{"a": "{ONE}"}}': {ONE},
    f"{ONE} {TWO}": {ONE, TWO},
    f"f{ONE}0": {ONE},  # the bytes next to it may look like digits
    ONE + TWO: {ONE, TWO},
    ONE[:-1]: set(),
    ONE.upper(): set(),
    "c" * 64: set(),
}


@pytest.mark.parametrize("text", NAMES)
def test_names_in_strings(text: str) -> None:
    assert names_in(text.encode(), frozenset({ONE, TWO})) == NAMES[text]


def test_payloads_of_all_places() -> None:
    event = HistoryEvent()
    started = event.workflow_execution_started_event_attributes
    started.input.payloads.add(data=b"1")
    started.memo.fields["m"].data = b"2"
    started.header.fields["h"].data = b"3"
    started.continued_failure.cause.application_failure_info.details.payloads.add(data=b"4")
    event.user_metadata.summary.data = b"5"
    assert {payload.data for payload in payloads_of(event)} == {b"1", b"2", b"3", b"4", b"5"}
    marker = HistoryEvent()
    marker.marker_recorded_event_attributes.details["x"].CopyFrom(Payloads(payloads=[Payload(data=b"6")]))
    assert [payload.data for payload in payloads_of(marker)] == [b"6"]
