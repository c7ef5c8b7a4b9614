"""Starts of the workflow that no client of Perdure sends: each ends typed, none is repeated without end."""

import asyncio
import gc
import json
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio

GRAPH = {"nodes": {"v": {"value": 1}, "a": {"agent": "copyAgent", "inputs": {"x": 1}, "isResult": True}}}


def raw(data: Any, encoding: bytes = b"json/plain", special: Any = None) -> RawValue:
    metadata = {"encoding": encoding}
    if special is not None:
        metadata["perdure-special"] = special if isinstance(special, bytes) else json.dumps(special).encode()
    return RawValue(
        Payload(metadata=metadata, data=data if isinstance(data, bytes) else json.dumps(data).encode())
    )


def request(**others: Any) -> list[RawValue]:
    return [raw({"document": GRAPH, **others})]


PART = b'[[["document","x"],' + b'["part",' * 3000 + b"null" + b",[],false]" * 3000 + b"]]"
WELL_FORMED: dict[str, Any] = {
    "queue": "hostile-starts",
    "injects": [["v", 2]],
    "config": {"copyAgent": {}},
    "graphs": None,
    "bypass_agents": ["none"],
    "force_loop": False,
    "loop_count": None,
    "previous_results": None,
    "events": 100,
    "quotas": {"calls": 10, "seconds": 60.5, "of a later version": 1},
    "of a later version": True,
}
STARTS: dict[str, list[RawValue]] = {
    "well-formed": request(**WELL_FORMED),
    "no argument": [],
    "two arguments": [*request(), raw(1)],
    "list": [raw([1, 2])],
    "text": [raw("x")],
    "null": [raw(None)],
    "empty object": [raw({})],
    "document 5": [raw({"document": 5})],
    "document null": [raw({"document": None})],
    "nodes list": [raw({"document": {"nodes": []}})],
    "name 5": request(name=5),
    "queue 5": request(queue=5),
    "injects 5": request(injects=5),
    "injects short": request(injects=[[1]]),
    "quotas text": request(quotas={"calls": "many"}),
    "quotas list": request(quotas=[1]),
    "quota 0": request(quotas={"calls": 0}),
    "config 5": request(config=5),
    "graphs 5": request(graphs=5),
    "events text": request(events="x"),
    "events 0": request(events=0),
    "bypass_agents 5": request(bypass_agents=5),
    "state 5": request(state=5),
    "state empty": request(state={}),
    "state": request(state={"scheduler": {}, "progress": {}, "places": [], "began": 0, "bytes": 0}),
    "previous_results 5": request(previous_results=5),
    "indexed text": request(indexed="yes"),
    "deep": [raw(b'{"document":' + b"[" * 100_000 + b"]" * 100_000 + b"}")],
    "not JSON": [raw(b"{")],
    "encrypted": [raw(b"\x00\x01\x02", b"binary/encrypted")],
    "special not JSON": [raw({"document": GRAPH}, special=b"{")],
    "special bad path": [raw({"document": GRAPH}, special=[[["document", "zz", "q"], "undefined"]])],
    "special unknown": [raw({"document": GRAPH}, special=[[["document"], ["lambda", 1]]])],
    "special malformed": [raw({"document": GRAPH}, special=[[["document"], ["stored", 1, "x", 2, 3, 4]]])],
    "two arguments, one not JSON": [*request(), raw(b"{")],
    "two arguments, both not JSON": [raw(b"{"), raw(b"\xff", b"binary/encrypted")],
    "NaN": [raw(b'{"document": NaN}')],
    "special number": [raw({"document": GRAPH}, special=5)],
    "special new member": [raw({"document": GRAPH}, special=[[["document", 7], "undefined"]])],
    "special deep": [raw({"document": GRAPH}, special=PART)],
}


@pytest.mark.filterwarnings("ignore:.*run_workflow:pytest.PytestUnraisableExceptionWarning")
async def test_every_malformed_start_ends_typed(client: GraphClient) -> None:
    queue = "hostile-starts"
    async with build_worker(
        client.temporal, queue, WorkerOptions(agents=catalog(), settings=client.settings)
    ):
        ends = await asyncio.wait_for(
            asyncio.gather(*(end(client, queue, name, start) for name, start in STARTS.items())), 60
        )
    gc.collect()  # the SDK never awaits the coroutine of a run whose arguments are too many: it warns here
    assert {name: kind for name, kind in zip(STARTS, ends, strict=True) if kind != "UsageError"} == {
        "well-formed": "completed",
        "nodes list": "GraphError",
        "two arguments, one not JSON": "MalformedPayload",
        "two arguments, both not JSON": "MalformedPayload",
    }


async def end(client: GraphClient, queue: str, name: str, start: list[RawValue]) -> str:
    id = f"hostile {name}"
    handle = await client.temporal.start_workflow("Graph", args=start, id=id, task_queue=queue)
    try:
        await handle.result()
    except WorkflowFailureError as error:
        cause = error.cause
        return str(cause.type) if isinstance(cause, ApplicationError) else repr(cause)
    return "completed"
