"""What other workers answer, and what comes with it, read by a run: whatever it is, it ends its node only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import RunFailed
from perdure.protocol.names import DIRECTORY
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio


def raw(data: bytes, encoding: bytes = b"json/plain", **metadata: bytes) -> RawValue:
    named = {f"perdure-{name}": value for name, value in metadata.items()}
    return RawValue(Payload(metadata={"encoding": encoding, **named}, data=data))


ANSWERS: dict[str, tuple[RawValue, str | None]] = {
    "fine": (raw(b'{"x": 1}'), None),
    "null": (raw(b"", b"binary/null"), None),
    "bytes": (raw(b"\x00\x01\xff", b"binary/plain"), "is encoded as 'binary/plain', not as JSON"),
    "encrypted": (raw(b"\x80abc", b"binary/encrypted"), "is encoded as 'binary/encrypted', not as JSON"),
    "not JSON": (raw(b"{"), "cannot be read: Expecting property name"),
    "NaN": (raw(b"[NaN]"), "cannot be read: NaN is not JSON"),
    "deep": (raw(b"[" * 501 + b"]" * 501), "cannot be read: nested deeper than 500 levels"),
    "deeper": (raw(b"[" * 100_000), "cannot be read: nested too deeply"),
    "digits": (raw(b"9" * 5_000), "cannot be read: Exceeds the limit"),
    "special: not JSON": (raw(b"[1]", special=b"{"), "cannot be read: Expecting property name"),
    "special: number": (raw(b"[1]", special=b"5"), "cannot be read"),
    "special: nowhere": (raw(b"[1]", special=b'[[["x"],"NaN"]]'), "cannot be read: there is no place 'x'"),
    "special: new": (raw(b"{}", special=b'[[[7],"NaN"]]'), "cannot be read: there is no place 7"),
    "special: unknown": (raw(b"[1]", special=b'[[[0],["lambda",1]]]'), "unknown here: ['lambda']"),
    "console: number": (raw(b"2", console=b"5"), None),
    "console: not JSON": (raw(b"2", console=b"{", stream=b"{"), None),
    "console: objects": (raw(b"2", console=b'[{"x":1}, "line"]', stream=b'{"attempt": "x"}'), None),
    "stream: list": (raw(b"2", stream=b"[1]"), None),
}

BATCHES: dict[str, RawValue] = {
    "number": raw(b"5"),
    "too few": raw(b"[]"),
    "rows of nothing": raw(b'[[], ["completed"]]'),
    "failed by a number": raw(b'[["failed", 5, "failed", true], ["failed", "m", "lost", true]]'),
    "no JSON": raw(b"["),
}


FAILURES = {
    "failing with an odd detail": [raw(b"\xff", b"binary/encrypted")],
    "failing with two": [raw(b"\xff", b"binary/encrypted"), raw(b"{")],
}


class Forger:
    """Answers what is asked for; its queue has agents, as that of a worker of Perdure, where it says so."""

    def __init__(self, *, registry: object = None) -> None:
        self.registry = registry

    @activity.defn(dynamic=True)
    async def anything(self, args: Sequence[RawValue]) -> RawValue:
        """The answer that the name of the activity stands for."""
        name = activity.info().activity_type
        if name == DIRECTORY:
            if self.registry is None:
                raise ApplicationError("no", type="NotFoundError", non_retryable=True)
            return raw(json.dumps(self.registry).encode())
        if name in FAILURES:
            details = FAILURES[name]
            raise ApplicationError("on purpose", *details, type="Odd", non_retryable=True)
        return BATCHES[name] if name in BATCHES else ANSWERS[name][0]


async def ends(client: GraphClient, queue: str, forger: Forger, names: list[str], **more: Any) -> Any:
    """What became of a run for each of the agents: the error of its node, None where it completed."""
    temporal = await Client.connect(client.temporal.service_client.config.target_host)
    options = WorkerOptions(agents=catalog(), settings=replace(client.settings, queues=("*",)))

    async def end(index: int, name: str) -> str | None:
        node = {"agent": name, "queue": f"{queue}-ts", "isResult": True, **more}
        run = await client.start({"nodes": {"n": node}}, name=f"{queue}-{index}", queue=queue)
        try:
            await run.result()
        except RunFailed as error:
            return error.errors.get("n", f"the run: {error}")
        return None

    async with (
        build_worker(client.temporal, queue, options),
        Worker(temporal, task_queue=f"{queue}-ts", activities=[forger.anything]),
    ):
        outcomes = await asyncio.wait_for(asyncio.gather(*map(end, range(len(names)), names)), 180)
    return dict(zip(names, outcomes, strict=True))


async def test_an_answer_that_cannot_be_read_fails_its_node(client: GraphClient) -> None:
    outcomes = await ends(client, "foreign-answers", Forger(), [*ANSWERS, *FAILURES])
    assert {outcomes.pop(name) for name in FAILURES} == {"Odd: on purpose"}
    expected = {name: error for name, (_, error) in ANSWERS.items()}
    assert {name for name, error in outcomes.items() if error is None} == {
        name for name, error in expected.items() if error is None
    }
    assert not [
        (name, outcomes[name]) for name, error in expected.items() if error and error not in outcomes[name]
    ]


async def test_results_of_a_batch_that_cannot_be_read_fail_its_nodes(client: GraphClient) -> None:
    forger = Forger(registry={"others": [*BATCHES]})
    outcomes = await ends(client, "foreign-batches", forger, [*BATCHES], batch=2)
    assert [(name, error) for name, error in outcomes.items() if "answer" not in str(error)] == []


async def test_a_forged_list_of_agents_is_that_of_no_worker_of_perdure(client: GraphClient) -> None:
    forger = Forger(registry={"others": [5], "queues": "x"})
    outcomes = await ends(client, "foreign-registry", forger, ["bytes"])
    assert "not as JSON" in outcomes["bytes"]
