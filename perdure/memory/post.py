"""Runs of this process that send events to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from perdure.agents.catalog import Agents
from perdure.engine.inbox.events import EventBatch, EventReceipt
from perdure.errors import NotFound
from perdure.graph.values import Value
from perdure.memory.environment import MemoryEnvironment
from perdure.memory.run import MemoryRun


@dataclass(slots=True)
class MemoryPost:
    """Delivers what `sendAgent` sends to the runs that were started here, by their ids."""

    environment: MemoryEnvironment = field(default_factory=MemoryEnvironment)
    runs: dict[str, MemoryRun] = field(default_factory=dict[str, MemoryRun])

    def start(
        self,
        graph: Mapping[str, Value],
        agents: Agents = (),
        inputs: Mapping[str, Value] | None = None,
        *,
        id: str,
    ) -> MemoryRun:
        """Starts a run in the running event loop; the errors are those of MemoryRun."""

        async def send(run: str, batch: EventBatch, /) -> EventReceipt:
            return await self._sent(id, run, batch)

        environment = replace(self.environment, send=send)
        run = self.runs[id] = MemoryRun(graph, agents, inputs, environment=environment, id=id)
        return run

    async def _sent(self, sender: str, to: str, batch: EventBatch) -> EventReceipt:
        if to not in self.runs:
            raise NotFound(f"run {to!r} is unknown")
        events = (replace(event, sender=event.sender or sender) for event in batch.events)
        return await self.runs[to].send(*events)
