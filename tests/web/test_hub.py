"""One watch for each run, whatever the number of its viewers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from perdure.errors import ConnectionFailed
from perdure.history.model import NodeModel, Phase, RunModel
from perdure.web.hub import Hub

pytestmark = pytest.mark.anyio


@dataclass
class FakeRun:
    """A run that counts how often it is read."""

    id: str
    reads: int = 0
    ended: int | None = None
    failures: int = 0

    def follow(self) -> FakeRun:
        return self

    async def model(self) -> RunModel:
        self.reads += 1
        if self.failures:
            self.failures -= 1
            raise ConnectionFailed("no answer")
        phase = Phase.RUNNING if self.ended is None else Phase.COMPLETED
        nodes = {name: NodeModel(address=name, node=name, agent="x") for name in ("a", "b")}
        nodes["a"] = NodeModel(address="a", node="a", agent="x", phase=phase)
        state = "running" if self.ended is None else "completed"
        return RunModel(id=self.id, name="g", state=state, graph={}, nodes=nodes, ended=self.ended)

    async def stream(self, interval: float) -> Any:
        del interval
        return
        yield


@dataclass
class FakeClient:
    """Runs by their ids."""

    runs: dict[str, FakeRun] = field(default_factory=dict[str, FakeRun])

    def get(self, id: str) -> FakeRun:
        return self.runs.setdefault(id, FakeRun(id))


async def test_twenty_viewers_cost_one_reader_and_see_the_same() -> None:
    client = FakeClient()
    hub = Hub(cast(Any, client))
    seen: list[list[tuple[str, Any]]] = [[] for _ in range(20)]

    async def view(events: list[tuple[str, Any]]) -> None:
        async for event in hub.events("r"):
            events.append(event)
            if len(events) == 1 and all(seen):
                client.runs["r"].ended = 5

    await asyncio.gather(*(view(events) for events in seen))
    assert client.runs["r"].reads == 2
    for events in seen:
        assert [name for name, _ in events] == ["state", "state", "end"]
        assert set(events[0][1]["boxes"]) == {"a", "b"}
        assert set(events[1][1]["boxes"]) == {"a"}


async def test_a_server_that_does_not_answer_is_asked_again() -> None:
    client = FakeClient()
    hub = Hub(cast(Any, client))
    events = hub.events("r")
    client.get("r").failures = 1
    assert (await anext(events))[1] == {"trouble": "no answer"}
    state = (await anext(events))[1]
    assert (state["trouble"], set(state["boxes"])) == (None, {"a", "b"})
    await events.aclose()


async def test_a_watch_ends_with_its_last_viewer() -> None:
    client = FakeClient()
    hub = Hub(cast(Any, client))
    events = hub.events("r")
    assert (await anext(events))[0] == "state"
    await events.aclose()
    reads = client.runs["r"].reads
    again = hub.events("r")
    assert (await anext(again))[0] == "state"
    assert client.runs["r"].reads == reads + 1
    await again.aclose()


async def test_so_many_runs_are_watched_at_a_time() -> None:
    hub = Hub(cast(Any, FakeClient()))
    views = [hub.events(f"r{index}") for index in range(101)]
    first = [await anext(view) for view in views]
    assert [name for name, _ in first].count("state") == 100
    assert first[-1][0] == "error"
    hub.close()
    for view in views:
        await view.aclose()
