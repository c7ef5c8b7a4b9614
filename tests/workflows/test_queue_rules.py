"""However a run is started, its agents are on a queue that its worker allows, and none is an own activity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.protocol import names
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio

QUEUE = "queue-rules"
ACTIVITIES = (names.DIRECTORY, names.SEGMENT, names.FETCH, names.KEEP)
paid: list[Any] = []


@activity.defn(name="sleeperAgent")
async def transfer(call: Any) -> Any:
    """An activity of another application."""
    paid.append(call)
    return call


def nodes(agent: str, **keys: Any) -> dict[str, Any]:
    return {"nodes": {"a": {"agent": agent, "inputs": {"x": 1}, "isResult": True, **keys}}}


async def ending(
    client: GraphClient, id: str, request: Mapping[str, Any], allowed: tuple[str, ...] = ()
) -> Any:
    """What a start with `request` by a plain client of Temporal gives, or the error that ends the run."""
    stranger = await Client.connect(client.temporal.service_client.config.target_host)
    settings = replace(client.settings, queues=allowed)
    async with (
        build_worker(client.temporal, QUEUE, WorkerOptions(agents=catalog(), settings=settings)),
        Worker(stranger, task_queue="payments", activities=[transfer]),
    ):
        try:
            return await stranger.execute_workflow(names.WORKFLOW, request, id=id, task_queue=QUEUE)
        except WorkflowFailureError as error:
            cause: Any = error.cause
            return cause.type, cause.message


async def test_a_start_names_an_allowed_queue(client: GraphClient) -> None:
    paid.clear()
    hint = "where it serves agents for graphs, start the run's worker with PERDURE_QUEUES=payments"
    refused = f"queue: the run is on {QUEUE!r}, and it may not have its agents on 'payments'\n  hint: {hint}"
    for agent in ("sleeperAgent", "copyAgent"):
        request = {"document": nodes(agent), "queue": "payments"}
        assert await ending(client, f"refused-{agent}", request) == ("UsageError", refused)
    assert paid == []
    await ending(client, "allowed", {"document": nodes("sleeperAgent"), "queue": "payments"}, ("payments",))
    assert len(paid) == 1


async def test_a_start_on_the_queue_of_its_worker_needs_no_word(client: GraphClient) -> None:
    result = await ending(client, "own", {"document": nodes("sleeperAgent"), "queue": QUEUE})
    assert result["results"] == {"a": {"x": 1}}


@pytest.mark.parametrize("name", ACTIVITIES)
@pytest.mark.parametrize("keys", [{}, {"queue": QUEUE}, {"placement": "local", "queue": QUEUE}], ids=str)
async def test_no_activity_of_perdure_is_an_agent(
    client: GraphClient, name: str, keys: dict[str, Any]
) -> None:
    """By its own name, and by one that a node gives."""
    for agent, more in ((name, {}), (":v", {"v": {"value": name}})):
        graph = nodes(agent, **keys)
        graph["nodes"] |= more
        id = f"own-{name}-{agent}-{len(keys)}"
        kind, message = await ending(client, id, {"document": graph, "queue": QUEUE}, ("*",))
        assert kind in ("GraphError", "RunFailed")
        assert name in message
