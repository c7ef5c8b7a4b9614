"""What a run remembers of answers: the submissions that counted, and how each question ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from perdure.engine.human_tasks import Answer, HumanPrompt, answer_digest, shown_answer
from perdure.graph.values import Value

MAX_CLOSED_QUESTION_COUNT: Final = 1_000
"""Closed questions, and submissions, that a run remembers."""

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of an answer that was accepted.

    It was `already` counted, or is kept as `early` for a question to come. `count` of `need` answers of a
    quorum are in. `who` and `at` (milliseconds since the epoch) are those of the answer that counted, and
    `digest` is a hash of its value.
    """

    path: str
    already: bool = False
    early: bool = False
    count: int = 1
    need: int = 1
    who: str = ""
    at: int = 0
    digest: str = ""

    @property
    def is_closed(self) -> bool:
        """Whether the question needs no more answers."""
        return not self.early and self.count >= self.need


@dataclass(frozen=True, slots=True)
class Closed:
    """A question that is over, and `how`: by an answer, a quorum, its timeout, or by being cancelled."""

    node: str
    how: str
    at: int
    who: str = ""
    shown: str = ""
    digest: str = ""

    def ending(self) -> str:
        """How it ended, in words."""
        when = f"{datetime.fromtimestamp(self.at // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
        if self.how == "timeout":
            return f"its time ran out at {when}"
        if self.how == "cancelled":
            return "it was cancelled without an answer"
        return f"answered by {self.who or 'a person without a name'} at {when}: {self.shown}"


@dataclass(slots=True)
class ClosedQuestions:
    """The latest submissions by their ids, and the latest closed questions by their paths."""

    _receipts: dict[str, Receipt] = field(default_factory=dict[str, Receipt])
    _closed: dict[str, Closed] = field(default_factory=dict[str, Closed])

    def count(self, answer: Answer, receipt: Receipt) -> None:
        """A submission has counted."""
        if answer.id:
            _put(self._receipts, answer.id, receipt)

    def close(self, prompt: HumanPrompt, how: str, at: int, answer: Answer | None = None) -> None:
        """A question is over, by this answer if there is one."""
        by = ()
        if answer is not None:
            by = answer.who, shown_answer(answer.value), answer_digest(answer.value)
        _put(self._closed, prompt.path, Closed(prompt.node, how, at, *by))

    def receipt(self, answer: Answer) -> Receipt | None:
        """That of a repeated submission, or of the same answer of the same person to a closed question."""
        receipt = self._receipts.get(answer.id)
        digest = answer_digest(answer.value)
        if receipt is not None:
            return replace(receipt, already=True) if receipt.digest == digest else None
        closed = self._closed.get(answer.path)
        if closed is None or (closed.who, closed.digest) != (answer.who, digest):
            return None
        return Receipt(path=answer.path, already=True, who=closed.who, at=closed.at, digest=digest)

    def refusal(self, answer: Answer) -> str | None:
        """Why an answer with this id, or to this path, comes too late."""
        if answer.id in self._receipts:
            return f"the id {answer.id!r} belongs to another answer"
        closed = self._closed.get(answer.path)
        return None if closed is None else f"{answer.path} is closed: {closed.ending()}"

    def last_of(self, node: str) -> Closed | None:
        """The latest closed question of a node."""
        return next((question for question in reversed(self._closed.values()) if question.node == node), None)

    def all(self) -> tuple[Closed, ...]:
        """The latest closed questions, in their order."""
        return tuple(self._closed.values())

    def state(self) -> dict[str, Value]:
        """As plain data, empty for nothing."""
        state: dict[str, Value] = {}
        if self._receipts:
            state["receipts"] = [[id, *_values(receipt)] for id, receipt in self._receipts.items()]
        if self._closed:
            state["closed"] = [[path, *_values(question)] for path, question in self._closed.items()]
        return state

    def resume(self, state: Mapping[str, Value]) -> None:
        """Continues with what `state` has written."""
        for id, *values in state.get("receipts", ()):
            self._receipts[id] = Receipt(**dict(zip(Receipt.__dataclass_fields__, values, strict=False)))
        for path, *values in state.get("closed", ()):
            self._closed[path] = Closed(*values)


def _put(entries: dict[str, Entry], key: str, entry: Entry) -> None:
    entries[key] = entry
    if len(entries) > MAX_CLOSED_QUESTION_COUNT:
        del entries[next(iter(entries))]


def _values(record: Any) -> list[Value]:
    return [getattr(record, name) for name in record.__dataclass_fields__]
