"""Notes when a run is at work in a workflow task, and ends one that keeps ending its worker processes.

What it notes of the last task of each cached run is used to forget runs (perdure.temporal.cached_runs).

Updates that the run could not answer do not reach it (perdure.temporal.update_bound).

Why: see perdure.daemon.work_journal. The SDK creates the code of a workflow through a runner; the one here
puts a few lines around each activation of a run of Perdure.

Invariants
    How far a run has come is the last event of the workflow task before the current one: the tasks before it
    were completed. Each worker that repeats a task finds the same number.
    A run is failed where its history ends. Before that, in a replay, the server would take a failure for
    a change of the workflow; so a run that ends processes even there is terminated.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from perdure.daemon.work_journal import SUSPECTS, WorkJournal, head
from perdure.daemon.worker_deaths import TASK
from perdure.errors import with_hint
from perdure.protocol.names import WORKFLOW
from perdure.temporal.cached_runs import CachedRun, CachedRuns
from perdure.temporal.update_bound import drop_large_updates

if TYPE_CHECKING:
    from temporalio import workflow
    from temporalio.bridge.proto.workflow_activation import WorkflowActivation
    from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion

LOG = logging.getLogger("perdure")

_HINT: Final = (
    "see the end of the workers' logs, and their memory; "
    "PERDURE_LOST_ATTEMPTS is how many processes may end so"
)


class JournalledRunner(WorkflowRunner):
    """Runs workflows by `inner`, those of Perdure with a note in the `journal`."""

    def __init__(self, inner: WorkflowRunner, journal: WorkJournal, client: Client) -> None:
        self._inner, self._journal, self._client = inner, journal, client
        self.cached: CachedRuns = {}

    def prepare_workflow(self, defn: workflow._Definition) -> None:  # pyright: ignore[reportPrivateUsage] -- the SDK's
        """As `inner` does."""
        self._inner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        """As `inner` does."""
        self._inner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """A run that comes to this worker: the processes that have died with it are counted by now."""
        instance = self._inner.create_instance(det)
        if det.info.workflow_type != WORKFLOW:
            return instance
        self._journal.look()
        return JournalledInstance(instance, self._journal, self._terminator(det.info), self.cached)

    def _terminator(self, info: workflow.Info) -> Callable[[str], object]:
        handle = self._client.get_workflow_handle(info.workflow_id, run_id=info.run_id)
        loop = asyncio.get_running_loop()
        return lambda reason: asyncio.run_coroutine_threadsafe(handle.terminate(reason=reason), loop)


class JournalledInstance(WorkflowInstance):
    """One run in the cache of a worker; `terminate` ends it from outside."""

    def __init__(
        self,
        inner: WorkflowInstance,
        journal: WorkJournal,
        terminate: Callable[[str], object],
        cached: CachedRuns,
    ) -> None:
        info = inner.get_info()
        self._inner, self._journal, self._terminate = inner, journal, terminate
        self._run, self._name = info.run_id, info.workflow_id
        self._head = head(TASK, info.run_id, info.workflow_id)
        self._place, self._task = 0, 0
        self._cached = cached
        cached[info.run_id] = CachedRun(info.workflow_id, info.run_id)

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """As `inner` does, unless the run has ended too many processes."""
        dropped = drop_large_updates(act)
        if dropped:
            LOG.warning("run %s: updates are too large, and are refused: %s", self._name, ", ".join(dropped))
        is_query = bool(act.jobs) and act.jobs[0].HasField("query_workflow")
        if act.history_length > self._task and not is_query:
            self._place, self._task = self._task, act.history_length
        deaths = self._journal.deaths.tasks.get(self._run)
        if deaths is None or (act.jobs and act.jobs[0].HasField("remove_from_cache")):
            return self._noted(act)
        is_at_end = not act.is_replaying and not is_query
        if is_at_end and self._place > deaths.place:
            self._journal.deaths.forget(self._run)
        elif deaths.count >= self._journal.limit:
            self._refuse(deaths.count, is_at_end)
        if deaths.count < self._journal.limit - 1:
            return self._noted(act)
        if not SUSPECTS.acquire(blocking=False):
            raise RuntimeError("another run that may end this process is at work: this one waits")
        try:
            return self._noted(act)
        finally:
            SUSPECTS.release()

    def _noted(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        mark = self._journal.begin(self._head, str(self._place))
        try:
            return self._inner.activate(act)
        finally:
            self._journal.end(mark)
            if act.jobs and act.jobs[0].HasField("remove_from_cache"):
                self._cached.pop(self._run, None)
            elif run := self._cached.get(self._run):
                run.used_s = time.monotonic()

    def _refuse(self, count: int, is_at_end: bool) -> None:
        """Ends the run; in a replay only if one more process has died, perhaps there."""
        finding = (
            f"run {self._name} has ended {count} worker processes of this host in its workflow task after "
            f"event {self._place} of its history"
        )
        if is_at_end:
            LOG.error("%s: it fails", finding)
            raise ApplicationError(with_hint(finding, _HINT), type="RunFailed", non_retryable=True)
        if count > self._journal.limit:
            LOG.error("%s: it is terminated", finding)
            self._terminate(finding)
            raise RuntimeError(finding)

    def get_serialization_context(self, command_info: Any) -> Any:
        """That of `inner`."""
        return self._inner.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        """That of `inner`."""
        return self._inner.get_external_store_context(command_info)

    def get_info(self) -> workflow.Info:
        """That of `inner`."""
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        """That of `inner`."""
        return self._inner.get_thread_id()
