"""Events through a gateway: acknowledged when their run has them, once, and refused with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from perdure.agents.catalog import catalog, load_agents
from perdure.client import GraphClient
from perdure.engine.inbox.events import ExternalEvent
from perdure.errors import ConnectionFailed
from perdure.gateway.delivery import Delivery
from perdure.gateway.http import serving
from perdure.gateway.routes import Routes, read_routes
from perdure.gateway.uplink import Uplink
from perdure.graph.text.load import load
from perdure.storage.outbox import Outbox
from perdure.web.access import token_of
from perdure.worker import WorkerOptions, build_worker
from tests.gateway import broker
from tests.support import edge
from tests.support.canary import CANARY, traces_in
from tests.support.durable import embedded
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[GraphClient]:
    del anyio_backend
    async with embedded(tmp_path_factory.mktemp("home")) as connected:
        yield connected


def watching(count: int) -> dict[str, Any]:
    """Ends with the bodies of `count` events of its component."""
    reading = {
        "agent": "eventAgent",
        "inputs": {"key": ":component"},
        "params": {"topic": "telemetry", "count": count},
        "isResult": True,
    }
    return {"nodes": {"component": {"value": ""}, "reading": reading}}


def routes(prefix: str, count: int) -> Routes:
    row = {
        "topic": f"{prefix}/+",
        "event": "telemetry",
        "key": "${level.1}",
        "id": "${body.n}",
        "run": f"{prefix}-${{key}}",
        "graph": "watch.yaml",
        "inputs": {"component": "${key}"},
        "queue": prefix,
    }
    return Routes([row], {"watch.yaml": watching(count)})


@asynccontextmanager
async def delivering(client: GraphClient, queue: str) -> AsyncIterator[Delivery]:
    delivery = Delivery(client, 0.2)
    options = WorkerOptions(agents=catalog(), settings=client.settings)
    try:
        async with build_worker(client.temporal, queue, options):
            yield delivery
    finally:
        await delivery.close()


def bodies(result: Any) -> list[int]:
    return sorted(row["body"]["n"] for row in result.results["reading"]["events"])


async def test_http(client: GraphClient, tmp_path: Path) -> None:
    async with (
        delivering(client, "web") as delivery,
        serving(tmp_path, routes("web", 20), delivery, "127.0.0.1", 0) as (url, token_file),
        httpx2.AsyncClient(base_url=url, timeout=120) as http,
    ):

        async def post(body: Any, token: str) -> Any:
            answer = await http.post("/events", json=body, headers={"authorization": f"Bearer {token}"})
            return answer.status_code, answer.json()

        token = token_file.read_text().strip()
        assert (token_file.name, token_file.stat().st_mode & 0o777) == ("gateway.token", 0o600)
        page_token = token_of(tmp_path)
        events = [{"topic": "web/a", "body": {"n": n}} for n in range(20)]
        assert (await post({"events": events[:15]}, "wrong"))[0] == 401
        assert (await post({"events": events[:15]}, page_token))[0] == 401
        assert await post({"events": events[:15]}, token) == (200, {"taken": 15, "refused": []})
        assert await post(events[15], token) == (200, {"taken": 1, "refused": []})
        assert await post({"events": [*events[10:], {"topic": "other"}]}, token) == (
            422,
            {"taken": 10, "refused": [{"index": 10, "error": "no route fits topic 'other'"}]},
        )
        assert bodies(await client.get("web-a").result()) == [*range(20)]
        status, answer = await post({"topic": "web/a", "body": {"n": 99}}, token)
        assert (status, "has ended" in answer["refused"][0]["error"]) == (422, True)
        assert (await post({"topic": "web/a", "what": 1}, token))[0] == 422
        assert (await post({"events": []}, token))[0] == 400
        assert (await http.get("/health")).json() == {"taken": 20, "already": 6, "refused": 3}


async def test_an_event_is_not_acknowledged_before_a_worker_has_it(client: GraphClient) -> None:
    target = routes("late", 1).target(broker.message("late/a", {"n": 1}))
    delivery = Delivery(client, 0.01)
    delivering_one = asyncio.ensure_future(delivery.deliver(target))
    try:
        done, _ = await asyncio.wait({delivering_one}, timeout=0.3)
        assert not done
        options = WorkerOptions(agents=catalog(), settings=client.settings)
        async with build_worker(client.temporal, "late", options):
            await asyncio.wait_for(delivering_one, 120)
            assert bodies(await client.get("late-a").result()) == [1]
    finally:
        await delivery.close()


async def has_taken(delivery: Delivery, count: int) -> bool:
    return delivery.counts["taken"] >= count


async def test_mqtt(client: GraphClient, tmp_path: Path) -> None:
    pytest.importorskip("paho.mqtt.client", reason="needs the extra perdure[edge]")
    if not broker.installed():
        pytest.skip("needs mosquitto, Debian's package")
    from perdure.gateway.mqtt import MqttGateway

    refused: list[str] = []
    async with delivering(client, "field") as delivery:
        with broker.running(tmp_path) as port:
            for numbers in (range(30), range(20, 50)):  # the gateway is away in between
                stopped = asyncio.Event()
                gateway = MqttGateway(routes("field", 50), delivery, "127.0.0.1", port, "gateway")
                gateway.refused = lambda topic, payload, why: refused.append(why)
                serving_it = asyncio.ensure_future(gateway.run(stopped))
                await asyncio.wait_for(gateway.subscribed.wait(), 120)
                await broker.published(port, [("field/a", {"n": n}) for n in numbers])
                await until(partial(has_taken, delivery, numbers.stop), "the run has the events")
                stopped.set()
                await serving_it
    assert bodies(await client.get("field-a").result()) == [*range(50)]
    assert refused == []


@asynccontextmanager
async def device(client: GraphClient, folder: Path, count: int) -> AsyncIterator[Outbox]:
    """The outbox of a device that has run the graph of docs/edge.md so often, and has had no hub yet."""
    settings = replace(client.settings, home=folder / "device", data={"cameras": folder / "frames.txt"})
    agents = {**catalog(), **load_agents(str(folder / "store.py"))}
    async with build_worker(client.temporal, "device", WorkerOptions(agents=agents, settings=settings)):
        graph = load((folder / "visit.yaml").read_bytes()).data
        runs = [await client.start(graph, {"minute": n}, queue="device") for n in range(count)]
        await asyncio.gather(*(run.result() for run in runs))
        box = Outbox.of(settings)
        box.put(ExternalEvent(topic="elsewhere", id="lost"))
        yield box


async def test_a_device_sends_what_waits_when_its_hub_is_there(client: GraphClient, tmp_path: Path) -> None:
    folder, token_file = edge.written(tmp_path, 12, CANARY), tmp_path / "hub" / "gateway.token"
    async with (
        httpx2.AsyncClient(timeout=120) as http,
        device(client, folder, 12) as box,
        delivering(client, client.settings.queue) as delivery,
    ):
        away = Uplink(box, "http://127.0.0.1:9", token_file, "store-7")
        with pytest.raises(ConnectionFailed, match="the token of the hub cannot be read"):
            await away.round(http)
        routing = read_routes(folder / "routes.yaml")
        async with serving(token_file.parent, routing, delivery, "127.0.0.1", 0) as (url, _):
            with pytest.raises(ConnectionFailed, match="does not answer"):
                await away.round(http)
            uplink = Uplink(box, url, token_file, "store-7")
            before = box.file.read_bytes()
            assert not await uplink.round(http)
            box.file.write_bytes(before)  # as if it had died before it knew that the hub has them
            assert not await uplink.round(http)
        status = box.status()
        assert (status.waiting, status.sent, status.refused) == (0, 12, 1)
        assert status.refusals == ("elsewhere lost: no route fits topic 'elsewhere'",)
        run = client.get("store-store-7")
        assert (await run.result()).results["total"] == edge.expected(12)
        history = await run.handle.fetch_history()
        assert traces_in(history.to_json(), str(delivery.counts)) == []
