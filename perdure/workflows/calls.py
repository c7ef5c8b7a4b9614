"""Calls of agents, in Temporal's words: the input of an activity, what its failure means."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType

from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.engine.outcomes import cut, failure_of_kind
from perdure.errors import AgentError, MalformedPayload
from perdure.graph.deferred import BlobRef
from perdure.graph.values import Value
from perdure.protocol.agents import Placement
from perdure.protocol.names import SESSION_LOST, TOO_LARGE_FOR_LOCAL
from perdure.protocol.payloads import AgentCall
from perdure.protocol.progress import RunProgress
from perdure.protocol.wire import metadata_of, strings

NOT_REGISTERED: Final = ("NotFoundError", "ActivityNotRegisteredError")
"""The types by which Temporal's SDKs say that a worker does not have an activity."""


MAX_FORGED_ANSWER_COUNT: Final = 3
"""Answers to one call that are not signed, until its node fails."""


@dataclass(slots=True)
class ForgedAnswers:
    """How often each call has been answered by who has no key of this installation."""

    _counts: dict[int, int] = field(default_factory=dict[int, int])

    def is_repeated(self, call: int) -> bool:
        """Whether a call whose answer is forged is sent once more: its worker has not failed."""
        self._counts[call] = self._counts.get(call, 0) + 1
        return self._counts[call] < MAX_FORGED_ANSWER_COUNT


def agent_call(
    command: RunAgent, run: str, placement: Placement, session: Mapping[str, Value] | None = None
) -> AgentCall:
    """What the activity of an agent receives; `run` is the id of the first run of the chain."""
    return AgentCall(
        agent=command.agent,
        inputs=command.inputs,
        params=command.params,
        config=command.config,
        filter_params=command.filter_params,
        node=command.node,
        path=command.path,
        key=command.key,
        run=run,
        retry=command.retry,
        is_result=command.is_result,
        version=command.version,
        verbose=command.verbose,
        timeout=command.options.timeout,
        bypassed=placement.is_bypassed(command.agent),
        deadline=command.options.deadline,
        keyed_by_work=placement.keys_by_work,
        grant=command.grant,
        principal=placement.principal,
        session=session,
    )


def failure(call: int, error: BaseException) -> AgentFailed:
    """What an activity's failure means for the node."""
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, ApplicationError):
        return failure_of_kind(cause.type, cause.message).answer(call)
    if isinstance(cause, TimeoutError):
        last = cause.cause or cause.__cause__
        because = f": {last}" if last is not None else ""
        return AgentFailed(call, f"no worker finished it in time ({cause.message}){because}", final=True)
    return AgentFailed(call, str(cause or error), final=True)


def foreign_failure(command: RunAgent, error: BaseException) -> AgentFailed:
    """What the failure of an activity means that is not an agent of Perdure's: the agent's own error.

    It counts against `retry`, unless the activity has marked it as not retryable.
    """
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, ApplicationError):
        return AgentFailed(command.call, cut(_message_of(command, cause)), final=cause.non_retryable)
    if isinstance(cause, TimeoutError) and cause.type == TimeoutType.START_TO_CLOSE:
        return AgentFailed(command.call, f"timeout: {command.agent} did not answer in time", "timed-out")
    return failure(command.call, error)


def _message_of(command: RunAgent, cause: ApplicationError) -> str:
    if cause.type in NOT_REGISTERED:
        finding = f"the worker of queue {command.options.queue!r} has no activity {command.agent!r}"
        return str(AgentError(finding, hint="register it there, or correct `agent` or `queue` of the node"))
    return (
        f"{cause.type}: {cause.message}" if cause.type and cause.message else cause.message or str(cause.type)
    )


def result_bytes(answer: AgentCompleted | AgentFailed | RunAgent) -> int:
    """Bytes of a result, wherever it is; a rough count for what is small."""
    result = answer.result if isinstance(answer, AgentCompleted) else None
    return result.size if isinstance(result, BlobRef) else len(str(result))


def is_too_large(error: BaseException) -> bool:
    """Whether a local activity failed because its result does not fit into a marker."""
    cause = error.cause if isinstance(error, ActivityError) else error
    return isinstance(cause, ApplicationError) and cause.type == TOO_LARGE_FOR_LOCAL


def is_session_lost(command: RunAgent, error: BaseException) -> bool:
    """Whether the worker of a call no longer holds its session, or has not taken the call."""
    if command.options.session is None:
        return False
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, TimeoutError):
        return cause.type == TimeoutType.SCHEDULE_TO_START
    return isinstance(cause, ApplicationError) and cause.type == SESSION_LOST


def keep_metadata(progress: RunProgress, path: str, result: RawValue) -> None:
    """What came with a result: console lines, the end of a stream."""
    with suppress(MalformedPayload):  # it is for watching only
        for line in strings(metadata_of(result, "console")):
            progress.add_console(line, path)
        stream = metadata_of(result, "stream")
        if stream is not None:
            progress.add_stream(path, stream)
