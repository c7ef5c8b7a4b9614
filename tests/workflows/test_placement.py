"""Calls go to the task queues that data names, if the operator allows them."""

from dataclasses import replace
from typing import Any

import pytest

from perdure.agents.agent import Agent, agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import RunFailed
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio


def site(name: str) -> dict[str, Agent]:
    @agent("whereAgent")
    async def where() -> str:
        return name

    return {"whereAgent": where.agent}  # type: ignore[attr-defined] -- functions carry attributes


GRAPH: dict[str, Any] = {
    "nodes": {
        "sites": {"value": [{"queue": "place-a"}, {"queue": "place-b"}, {"queue": "place-a"}]},
        "fit": {
            "agent": "mapAgent",
            "inputs": {"rows": ":sites"},
            "params": {"compositeResult": True},
            "isResult": True,
            "graph": {
                "nodes": {
                    "at": {"agent": "whereAgent", "queue": ":row.queue", "heartbeat": 2, "isResult": True}
                }
            },
        },
    }
}


async def test_each_row_is_called_where_its_data_is(client: GraphClient) -> None:
    def worker(queue: str, agents: dict[str, Agent], allowed: tuple[str, ...] = ()) -> Any:
        settings = replace(client.settings, queues=allowed)
        return build_worker(client.temporal, queue, WorkerOptions(agents=agents, settings=settings))

    async with (
        worker("place", catalog(), ("place-a", "place-b")),
        worker("place-closed", catalog(), ("place-a",)),
        worker("place-a", site("a")),
        worker("place-b", site("b")),
    ):
        run = await client.start(GRAPH, queue="place")
        assert (await run.result()).results == {"fit": {"at": ["a", "b", "a"]}}
        history = await run.handle.fetch_history()
        timeouts = [
            event.activity_task_scheduled_event_attributes.heartbeat_timeout.ToSeconds()
            for event in history.events
            if event.activity_task_scheduled_event_attributes.activity_type.name == "whereAgent"
        ]
        assert timeouts == [2, 2, 2]
        with pytest.raises(RunFailed, match="graphs may not use the task queue 'place-b'"):
            await (await client.start(GRAPH, queue="place-closed")).result()
