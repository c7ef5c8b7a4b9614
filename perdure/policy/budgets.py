"""What calls may use up at most: their number, tokens, money, and bytes of results. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf
from typing import Any, Final

from perdure.policy.reader import Reader, inside, quoted

BUDGET: Final = "budget"
"""The key of a profile, of `allow` and of `metadata.needs`."""

_BYTES: Final = re.compile(r"(\d{1,9})(KB|MB|GB)")
_UNITS: Final[Mapping[str, float]] = {"KB": 1e3, "MB": 1e6, "GB": 1e9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most that calls may use: `calls` of agents, `tokens` and `money` of models, `bytes` of results."""

    calls: float = inf
    tokens: float = inf
    money: float = inf
    bytes: float = inf

    @property
    def is_free(self) -> bool:
        """Whether it limits nothing."""
        return not self.written()

    def written(self) -> dict[str, float]:
        """The limits as plain data."""
        return {kind: limit for kind in BUDGET_KINDS if (limit := getattr(self, kind)) < inf}

    def text(self) -> str:
        """The limits for people."""
        return ", ".join(f"{kind} {limit:g}" for kind, limit in self.written().items())

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Budget:
        """What `written` wrote."""
        return cls(**{kind: float(limit) for kind, limit in data.items() if kind in BUDGET_KINDS})


BUDGET_KINDS: Final = tuple(item.name for item in fields(Budget))


def read_budget(reader: Reader, place: str, data: Any) -> Budget:
    """The budget at `place`; `reader` notes what is wrong, which allows nothing."""
    data = reader.mapping(place, data, BUDGET_KINDS, "write budget: {calls: 100, money: 1.5, bytes: 50MB}")
    return Budget(
        **{kind: _limit(reader, inside(place, kind), data[kind]) for kind in BUDGET_KINDS if kind in data}
    )


def _limit(reader: Reader, place: str, value: Any) -> float:
    size = _BYTES.fullmatch(value) if isinstance(value, str) and place.endswith("bytes") else None
    if size is not None:
        return int(size[1]) * _UNITS[size[2]]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        reader.wrong(
            place, f"{quoted(value)} is not a limit", "write a number, 0 or more; bytes also as 50MB"
        )
        return 0
    return float(value)
