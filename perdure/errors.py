"""Every exception of Perdure, and the finding that checks report.

    PerdureError
    +-- GraphError            the graph is wrong: one or more Problems (exit code 2)
    +-- UsageError            the call is wrong: an unknown option, a missing file (exit code 2)
    +-- ConnectionFailed      no server, or no worker, answers (exit code 3)
    +-- RunFailed             a run ended without a result (exit code 1)
    |   +-- RunCancelled      it was stopped by someone
    +-- RunConflict           the id is taken by a run with another body (exit code 2)
    +-- FunctionError         a reference or a template cannot be evaluated, e.g. jsonParse() of no JSON
    +-- EngineError           a broken invariant of the engine itself: a bug of Perdure
    +-- AgentError            an agent failed: counts against the node's `retry`
        +-- AgentTimeout      it took longer than it may: the node is timed-out; counts against `retry`
        +-- TransientError    the world failed: repeated with backoff, does not count
        |   +-- StoreUnavailable  the store of large values does not answer
        +-- FinalError        no repetition can help: the node fails at once
            +-- ObjectMissing     a large value is not in the store
            +-- ObjectCorrupt     a large value is damaged

Agents raise AgentError and its kinds. Any other exception that leaves an agent is treated as an
AgentError whose message is ``Type: text``.
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
    from 1, and is None where the document has no text (a graph built in Python). `graphai` is the
    message that GraphAI gives for the same finding, empty where it has none; `nested` tells that
    the finding is in a graph that GraphAI would only look at when its node runs.
    """

    code: str
    place: str
    finding: str
    cure: str = ""
    line: int | None = None
    column: int | None = None
    graphai: str = ""
    nested: bool = False

    def __str__(self) -> str:
        where = self.place or "graph"
        if self.line is not None:
            where = f"line {self.line}, {where}"
        cure = f"\n  cure: {self.cure}" if self.cure else ""
        return f"{where}: {self.finding} [{self.code}]{cure}"


class PerdureError(Exception):
    """The root of every exception that Perdure raises on purpose."""


class GraphError(PerdureError):
    """A graph that cannot be read or run. `problems` holds every finding, never none."""

    def __init__(self, problems: Sequence[Problem], source: str = "") -> None:
        self.problems = tuple(problems)
        self.source = source
        prefix = f"{source}: " if source else ""
        super().__init__("\n".join(prefix + str(problem) for problem in self.problems))


class UsageError(PerdureError):
    """The call is wrong, not the graph: place, finding and cure are in the message."""


class ConnectionFailed(PerdureError):
    """No Temporal server, or no worker, could be reached within the time allowed."""


class RunFailed(PerdureError):
    """A run ended without a result. `result` is the RunResult with what there is, where known."""

    def __init__(self, message: str, result: Any = None) -> None:
        self.result = result
        super().__init__(message)

    @property
    def errors(self) -> dict[str, str]:
        """The failed nodes and their messages."""
        return dict(self.result.errors) if self.result is not None else {}


class QuotaExceeded(PerdureError):
    """A run used up more than it may: calls of agents, iterations, depth, bytes or seconds.

    `name` is that of the quota, `what` says of what there may be `limit`, more than one of them.
    """

    def __init__(self, name: str, limit: float, what: str) -> None:
        number = int(limit) if float(limit).is_integer() else limit
        super().__init__(
            f"the run has used up its quota of {number:,} {_ONE[name] if limit == 1 else what}; start it "
            f"with a larger one where that is meant: --quota {name}={limit * 10:.15g}"
        )


_ONE: Final = {
    "calls": "call of an agent",
    "iterations": "iteration of a loop",
    "depth": "graph, with none inside it",
    "bytes": "byte of values",
    "seconds": "second",
}


class RunCancelled(RunFailed):
    """A run was cancelled before its end."""


class RunConflict(PerdureError):
    """A run of the same id exists with another graph or other inputs."""


class FunctionError(PerdureError):
    """A reference or a template has no value: the node that reads it fails."""


class EngineError(PerdureError):
    """The engine met a state that it promises never to reach."""


class AgentError(PerdureError):
    """An agent failed. The node's `retry` decides whether it is called again."""


class TransientError(AgentError):
    """The agent could not do its work now: rate limit, connection reset, server error.

    Repeated with backoff until the node's total deadline, without using up its `retry`.
    `retry_after` is the number of seconds to wait before the next attempt, where known.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class FinalError(AgentError):
    """The agent can never succeed with these inputs: refused, not found, not allowed."""


class AgentTimeout(AgentError):
    """The agent took longer than the node's `timeout`. GraphAI's text is "Timeout".

    `limit` is in seconds, where it was the worker's own and not the node's.
    """

    def __init__(self, limit: float | None = None) -> None:
        super().__init__(
            "Timeout"
            if limit is None
            else f"Timeout: the call took longer than the {limit:g} s that this worker allows where a node "
            "has no `timeout`; give the node one, or set PERDURE_CALL_LIMIT"
        )


class StoreUnavailable(TransientError):
    """The object store cannot be reached, refuses, or is too slow."""


class ObjectMissing(FinalError):
    """The object store has no object of this name, not even after a little while."""


class ObjectCorrupt(FinalError):
    """The bytes of an object are not those that its name is the hash of."""
