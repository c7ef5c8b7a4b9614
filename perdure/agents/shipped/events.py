"""Agents for events: the run itself answers those that wait (perdure.engine.inbox); one sends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.schema import anything, array, either, fields, mapping, number, one_of, text
from perdure.engine.inbox.events import EventBatch, ExternalEvent, check_batch
from perdure.errors import ConnectionFailed, FinalError, NotFound, TransientError, UsageError
from perdure.graph.javascript import to_string
from perdure.graph.values import Value, is_dict, is_number
from perdure.storage.outbox import Outbox

_TIME: Final = "such as 30s, 10m, 1h, or milliseconds"


@agent(
    "waitAgent",
    waits=True,
    category="event",
    inputs=fields(until=anything("instead of the parameter")),
    params=fields(
        **{
            "for": anything(f"how long, {_TIME}"),
            "until": anything("a time such as 2031-05-01T08:00:00Z, or milliseconds since 1970"),
        }
    ),
    output=fields(at=number("when it was over, in milliseconds since 1970")),
    samples=[Sample(params={"for": "10m"}, result={"at": 1_900_000_000_000})],
)
def wait() -> Value:
    """Waits for a time, without a worker."""
    raise FinalError("waitAgent is served by the run itself")


@agent(
    "eventAgent",
    waits=True,
    category="event",
    inputs=fields(
        **{
            "key": anything("takes events with this key only"),
            "from": anything("takes events of these senders only: ids, or rows with `run` or `id`"),
        }
    ),
    params=fields(
        "topic",
        topic=text("takes events of this topic"),
        count=either(number(), one_of("all")),
        within=anything(f"ends this long after the first event, {_TIME}"),
        deadline=anything(f"ends this long after the node has started, {_TIME}"),
    ),
    output=fields(
        events=array("in the order of arrival: topic, key, from, id, at, body", mapping()),
        count=number("of the events"),
        how=one_of("count", "within", "deadline"),
        missing=array("with `count: all`, the senders without an event"),
    ),
    samples=[
        Sample(
            inputs={"key": "press-4"},
            params={"topic": "telemetry", "count": 500, "within": "1s"},
            result={
                "events": [
                    {
                        "topic": "telemetry",
                        "key": "press-4",
                        "from": "sensor-1",
                        "id": "8f3",
                        "at": 1_900_000_000_000,
                        "body": {"vibration": 7.4},
                    }
                ],
                "count": 1,
                "how": "within",
                "missing": [],
            },
        )
    ],
)
def event() -> Value:
    """Waits for events of a topic, without a worker; those that came early are kept for it."""
    raise FinalError("eventAgent is served by the run itself")


@agent(
    "sendAgent",
    category="event",
    inputs=fields(
        to=text("the id of the run"),
        topic=text("instead of the parameter"),
        key=anything("such as the machine that the event is about"),
        body=anything("what the event says"),
        at=number("when it happened, in milliseconds since 1970 (when it is received)"),
        **{"from": text("the sender (this run)")},
    ),
    params=fields(to=text("the id of the run"), topic=text("what nodes wait for")),
    output=fields(to=text("the run"), taken=number("1, or 0 where the run had it already")),
    samples=[
        Sample(
            inputs={"to": "line-2", "body": {"load": 0.7}},
            params={"topic": "offers"},
            result={"to": "line-2", "taken": 1},
        )
    ],
)
async def send(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Sends an event to another run, once: a repeated attempt sends it under the same id."""
    values: dict[str, Value] = {**params, **(inputs if is_dict(inputs) else {})}
    to = values.get("to")
    if not isinstance(to, str) or not to:
        raise FinalError("sendAgent: inputs.to: the id of a run is missing")
    if context.send is None:
        raise FinalError("sendAgent: runs cannot be reached from here")
    event = _event("sendAgent", values, context.idempotency_key)
    try:
        receipt = await context.send(to, EventBatch(events=(event,)))
    except (NotFound, TransientError, ConnectionFailed) as error:  # it may be about to start, or to have room
        raise TransientError(f"sendAgent: {error.finding}", hint=error.hint) from error
    except UsageError as error:
        raise FinalError(f"sendAgent: {error.finding}", hint=error.hint) from error
    return {"to": to, "taken": receipt.taken}


@agent(
    "outboxAgent",
    category="event",
    inputs=fields(
        topic=text("instead of the parameter"),
        key=anything("such as the machine that the event is about"),
        body=anything("what the event says"),
        at=number("when it happened, in milliseconds since 1970 (now)"),
    ),
    params=fields(topic=text("what the routes of the hub look at")),
    output=fields(state=one_of("kept", "already", "dropped"), id=text("of the event")),
    samples=[
        Sample(
            inputs={"body": {"visitors": 12}},
            params={"topic": "stores/7"},
            result={"state": "kept", "id": "8f3"},
        )
    ],
)
async def outbox(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Keeps an event on this device for the hub, which `perdure edge` sends it to when it can be reached.

    A repeated attempt keeps it once, by its id. Raises TransientError while the outbox is full, unless
    PERDURE_OUTBOX_FULL drops the oldest events or the new one: then `state` is dropped.
    """
    values: dict[str, Value] = {**params, **(inputs if is_dict(inputs) else {})}
    id = uuid4().hex if context.run == "memory" else context.idempotency_key
    event = _event("outboxAgent", values, id)
    try:
        state = await asyncio.to_thread(Outbox.of(context.settings).put, event)
    except UsageError as error:
        raise FinalError(f"outboxAgent: {error.finding}", hint=error.hint) from error
    return {"state": state, "id": id}


def _event(name: str, values: Mapping[str, Value], id: str) -> ExternalEvent:
    """The event that inputs and params describe. Raises FinalError."""
    key, sender, at = values.get("key"), values.get("from"), values.get("at")
    event = ExternalEvent(
        topic=to_string(values.get("topic", "")),
        id=id,
        key="" if key is None else to_string(key),
        sender="" if sender is None else to_string(sender),
        at=float(at) if at is not None and is_number(at) else 0,
        body=values.get("body"),
    )
    try:
        check_batch(EventBatch(events=(event,)))
    except UsageError as error:
        raise FinalError(f"{name}: {error.finding}", hint=error.hint) from error
    return event
