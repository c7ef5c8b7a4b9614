"""The one workflow type: what Temporal calls, and nothing else.

The run itself is a `RunShell`, which is built once its worker has said which agents there are; what is
decided about the graph is decided in perdure.engine. The commands that all of this emits are pinned by
the recorded histories in tests/replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from temporalio import workflow
from temporalio.common import RawValue

from perdure.errors import GraphError, PerdureError, UsageError
from perdure.protocol.journal import RunJournal
from perdure.protocol.names import WORKFLOW
from perdure.protocol.payloads import Answer, RunRequest, RunStatus
from perdure.protocol.progress import RunProgress
from perdure.protocol.requests import read_request
from perdure.workflows.host import TemporalHost
from perdure.workflows.human_tasks import HumanTasks
from perdure.workflows.run_limits import EndError, ended
from perdure.workflows.run_shell import RunShell, now_ms
from perdure.workflows.startup import start_up


@workflow.defn(name=WORKFLOW, failure_exception_types=[PerdureError], sandboxed=False)
class GraphWorkflow:
    """Runs one graph: the document comes in the request, the results go out in a RunResult.

    What replays a history may set `journal` before the run begins.
    """

    def __new__(cls, *arguments: object) -> Self:
        """Refuses a start with more arguments than one, or none: `__init__` is never called then."""
        if len(arguments) != 1:
            raise UsageError(f"a run takes one argument, its request, and not {len(arguments)}")
        return super().__new__(cls)

    @workflow.init
    def __init__(self, request: RawValue) -> None:  # pyright: ignore[reportInconsistentConstructor] -- __new__ takes any number of arguments, to refuse them
        is_continued = workflow.info().continued_run_id is not None
        self._request = RunRequest(document={})
        self._refusal: UsageError | None = None
        try:
            self._request = read_request(request, is_continued=is_continued)
        except UsageError as error:
            self._refusal = error  # `run` raises it: an exception here would leave its coroutine unawaited
        self._shell: RunShell | None = None
        self.journal: RunJournal | None = None

    @workflow.run
    async def run(self, request: RawValue) -> RawValue:
        """Runs to the end. Fails with an EndError of type RunFailed, GraphError or UsageError."""
        del request
        if self._refusal is not None:
            raise self._refusal
        host = TemporalHost()
        now = now_ms(host)
        opening = await start_up(self._request, now)
        shell = self._shell = RunShell(host, self._request, opening, now, self.journal)
        try:
            result = await shell.run()
        except GraphError as error:
            raise EndError(str(error), error.problems[0].graphai, type="GraphError") from None
        except UsageError as error:
            raise EndError(str(error), type="UsageError") from None
        finally:
            shell.close()
        return await ended(host, self._request, result, shell.has_store, shell.progress.place_of(result))

    @property
    def shell(self) -> RunShell | None:
        """The run, once its worker has said which agents there are: for replays."""
        return self._shell

    @workflow.update
    async def answer(self, answer: Answer) -> None:
        """A person answers the question of a node."""
        if self._shell is not None:
            self._shell.answer(answer.path, answer.value)

    @answer.validator
    def _check_answer(self, answer: Answer) -> None:
        path = answer.path
        shell = self._shell
        refusal = HumanTasks().no_question(path) if shell is None else shell.refusal(path, answer.value)
        if refusal is not None:
            raise UsageError(refusal)

    @workflow.signal(dynamic=True)
    async def any_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """Signals mean nothing to a graph; but their events count, and a run continues as new in time."""
        del name, args
        if self._shell is not None:
            self._shell.notify()

    @workflow.query
    def status(self, console_from: int = 0) -> RunStatus:
        """What the run is doing; `console_from` is the number of console lines already seen."""
        if self._shell is None:
            return RunProgress(self._request.name).status(None, console_from, [])
        return self._shell.status(console_from)
