"""Real payloads to begin with: of the recorded histories, and as the code of today writes them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from perdure.engine.human_tasks import Answer
from perdure.engine.inbox.events import EventBatch, ExternalEvent
from perdure.engine.messages import AgentCompleted, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import snapshot
from perdure.errors import PerdureError
from perdure.graph.deferred import BlobRef, Projection
from perdure.graph.values import UNDEFINED
from perdure.protocol.payloads import BatchCall, StreamTail
from perdure.protocol.requests import read_request
from perdure.protocol.wire import pack, to_payload
from tests.support.histories import HISTORIES

MAX_SEED_BYTES = 6_000
"""Larger payloads take long, and have the same fields."""

BLOB = BlobRef("0" * 64, 70_000, "object", 2, ("a", "b"))


def starts() -> list[Payload]:
    return list(_recorded("workflowExecutionStartedEventAttributes", "input"))


def calls() -> list[Payload]:
    far = {"agent": "copyAgent", "inputs": {"x": BLOB, "u": UNDEFINED}, "params": {"k": 1}}
    batch = BatchCall(calls=[{"inputs": 1, "path": "p", "key": "k"}], shared=far)
    return [*_recorded("activityTaskScheduledEventAttributes", "input"), to_payload(batch)]


def results() -> list[Payload]:
    """Results of agents, alone and together, of segments and of whole runs."""
    part = Projection(BLOB, (("a", True),))
    batch = [["completed", {"x": [1, UNDEFINED, BLOB]}], ["failed", "m", "failed", True], ["again"], part]
    stream = {"attempt": 1, "offset": 0, "text": "t"}
    return [
        *_recorded("activityTaskCompletedEventAttributes", "result"),
        *_recorded("workflowExecutionCompletedEventAttributes", "result"),
        *_recorded("markerRecordedEventAttributes", "details", "result"),
        pack(batch, console=["line"], stream=stream).payload,
    ]


def answers() -> list[Payload]:
    full = Answer(path="ask", value={"x": [1, UNDEFINED]}, who="ann", id="a1")
    return [to_payload(full), to_payload(Answer(path="a.b[0].c", value=None))]


def events() -> list[Payload]:
    """Batches of events."""
    full = ExternalEvent(topic="t", id="1", key="k", sender="s", at=5, body={"x": [1, UNDEFINED]})
    return [to_payload(EventBatch(events=(full, ExternalEvent(topic="t", id="2"))))]


def heartbeats() -> list[Payload]:
    account = {"transient": 2, "lost": 1, "last": "the network"}
    tails = StreamTail(2, 40, "some text"), StreamTail(3, 0, "", account=account)
    return [to_payload(tail) for tail in tails]


@cache
def snapshots() -> list[Payload]:
    """Requests of runs that continue, from each recorded start: at its beginning and after some answers."""
    return list(_continued())


def _continued() -> Iterator[Payload]:
    for start in starts():
        request = read_request(RawValue(start), is_continued=False)
        scheduler = Scheduler(request.document, request.options, event_steps=50_000)
        commands, fields = scheduler.start(1_000), json.loads(start.data)
        for step in range(8):
            made = _state(scheduler)
            if len(to_payload(made).data) < MAX_SEED_BYTES:
                yield to_payload({**fields, "document": {}, "state": made})
            asked = [command for command in commands if isinstance(command, RunAgent)]
            if not asked:
                break
            try:
                commands += scheduler.handle(AgentCompleted(asked[0].call, {"x": [step, UNDEFINED]}), 2_000)
            except PerdureError:
                break
            commands.remove(asked[0])


def _state(scheduler: Scheduler) -> dict[str, Any]:
    """What a run hands on to the one that continues it."""
    call = scheduler.board.last_call
    return {
        "scheduler": snapshot(scheduler),
        "places": [[call, 0, ["completed", 1]], [call + 1, 2, ["settled"]], [call + 2, 0, None]],
        "progress": {
            "counts": {"completed": 1},
            "console": ["line"],
            "lines": 1,
            "failed": [["a.b", "message"]],
            "since": [[1, "a", 1_000]],
        },
        "began": 1_000,
        "bytes": 500,
        "people": {
            "receipts": [["a1", "ask", False, False, 1, 1, "ann", 5, "d"]],
            "closed": [["ask", "ask", "answered", 3, "ann", "", "d"]],
            "open": [[1, 5, [], ["ann"], 0, False]],
            "early": [["ask", {"x": 1}, "ann", "a2", 7]],
            "audience": ["ann"],
        },
    }


def _recorded(kind: str, *names: str) -> Iterator[Payload]:
    """Payloads of the events of one kind in all histories, found under these names; the small ones."""
    for path in HISTORIES:
        for event in json.loads(path.read_text())["events"]:
            node: Any = event.get(kind, {})
            if node.get("activityType", {}).get("name", "").startswith("perdure."):
                continue  # not an agent
            for name in names:
                node = node.get(name, {})
            for item in node.get("payloads", ()):
                payload = _payload(item)
                if len(payload.data) < MAX_SEED_BYTES:
                    yield payload


def _payload(item: dict[str, Any]) -> Payload:
    metadata = {name: base64.b64decode(data) for name, data in item.get("metadata", {}).items()}
    return Payload(metadata=metadata, data=base64.b64decode(item.get("data", "")))
