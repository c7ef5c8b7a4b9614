"""What was used of one budget. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perdure.policy.budgets import BUDGET_KINDS, Budget


@dataclass(slots=True)
class Ledger:
    """What was used of a `budget`; `place` says whose it is."""

    budget: Budget
    place: str
    calls: float = 0.0
    tokens: float = 0.0
    money: float = 0.0
    bytes: float = 0.0

    def written(self) -> list[float]:
        """What was used, as plain data."""
        return [getattr(self, kind) for kind in BUDGET_KINDS]

    def resume(self, used: Sequence[float]) -> None:
        """Continues with what `written` wrote."""
        for kind, amount in zip(BUDGET_KINDS, used, strict=False):
            setattr(self, kind, amount)
