"""What an agent's answer means for its node, and the one form in which answers are written.

An agent answers with a result or with an exception, and four routes lead from there to the scheduler: an
activity of its own, a batch, a segment, and the in-memory shell. Whether a failure is repeated, counted
against the node's `retry`, or final, and whether the node ends `failed` or `timed-out`, is decided here
alone: a route that decided for itself gave the same graph two results.

The invariant: `decoded(call, encoded(answer))` is the answer, and whatever an earlier version wrote is still
read, because histories and snapshots keep it. Positions instead of names keep a marker in history small,
which is why the form is a list. Where the versions of two workers meet, nothing may be written that the
older one would misread: `segment_answer` keeps the segment's older form, because an older worker takes the
third item for the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from perdure.engine.messages import AgentCompleted, AgentFailed, CallId, FailureState
from perdure.engine.state import NodeState
from perdure.errors import (
    AgentError,
    AgentTimeout,
    FinalError,
    MalformedPayload,
    NotGranted,
    PerdureError,
    SessionLost,
    TransientError,
)
from perdure.graph.values import Value

_CUT: Final = " characters more)"
MAX_MESSAGE_CHARS: Final = 8_000
"""Characters of the message of a failure, on every route: what a run keeps, shows, and ends with."""

FailureKind = Literal[
    "AgentError", "TransientError", "Timeout", "FinalError", "DeadlineExceeded", "NotGranted", "SessionLost"
]
"""How a failure is named as the type of Temporal's ApplicationError."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What an exception means for the node whose agent raised it.

    `message` is cut to MAX_MESSAGE_CHARS. A `final` failure is not repeated whatever `retry` says; a
    `transient` one is repeated with backoff and does not count, after `retry_after_s` seconds where known. A
    `refused` call may not be made, by a policy or by the graph: a `fallback` does not take its place. With
    `session_lost`, the call is made again on a restored state.
    """

    message: str
    state: FailureState = "failed"
    final: bool = False
    transient: bool = False
    retry_after_s: float | None = None
    refused: bool = False
    session_lost: bool = False

    @property
    def kind(self) -> FailureKind:
        """The name of this failure where only a name crosses."""
        if self.transient:
            return "TransientError"
        if self.refused:
            return "NotGranted"
        if self.session_lost:
            return "SessionLost"
        if self.state == "timed-out":
            return "DeadlineExceeded" if self.final else "Timeout"
        return "FinalError" if self.final else "AgentError"

    def answer(self, call: CallId) -> AgentFailed:
        """The failure as the answer to a call, once it is not repeated any more."""
        return AgentFailed(call, self.message, self.state, self.final, self.refused)


def failure_of(error: BaseException) -> Failure:
    """What `error`, raised by an agent or on the way to it, means for the node."""
    failure = as_agent_error(error)
    message = cut(str(failure).encode(errors="replace").decode())  # no payload holds half a surrogate pair
    match failure:
        case TransientError():
            return Failure(message, transient=True, retry_after_s=failure.retry_after)
        case AgentTimeout():
            return Failure(message, "timed-out")
        case SessionLost():
            return Failure(message, session_lost=True)
        case _:
            is_refused = isinstance(failure, NotGranted)
            return Failure(message, final=isinstance(failure, FinalError), refused=is_refused)


def end_of(error: Exception) -> tuple[NodeState, str, bool, bool]:
    """What an error makes of a node whose call was not made: state, message, whether it is final, refused."""
    return NodeState.FAILED, str(error), isinstance(error, FinalError), isinstance(error, NotGranted)


def failure_of_kind(kind: str | None, message: str) -> Failure:
    """What a failure means of which the kind has crossed: of an agent here, or of any other activity."""
    state = "timed-out" if kind in ("Timeout", "DeadlineExceeded") else "failed"
    is_final = kind not in ("AgentError", "Timeout", "SessionLost")
    lost = kind == "SessionLost"
    return Failure(message, state, final=is_final, refused=kind == "NotGranted", session_lost=lost)


def as_agent_error(error: BaseException) -> PerdureError:
    """Perdure's own errors as they are, any other with its type in front of its text."""
    if isinstance(error, PerdureError):
        return error
    kind, text = type(error).__name__, str(error)
    return AgentError(f"{kind}: {text}" if text else kind)


def cut(message: str) -> str:
    """The text of a failure, cut to what may go into the history; one that was cut stays as it is."""
    more = len(message) - MAX_MESSAGE_CHARS
    if more <= 0 or (message.endswith(_CUT) and message[MAX_MESSAGE_CHARS:].startswith(" … (") and more < 50):
        return message
    return f"{message[:MAX_MESSAGE_CHARS]} … ({more}{_CUT}"


def encoded(answer: AgentCompleted | AgentFailed | Failure) -> list[Value]:
    """An answer as plain data: without its call, which the reader knows.

    A transient failure is written as one to call again: its message is of no use to who reads it. So is a
    refusal: an activity of its own fails with a kind that says so, which this form cannot.
    """
    match answer:
        case AgentCompleted(_, result):
            return ["completed", result]
        case AgentFailed(_, message, state, final, _):
            return ["failed", message, state, final]
        case Failure():
            return ["again"] if answer.transient or answer.refused else encoded(answer.answer(0))


def decoded(call: CallId, data: Sequence[Value]) -> AgentCompleted | AgentFailed | None:
    """The answer to `call` that `encoded` wrote; None where the agent has to be called again.

    What `encoded` cannot have written is a final failure: to call again would bring the same.
    """
    match data:
        case ["completed", result]:
            return AgentCompleted(call, result)
        case ["failed", str() as message, ("failed" | "timed-out") as state, bool() as final]:
            return AgentFailed(call, message, state, final)
        case ["again"]:
            return None
        case _:
            return AgentFailed(call, "the agent's answer has an unknown form", final=True)


def segment_answer(path: str, answer: AgentCompleted | AgentFailed) -> list[Value]:
    """One answer of a segment: (call, path, result), or (call, path, null, message, state, final)."""
    if isinstance(answer, AgentCompleted):
        return [answer.call, path, answer.result]
    return [answer.call, path, None, answer.message, answer.state, answer.final]


def read_segment_answer(data: Sequence[Value]) -> tuple[str, AgentCompleted | AgentFailed]:
    """The path and the answer that `segment_answer` wrote, or (call, path, *encoded), the form to come.

    They differ in length, and in the third item: only an older failure has null, and more after it.
    Raises MalformedPayload for anything else.
    """
    if data.__class__ is list and len(data) == 3:  # nearly all, and there are thousands
        call, path, result = data
        if call.__class__ is int and path.__class__ is str:
            return path, AgentCompleted(call, result)
    match data:
        case [int() as call, str() as path, None, *failure]:
            answer = decoded(call, ["failed", *failure])
        case [int() as call, str() as path, "completed" | "failed", *_]:
            answer = decoded(call, data[2:])
        case _:
            raise MalformedPayload("an answer of a segment has an unknown form")
    if answer is None:
        raise MalformedPayload(f"{path}: an answer of a segment has an unknown form")
    return path, answer
