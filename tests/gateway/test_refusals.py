"""Events that cannot be taken, or even written: each is refused for itself, and holds up no others."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from perdure.engine.inbox.events import EventReceipt, ExternalEvent
from perdure.errors import UsageError
from perdure.gateway.delivery import Delivery
from perdure.gateway.http import events_app
from perdure.gateway.routes import Message, Routes, Target

pytestmark = [pytest.mark.unit, pytest.mark.anyio]

ROUTES = Routes([{"topic": "#", "run": "r-${body.c}"}], {})


class Client:
    """Its runs take every event, but cannot write those whose body says so."""

    def get(self, id: str) -> Any:
        async def send(*events: ExternalEvent) -> EventReceipt:
            if any(event.body["c"] == "unwritable" for event in events):
                raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
            return EventReceipt(taken=len(events))

        return SimpleNamespace(send=send)


def delivery() -> Delivery:
    client: Any = Client()
    return Delivery(client, 0.01)


@pytest.mark.parametrize("name", ["\ud800", "x" * 199, "", "\n"])
def test_a_run_id_that_no_run_can_have(name: str) -> None:
    with pytest.raises(UsageError, match="is not a valid id"):
        Routes([{"topic": "#", "run": "${body.c}" + "${body.c}" * (len(name) > 1)}], {}).target(
            Message(topic="t", body={"c": name})
        )


def test_any_body_has_an_id_and_zero_is_one() -> None:
    bodies: list[Any] = [
        {"c": 1, "v": value} for value in (float("inf"), float("inf"), "\ud800", float("nan"))
    ]
    ids = [ROUTES.target(Message(topic="t", body=body)).event.id for body in bodies]
    assert ids[0] == ids[1]
    assert len({*ids}) == 3
    named = Routes([{"topic": "#", "run": "r", "id": "${body.n}"}], {})
    assert named.target(Message(topic="t", body={"n": 0})).event.id == "0"


async def test_an_event_that_cannot_be_written_is_refused_alone() -> None:
    targets = [
        Target(run="r", event=ExternalEvent(topic="t", id=str(n), body={"c": body}))
        for n, body in enumerate(("a", "unwritable", "b"))
    ]
    delivering = delivery()
    first, second, third = await asyncio.gather(*map(delivering.deliver, targets), return_exceptions=True)
    await delivering.close()
    assert (first, third, delivering.counts) == (None, None, {"taken": 2, "already": 0, "refused": 1})
    assert "it cannot be sent: UnicodeEncodeError" in str(second)


async def test_http_judges_each_event_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    delivering = delivery()

    def target(self: Routes, message: Message) -> Target:
        if message.body == {"c": "bug"}:
            raise ZeroDivisionError("a bug")
        return Target(run="r", event=ExternalEvent(topic="t", id="i", body=message.body))

    monkeypatch.setattr(Routes, "target", target)
    rows: list[Any] = [
        *(3, {"topic": ""}, {"topic": "t", "body": {"c": 1}}),
        *({"topic": "t", "body": {"c": "unwritable"}}, {"topic": "t", "body": {"c": "bug"}}),
    ]
    transport = httpx2.ASGITransport(app=events_app(ROUTES, delivering))
    async with httpx2.AsyncClient(transport=transport, base_url="http://hub") as http:
        answer = await http.post("/events", json={"events": rows})
    await delivering.close()
    result = answer.json()
    assert (answer.status_code, result["taken"]) == (422, 1)
    assert [row["index"] for row in result["refused"]] == [0, 1, 3, 4]
    assert result["refused"][3]["error"] == "ZeroDivisionError: a bug"
    assert delivering.counts["refused"] == 4


@pytest.mark.parametrize(
    "payload", [b'{"c": 1e999}', b'{"c": "\\ud800"}', b'{"c": "unwritable"}', b"[[", b"{}"]
)
async def test_mqtt_acknowledges_what_it_refuses(payload: bytes) -> None:
    pytest.importorskip("paho.mqtt.client", reason="needs the extra perdure[edge]")
    from perdure.gateway.mqtt import MqttGateway

    delivering = delivery()
    acknowledged: list[int] = []
    refused: list[str] = []

    def ack(mid: int, qos: int) -> None:
        acknowledged.append(mid)

    def keep(topic: str, data: bytes, why: str) -> None:
        refused.append(why)

    client: Any = SimpleNamespace(ack=ack)
    message: Any = SimpleNamespace(topic="t", payload=payload, mid=7, qos=1)
    gateway = MqttGateway(ROUTES, delivering, "", 1, "g", refused=keep)
    await gateway._deliver(client, message)  # pyright: ignore[reportPrivateUsage] -- what the broker calls
    await delivering.close()
    assert acknowledged == [7]
    assert len(refused) == delivering.counts["refused"] == (0 if b"999" in payload else 1)
