"""What a run in this process answers itself: questions to people, and waits for events or a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from perdure.agents.agent import Agent
from perdure.engine.human_paths import may_ask
from perdure.engine.messages import Event, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.graph.human_input import APPROVAL
from perdure.memory.event_waits import MemoryEventWaits
from perdure.memory.human_tasks import Ask, MemoryHumanTasks


class MemoryWaits:
    """The open ones of one run. Questions without an `ask` wait for an answer if `answers` is set."""

    def __init__(
        self,
        scheduler: Scheduler,
        agents: Mapping[str, Agent],
        ask: Ask | None,
        answers: bool,
        arrive: Callable[[Event], None],
    ) -> None:
        self._scheduler, self._agents = scheduler, agents
        self._asks = answers or ask is not None
        self.human_tasks = MemoryHumanTasks(ask, arrive, self._is_never_asked)
        self.events = MemoryEventWaits(arrive, lambda: scheduler.root.plan.document)

    def open(self, agent: Agent | None, command: RunAgent) -> bool:
        """Whether a call is answered here; then its node waits. Without people, nothing is approved."""
        if command.agent == APPROVAL and self._asks:
            self.human_tasks.ask(command)
            return True
        if agent is None or not (agent.waits or (agent.human and self._asks)):
            return False
        if agent.waits:
            self.events.open(command)
        else:
            self.human_tasks.ask(command)
        return True

    def close(self, call: int) -> None:
        """The call was abandoned."""
        self.human_tasks.close(call)
        self.events.close(call)

    def end(self) -> None:
        """The run is over."""
        self.human_tasks.end()
        self.events.end()

    def _is_never_asked(self, path: str) -> bool:
        human = {name for name, agent in self._agents.items() if agent.human}
        return self._scheduler.finished or not may_ask(self._scheduler.root, human, path)
