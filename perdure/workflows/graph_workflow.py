"""The one workflow type: what Temporal calls, and nothing else.

The run itself is a `RunShell`, which is built once its worker has said which agents there are; what is
decided about the graph is decided in perdure.engine. The commands that all of this emits are pinned by
the recorded histories in tests/replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from temporalio import workflow
from temporalio.common import RawValue

from perdure.engine.human_tasks import Answer
from perdure.engine.inbox.events import EventBatch, check_batch
from perdure.engine.lifecycle.approvals import APPROVAL_MARK
from perdure.errors import GraphError, PerdureError, UsageError
from perdure.graph.values import UNREADABLE, Value
from perdure.protocol.journal import RunJournal
from perdure.protocol.names import ANSWER_SIGNAL, EVENT_UPDATE, REPLAY_NAMESPACE, WORKFLOW
from perdure.protocol.payloads import RunChanges, RunRequest, RunStatus
from perdure.protocol.progress import RunProgress
from perdure.protocol.records import to_plain
from perdure.protocol.requests import read_request
from perdure.protocol.steering import RunGraph, SteeringOrder, SteeringReceipt
from perdure.protocol.wire import lacks_key, no_key, of_principal, principal_of, sender, unpack
from perdure.temporal.held_runs import HOLDERS
from perdure.workflows.host import TemporalHost, now_ms, own
from perdure.workflows.run_limits import EndError, ended
from perdure.workflows.run_shell import RunShell
from perdure.workflows.startup import start_up

MAX_NAME_CHARS = 200
"""Characters of who answers, and of the id of a submission."""


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
        self._host = TemporalHost()
        self._request = RunRequest(document={})
        self._refusal: UsageError | None = None
        try:
            raw = own(request)
            principal = principal_of(raw.payload)
            # a cron and a retry policy of a client set it too: a principal continues nothing
            is_continued = workflow.info().continued_run_id is not None and not principal
            self._request = read_request(RawValue(of_principal(raw.payload)), is_continued=is_continued)
            if not is_continued:
                self._request = replace(self._request, principal=principal)
        except UsageError as error:
            self._refusal = error  # `run` raises it: an exception here would leave its coroutine unawaited
        self._shell: RunShell | None = None  # without one, answers wait: the graph is not known yet
        self._signalled: list[Answer] = []
        self.journal: RunJournal | None = None
        HOLDERS.setdefault(workflow.info().run_id, self)

    @workflow.run
    async def run(self, request: RawValue) -> RawValue:
        """Runs to the end. Fails with an EndError of type RunFailed, GraphError or UsageError."""
        is_replay = workflow.info().namespace == REPLAY_NAMESPACE and self._refusal is None
        if lacks_key(request) and not is_replay:
            raise RuntimeError(no_key(request))  # not the run's fault: a worker that has the key can run it
        if self._refusal is not None:
            raise self._refusal
        host, now = self._host, now_ms(self._host)
        startup = await start_up(self._request, now)
        shell = self._shell = RunShell(host, self._request, startup, now, self.journal)
        try:
            result = await shell.run(self._signalled)
        except GraphError as error:
            raise EndError(str(error), error.problems[0].graphai, type="GraphError") from None
        except UsageError as error:
            raise EndError(str(error), type="UsageError") from None
        finally:
            shell.close()
        return await ended(host, self._request, result, shell.placement.has_store)

    @property
    def shell(self) -> RunShell | None:
        """The run, once its worker has said which agents there are: for replays."""
        return self._shell

    def held_bytes(self) -> int:
        """The bytes that the run holds, for the worker that keeps it in memory."""
        played = None if self._shell is None else self._shell.view.played
        return 0 if played is None else played.board.live

    @workflow.update(unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def answer(self, answer: Answer) -> Value:
        """A person answers the question of a node. The fields of a Receipt, for clients that send an id."""
        self._host.look()
        await workflow.wait_condition(lambda: self._shell is not None)
        receipt = None if self._shell is None else self._shell.waits.human_tasks.answer(answer)
        return to_plain(receipt) if answer.id else None

    @answer.validator
    def _check_answer(self, answer: Answer) -> None:
        shell = self._shell
        _require(answer, Answer)
        self._check_sender(sender.get(), answer.path)
        if not _is_well_formed(answer):
            raise UsageError("an answer has a path, and names who answers in at most 200 characters")
        refusal = None if shell is None else shell.waits.human_tasks.refusal(answer)
        if refusal is not None:
            raise UsageError(refusal)

    @workflow.update(name=EVENT_UPDATE, unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def take_events(self, batch: EventBatch) -> Value:
        """Events for nodes that wait for them, now or later. The fields of an EventReceipt."""
        self._host.look()
        await workflow.wait_condition(lambda: self._shell is not None)
        assert self._shell is not None
        return to_plain(self._shell.waits.events.take(batch))

    @take_events.validator
    def _check_events(self, batch: EventBatch) -> None:
        _require(batch, EventBatch)
        self._check_sender(sender.get())
        if self._shell is None:  # else it is checked again, by what the run waits for
            check_batch(batch)
        else:
            self._shell.waits.events.check(batch)

    @workflow.update(unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def steer(self, order: SteeringOrder) -> Value:
        """A person changes the run. The fields of a SteeringReceipt."""
        self._host.look()
        await workflow.wait_condition(lambda: self._shell is not None)
        assert self._shell is not None
        return to_plain(await self._shell.steering.submit(order))

    @steer.validator
    def _check_steering(self, order: SteeringOrder) -> None:
        shell = self._shell
        _require(order, SteeringOrder)
        self._check_sender(sender.get())
        if max(len(order.who), len(order.why)) > MAX_NAME_CHARS:
            raise UsageError("a change names who makes it, and why, in at most 200 characters each")
        if shell is not None:  # else it is checked when it is applied
            shell.steering.check(order, shell.view.scheduler())

    @workflow.signal(dynamic=True)
    async def any_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """An answer, if it has that name. Others mean nothing; but a run continues as new in time."""
        self._host.look()
        answer = self._signalled_answer(args) if name == ANSWER_SIGNAL else None
        if self._shell is None:
            self._signalled += () if answer is None else (answer,)
            return
        if answer is not None:
            self._shell.waits.human_tasks.answer_later(answer)
        self._shell.notify()

    def _signalled_answer(self, args: Sequence[RawValue]) -> Answer | None:
        """The answer in the arguments of a signal, None for anything else, or whose sender may not answer."""
        try:
            answer = unpack(own(args[0]), Answer)
            if not isinstance(answer, Answer) or not _is_well_formed(answer):
                return None
            self._check_sender(sender.get(), answer.path)
        except (*UNREADABLE, PerdureError):
            return None
        return answer

    def _check_sender(self, principal: str, path: str = "") -> None:
        """Raises UsageError for what a principal may not send: to runs of others, or to approve a call."""
        if principal and principal != self._request.principal:
            hint = f"{principal!r} answers and changes the runs that it has started"
            raise UsageError(f"this run was not started by {principal!r}", hint=hint)
        if principal and APPROVAL_MARK in path:
            hint = "an operator decides, with a key of workers"
            raise UsageError(f"{path}: a principal approves no calls", hint=hint)

    def details(self) -> str:
        """What the Temporal UI shows of the run."""
        shell = self._shell
        return "" if shell is None else shell.view.details(workflow.info().workflow_id, shell.page)

    @workflow.query
    def status(self, console_from: int = 0) -> RunStatus:
        """What the run is doing; `console_from` is the number of console lines already seen."""
        if self._shell is None:
            return RunProgress(self._request.name).status(None, console_from, [])
        return self._shell.view.status(console_from)

    @workflow.query
    def graph(self) -> RunGraph:
        """The graph of the run as it is now."""
        scheduler = None if self._shell is None else self._shell.view.scheduler()
        if self._shell is None or scheduler is None:
            return RunGraph(document=self._request.graph)
        return self._shell.steering.graph(scheduler)

    @workflow.query
    def preview(self, order: SteeringOrder) -> SteeringReceipt:
        """What would become of a change of the run."""
        shell = self._shell
        if shell is None:
            return SteeringReceipt(refusal="the run has not begun")
        return shell.steering.preview(order, shell.view.scheduler())

    @workflow.query
    def changes(self, since: int, console_from: int = 0) -> RunChanges:
        """What has changed from the change of number `since` on (perdure.protocol.trail)."""
        shell = self._shell
        if shell is None:
            return RunChanges()
        return shell.progress.changes(shell.view.scheduler(), since, console_from, shell.view.questions())


def _require(argument: object, kind: type[object]) -> None:
    """Raises UsageError for an update without its argument: null is None, whatever is asked for."""
    if not isinstance(argument, kind):
        raise UsageError(f"this update takes the fields of {kind.__name__}, and not null")


def _is_well_formed(answer: Answer) -> bool:
    words = (answer.path, answer.who, answer.id)
    are_strings = all(isinstance(word, str) for word in words)  # pyright: ignore[reportUnnecessaryIsInstance] -- from outside
    return are_strings and max(map(len, words[1:])) <= MAX_NAME_CHARS
