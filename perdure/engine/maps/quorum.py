"""How many rows of a map are enough, and what becomes of the others.

A map with `quorum` ends when enough is known, and not with its first failure: its result says which rows
count, and names those that are missing. All of it follows from answers and timers, which are events of the
run; so both shells, and every replay, accept the same rows.

Rejected: to count rows by arrival, the first k. The answers of one workflow task have an order that a user
can neither see nor repeat; here a row counts by its place, and arrival decides only what is late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, Literal

from perdure.engine.maps.starts import Rows, Start
from perdure.errors import BadCall
from perdure.graph.javascript import to_string
from perdure.graph.perdure_keys import quorum_problems
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, is_number

MAX_NAMED_ROW_COUNT: Final = 10
"""Missing rows that a message names."""

MAX_ROW_REASON_CHARS: Final = 300
"""Characters of a failure that the result of a map repeats for each row."""

Absence = Literal["failed", "late"]


@dataclass(frozen=True, slots=True)
class Quorum:
    """The rule of one map: `needed` rows are enough. Times are in milliseconds, None for no such time.

    The map ends when all rows have ended; `grace` after enough of them have a result; at the `deadline`,
    counted from when the map began; or as soon as enough can no longer be reached. One that `carries` leaves
    its late rows to the next pass (perdure.engine.maps.late).
    """

    needed: int
    deadline: float | None = None
    grace: float | None = None
    carries: bool = False


def quorum_of(params: Mapping[str, Value], row_count: int, *, carries: bool = True) -> Quorum | None:
    """The rule in the params of a map of `row_count` rows, None where they have none. Raises BadCall.

    A run of an earlier version, which never `carries`, does not know what `late` says.
    """
    params = params if carries else {name: value for name, value in params.items() if name != "late"}
    asked = params.get("quorum")
    if asked is None or asked is UNDEFINED:
        return None
    problem = next(quorum_problems("", params), None)
    if problem is not None:
        raise BadCall(f"mapAgent: {problem.finding}", suppressible=True, hint=problem.hint)
    needed = max(1, ceil(round(asked * row_count, 6)) if asked < 1 else int(asked))
    if needed > row_count:
        finding = f"mapAgent: quorum: {needed} rows are needed, and there are {row_count}"
        raise BadCall(finding, suppressible=True, hint="give a share of the rows, such as 0.8")
    times = _time(params.get("deadline")), _time(params.get("grace"))
    return Quorum(needed, *times, carries=params.get("late") == "carry")


def _time(value: Value) -> float | None:
    return float(value) if is_number(value) else None


@dataclass(frozen=True, slots=True)
class Missing:
    """A row that does not count: it `failed` with a message, or was late."""

    why: Absence
    message: str = ""

    @classmethod
    def failed(cls, message: str) -> Missing:
        """A row that failed with this message."""
        return cls("failed", message[:MAX_ROW_REASON_CHARS])


def listed(starts: Sequence[Start], missing: Mapping[int, Missing]) -> list[Value]:
    """The rows that are missing, for the result of the map, in their order."""
    entries: list[Value] = []
    for row in sorted(missing):
        entry: dict[str, Value] = {"index": row, **row_id(starts, row), "why": missing[row].why}
        if missing[row].message:
            entry["message"] = missing[row].message
        entries.append(entry)
    return entries


def row_id(starts: Sequence[Start], row: int) -> dict[str, Value]:
    """What names a row that is a mapping: its `id`."""
    if not isinstance(starts, Rows) or not is_list(starts.rows):
        return {}  # rows of the store are not looked at
    item = starts.rows[row]
    return {"id": item["id"]} if is_dict(item) and item.get("id", UNDEFINED) is not UNDEFINED else {}


def shown(starts: Sequence[Start], missing: Mapping[int, Missing], accepted: int) -> str:
    """One line that says how many rows count, and names the others."""
    total = accepted + len(missing)
    names = [_name(starts, row, missing[row]) for row in sorted(missing)[:MAX_NAMED_ROW_COUNT]]
    more = len(missing) - len(names)
    end = f", and {more} more" if more > 0 else ""
    return f"{accepted} of {total} rows have a result; missing: {', '.join(names)}{end}"


def _name(starts: Sequence[Start], row: int, missing: Missing) -> str:
    own = row_id(starts, row).get("id")
    name = f"row {row}" if own is None else f"row {row} {to_string(own)[:50]!r}"
    return f"{name} ({missing.message.splitlines()[0][:80] if missing.message else missing.why})"
