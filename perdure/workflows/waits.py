"""What a run answers itself, without a worker: questions to people, and waits for events or a time."""

from __future__ import annotations

from collections.abc import Callable

from perdure.engine.human_paths import may_ask
from perdure.engine.messages import Event, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.graph.values import Value
from perdure.protocol.agents import AgentRegistry, Placement
from perdure.protocol.payloads import RunRequest
from perdure.protocol.progress import RunProgress
from perdure.workflows.event_waits import EventWaits
from perdure.workflows.host import Host
from perdure.workflows.human_tasks import HumanTasks
from perdure.workflows.notices import Notices
from perdure.workflows.timers import Timers


class Waits:
    """The open ones of one run. `played` gives the scheduler that plays the run, None once it is over."""

    def __init__(
        self,
        host: Host,
        request: RunRequest,
        registry: AgentRegistry,
        placement: Placement,
        timers: Timers,
        progress: RunProgress,
        arrive: Callable[[Event], None],
        notify: Callable[[], None],
        played: Callable[[], Scheduler | None],
    ) -> None:
        self._placement, self._played = placement, played
        notices = Notices(host, request.name, registry, progress, notify)
        parts = host, request, registry, timers, progress
        self.human_tasks = HumanTasks(*parts, arrive, self._is_never_asked, notices)
        self.events = EventWaits(host, request, timers, arrive, played)

    def takes(self, command: RunAgent) -> bool:
        """Whether a call is answered here."""
        agent, placement = command.agent, self._placement
        return (agent in placement.human or agent in placement.waits) and not placement.is_excluded(agent)

    def open(self, command: RunAgent) -> None:
        """A node waits."""
        if command.agent in self._placement.human:
            self.human_tasks.ask(command)
        else:
            self.events.open(command)

    def drop(self, call: int) -> None:
        """The call was abandoned; its timer is the caller's."""
        self.human_tasks.close(call)
        self.events.close(call)

    async def end(self) -> None:
        """The run is over."""
        await self.human_tasks.end()

    def is_idle(self) -> bool:
        """Whether the next run of a chain would hear of all that is under way."""
        return self.human_tasks.notices.is_idle()

    def state(self) -> dict[str, Value]:
        """What the next run of a chain continues with; empty for nothing."""
        return {**self.human_tasks.state(), **self.events.state()}

    def _is_never_asked(self, path: str) -> bool:
        scheduler = self._played()
        return scheduler is None or not may_ask(scheduler.root, self._placement.human, path)
