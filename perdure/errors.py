"""Every exception of Perdure, and the finding that checks report.

    PerdureError                  finding, hint
    +-- GraphError                the graph, or a policy, is wrong: one or more Problems (exit code 2)
    +-- UsageError                the call is wrong: an unknown option, a missing file (exit code 2)
    |   +-- NotFound              it names a run, a node or a route that does not exist
    +-- ConnectionFailed          no server, or no worker, answers (exit code 3)
    +-- RunFailed                 a run ended without a result (exit code 1)
    |   +-- RunCancelled          it was cancelled
    +-- RunConflict               the id is taken by a run with another body (exit code 2)
    +-- QuotaExceeded             a run has used up a quota: it ends as failed
    +-- FunctionError             a reference or a template cannot be evaluated, e.g. jsonParse() of no JSON
    +-- EngineError               a broken invariant of the engine itself: a bug in Perdure
    |   +-- InvalidTransition     a node was moved in a way that the table of states does not have
    +-- AgentError                an agent failed: counts against the node's `retry`
        +-- AgentTimeout          it took longer than it may: the node is timed-out
        +-- BadCall               an agent that runs graphs refuses its inputs
        +-- SessionLost           the state of a session is gone: restored, and the call is made again
        +-- TransientError        the environment failed: repeated with backoff, does not count
        |   +-- StoreUnavailable  the store of large values does not answer
        +-- FinalError            no repetition can help: the node fails at once
            +-- MalformedPayload  what another process has sent cannot be read
            +-- ObjectMissing     a large value is not in the store
            +-- ObjectCorrupt     a large value is damaged
            +-- NoStore           a value is in a store, and this process has none
            +-- ValueTooLarge     a value is too large to pass through Temporal
            +-- SizeExceeded      a value would be larger than one may be: it is not built
            +-- CannotKeep        what a run has made cannot be brought to the store
            +-- HistoryFull       a run can neither continue nor be carried on in a new one
            +-- NotGranted        the policy, or the graph around it, does not allow the call

Each says what is wrong and, if something helps, what to do, as attributes; `str` joins them in one form.

Any other exception that leaves an agent is treated as an AgentError whose message is ``Type: text``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about a graph: where it is, what is wrong, what to do.

    `code` is stable and has a heading in docs/errors.md. `place` is a dotted path into the
    document such as ``nodes.prompt.inputs.text``, empty for the document as a whole. `line` counts
    from 1, and is None if the document was not read from text (a graph built in Python). `graphai` is the
    message that GraphAI gives for the same finding, empty if it has none; `nested` says that
    the finding is in a graph that GraphAI would only check when its node runs.
    """

    code: str
    place: str
    finding: str
    hint: str = ""
    line: int | None = None
    column: int | None = None
    graphai: str = ""
    nested: bool = False

    def __str__(self) -> str:
        where = self.place or "graph"
        if self.line is not None:
            where = f"line {self.line}, {where}"
        return with_hint(f"{where}: {self.finding} [{self.code}]", self.hint)


_HINT = "\n  hint: "


def with_hint(finding: str, hint: str) -> str:
    """Both in the one form in which people read them: the hint on a line of its own."""
    return f"{finding}{_HINT}{hint}" if hint else finding


def without_hint(text: str) -> tuple[str, str]:
    """The finding and the hint that `with_hint` joined; the hint is empty if there is none."""
    finding, mark, hint = text.rpartition(_HINT)
    return (finding, hint) if mark else (text, "")


class PerdureError(Exception):
    """The root of every exception that Perdure raises on purpose: the finding, and a hint.

    `finding` begins with the place, if there is one; `hint` is empty if nothing can be done.
    """

    def __init__(self, finding: str = "", *, hint: str = "") -> None:
        super().__init__(finding)
        self.finding = finding
        self.hint = hint

    def __str__(self) -> str:
        return with_hint(self.finding, self.hint)


class GraphError(PerdureError):
    """A graph or a policy that cannot be read or run. `problems` holds every finding, never none."""

    def __init__(self, problems: Sequence[Problem], source: str = "") -> None:
        prefix = f"{source}: " if source else ""
        super().__init__("\n".join(prefix + str(problem) for problem in problems))
        self.problems = tuple(problems)
        self.source = source


class UsageError(PerdureError):
    """The call is wrong, not the graph. `variable` is the environment variable to correct, if it is one."""

    def __init__(self, finding: str, *, hint: str = "", variable: str = "") -> None:
        super().__init__(finding, hint=hint)
        self.variable = variable


class NotFound(UsageError):
    """The call names a run, a node or a route that does not exist."""


class ConnectionFailed(PerdureError):
    """No Temporal server, or no worker, could be reached within the time allowed."""


class RunFailed(PerdureError):
    """A run ended without a result: `result` is its RunResult, where known, `place` the path of the node."""

    def __init__(self, finding: str, result: Any = None, *, hint: str = "", place: str = "") -> None:
        super().__init__(finding, hint=hint)
        self.result = result
        self.place = place

    @property
    def errors(self) -> dict[str, str]:
        """The failed nodes and their messages."""
        return dict(self.result.errors) if self.result is not None else {}


class RunCancelled(RunFailed):
    """A run was cancelled before its end."""


class RunConflict(PerdureError):
    """A run of the same id exists with another graph or other inputs."""


class QuotaExceeded(PerdureError):
    """A run used up more than it may: calls of agents, iterations, depth, bytes or seconds.

    `name` is that of the quota, `what` says of what there may be `limit`, more than one of them.
    """

    def __init__(self, name: str, limit: float, what: str) -> None:
        number = int(limit) if float(limit).is_integer() else limit
        super().__init__(
            f"the run has used up its quota of {number:,} {_ONE.get(name, what) if limit == 1 else what}",
            hint=f"start it with a larger one where that is meant: --quota {name}={limit * 10:.15g}",
        )


_ONE: Final = {
    "calls": "call of an agent",
    "iterations": "iteration of a loop",
    "depth": "graph, with none inside it",
    "bytes": "byte of values",
    "seconds": "second",
}


class FunctionError(PerdureError):
    """A reference or a template has no value: the node that reads it fails."""


class EngineError(PerdureError):
    """The engine met a state that it promises never to reach."""


class InvalidTransition(EngineError):
    """A node was asked to move in a way that the table of states does not have."""


class AgentError(PerdureError):
    """An agent failed. The node's `retry` decides whether it is called again."""


class AgentTimeout(AgentError):
    """The agent took longer than the node's `timeout`. GraphAI's text is "Timeout".

    `limit` is in seconds, where it was the worker's own and not the node's.
    """

    def __init__(self, limit: float | None = None) -> None:
        if limit is None:
            super().__init__("Timeout")
            return
        finding = f"Timeout: the call took longer than the {limit:g} s that this worker allows where a node"
        super().__init__(f"{finding} has no `timeout`", hint="give the node one, or set PERDURE_CALL_LIMIT")


class BadCall(AgentError):
    """The agent was called in a way it refuses; `suppressible` by supressError.

    `turns` is set where it is not what the agent usually takes to refuse a call, `graphai` where GraphAI
    words the finding otherwise: with supressError, these words are data.
    """

    def __init__(
        self,
        finding: str,
        suppressible: bool = False,
        turns: int | None = None,
        *,
        hint: str = "",
        graphai: str = "",
    ) -> None:
        super().__init__(finding, hint=hint)
        self.suppressible = suppressible
        self.turns = turns
        self.graphai = graphai or finding


class TransientError(AgentError):
    """The agent could not do its work now: rate limit, connection reset, server error.

    Repeated with backoff, without using up `retry`; after `retry_after` seconds, where known.
    """

    def __init__(self, finding: str, retry_after: float | None = None, *, hint: str = "") -> None:
        super().__init__(finding, hint=hint)
        self.retry_after = retry_after


class SessionLost(AgentError):
    """What a session holds in its process is gone: it is restored, and the call is made again."""


class FinalError(AgentError):
    """The agent can never succeed with these inputs: refused, not found, not allowed."""


class StoreUnavailable(TransientError):
    """The object store cannot be reached, refuses, or is too slow."""


class MalformedPayload(FinalError):
    """What another process has sent is not JSON, or has another shape than it must have."""


class ObjectMissing(FinalError):
    """The object store has no object of this name, not even after a little while."""


class ObjectCorrupt(FinalError):
    """The bytes of an object are not those that its name is the hash of."""


class NoStore(FinalError):
    """A value is in a store, and this process has none."""

    def __init__(self) -> None:
        finding = "a value of this run is in a store, and this process knows none"
        super().__init__(finding, hint="set PERDURE_STORE to the one that the workers of the run have")


class ValueTooLarge(FinalError):
    """A value of `size` bytes is larger than the `limit` of what may pass through Temporal."""

    def __init__(self, size: int, limit: int) -> None:
        finding = f"a value of {size / 1e6:.1f} MB cannot pass: at most {limit / 1e6:.0f} MB without a store"
        hint = "set PERDURE_STORE for the client and all workers, or pass a reference (a file, an address)"
        super().__init__(finding, hint=hint)


class SizeExceeded(FinalError):
    """A value would have `size` bytes or more, above the `limit` of one value: it is not built."""

    def __init__(self, size: int, limit: int, place: str = "") -> None:
        self.size, self.limit = size, limit
        finding = f"{place}the value would be {size / 1e6:.1f} MB or more; at most {limit / 1e6:.0f} MB"
        super().__init__(finding, hint="pass references (a file, an address), or parts of the data")


class CannotKeep(FinalError):
    """What the run has made cannot be brought to the store."""


class HistoryFull(FinalError):
    """A run of a history of `length` events can neither continue, nor be continued in a new one."""

    def __init__(self, length: int) -> None:
        super().__init__(
            f"the history of the run is full ({length} events), and what the run holds is too large to be "
            "carried on",
            hint="set PERDURE_STORE for the client and all workers",
        )


class NotGranted(FinalError):
    """What a run may do does not include this call: nothing was sent, and no repetition can help."""
