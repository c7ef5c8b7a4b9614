"""A run for those who look at it: its status, its questions, and the details that the Temporal UI shows.

Nothing here changes the run. The details are made when a person opens them, and not at each workflow task,
although the SDK keeps them as a field that a workflow sets: an interceptor fills the field in the query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from temporalio import workflow
from temporalio.worker import (
    HandleQueryInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from perdure.engine.human_tasks import HumanPrompt
from perdure.engine.scheduler import Scheduler
from perdure.protocol.details import page_line
from perdure.protocol.interventions import Intervention
from perdure.protocol.names import WORKFLOW
from perdure.protocol.payloads import RunStatus
from perdure.protocol.progress import RunProgress
from perdure.workflows.human_tasks import HumanTasks
from perdure.workflows.segments import Segments

METADATA_QUERY: Final = "__temporal_workflow_metadata"


@dataclass(slots=True)
class RunView:
    """What can be seen of one run. `new_scheduler` makes one for a run that its last segment has ended.

    `interventions` are what people have changed.

    `played` is the scheduler that plays the run; None before it does.
    """

    progress: RunProgress
    segments: Segments
    human_tasks: HumanTasks
    new_scheduler: Callable[[], Scheduler]
    interventions: Callable[[], Sequence[Intervention]] = tuple
    played: Scheduler | None = None

    def scheduler(self) -> Scheduler | None:
        """The run as it is, also at its end, which only its last segment may have come to; None before it."""
        begun = self.played is not None
        if self.segments.end is None:
            return self.played
        scheduler = self.played = self.played or self.new_scheduler()
        if not scheduler.finished:
            self.progress.begun(scheduler)
            self.segments.play_to_end(scheduler, begun)
        return scheduler

    def status(self, console_from: int) -> RunStatus:
        """What the run is doing."""
        early = [] if self.segments.end is not None else self.human_tasks.questions.early()
        scheduler = self.scheduler()
        status = self.progress.status(scheduler, console_from, self.questions(), early)
        paused = () if scheduler is None else tuple(scheduler.board.paused)
        return replace(status, paused=paused, interventions=tuple(self.interventions()))

    def questions(self) -> list[HumanPrompt]:
        """What people are asked now."""
        return [] if self.segments.end is not None else self.human_tasks.questions.prompts()

    def details(self, run: str, page: str) -> str:
        """What the Temporal UI shows, with a link to the run of this id on the `page`, if there is one."""
        scheduler, top = self.scheduler(), page_line(page, run)
        return top if scheduler is None else self.progress.markdown(scheduler, self.questions(), top)


class RunDetails(Interceptor):
    """Answers the query of the Temporal UI with the details of a run; other workflows keep theirs."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        """The interceptor of queries."""
        return _DetailsInbound


class _DetailsInbound(WorkflowInboundInterceptor):
    async def handle_query(self, input: HandleQueryInput) -> Any:
        answer = await super().handle_query(input)
        if input.query == METADATA_QUERY and workflow.info().workflow_type == WORKFLOW:
            run: Any = workflow.instance()
            answer.current_details = run.details()
        return answer
