"""What calls that have opened local data may give back, and how that rule is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from perdure.errors import UsageError

EGRESS_KINDS: Final = ("metrics", "tensors", "text", "rows")
"""Numbers and short strings; arrays; strings of any length, streams, logs and messages; lists of objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataEgress:
    """The rule of a worker. `rows` is the least number of rows that have to be behind a result.

    `bytes` bound all that a call gives back, `values` the numbers and strings in it that are in no array.
    """

    kinds: tuple[str, ...] = ("metrics", "tensors")
    bytes: int = 50_000_000
    values: int = 50
    rows: int = 1


def data_egress(name: str, text: str) -> DataEgress:
    """The rule that `text` says, such as ``metrics tensors bytes=1000000 rows=20``. Raises UsageError."""
    kinds: list[str] = []
    limits: dict[str, Any] = {}
    for word in text.replace(",", " ").split():
        limit, equals, number = word.partition("=")
        if word in EGRESS_KINDS:
            kinds.append(word)
        elif equals and limit in ("bytes", "values", "rows") and number.isdecimal():
            limits[limit] = int(number)
        else:
            expected = f"{', '.join(EGRESS_KINDS)}, bytes=N, values=N or rows=N"
            hint = f"{name}='metrics tensors bytes=1000000 rows=20'"
            raise UsageError(f"{name}: {word!r} is none of {expected}", hint=hint, variable=name)
    rule = replace(DataEgress(), **limits)
    return replace(rule, kinds=tuple(kinds)) if kinds else rule
