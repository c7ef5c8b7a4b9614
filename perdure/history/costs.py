"""What the runs of a list have used and cost.

A run is read once after its end, and again only while it is open and has new events. A run with a long
history is left out: a list must not take minutes, and `perdure history ID` shows it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from temporalio.client import Client

from perdure.engine.granting.prices import Prices, Spent
from perdure.errors import PerdureError
from perdure.history.read import read_run
from perdure.history.spent import spent_by_node, total
from perdure.monitoring.report import RunSummary

MAX_COSTED_EVENT_COUNT: Final = 5_000
"""Events of the last execution of a run whose cost a list shows."""

MAX_KEPT_COST_COUNT: Final = 10_000
"""Runs whose cost a process remembers."""


@dataclass(slots=True)
class RunCosts:
    """The costs of runs by the prices of the user; without prices there are none."""

    temporal: Client
    prices: Prices
    _kept: OrderedDict[tuple[str, str, int], Spent] = field(
        default_factory=OrderedDict[tuple[str, str, int], Spent]
    )

    async def of(self, run: RunSummary) -> Spent | None:
        """What a run has used so far; None without prices, and where its history is too long or gone."""
        if not self.prices.by_model or run.event_count > MAX_COSTED_EVENT_COUNT:
            return None
        key = run.id, run.started.isoformat(), run.event_count
        spent = self._kept.get(key)
        if spent is None:
            try:
                spent = total(spent_by_node(await read_run(self.temporal, run.id), self.prices))
            except PerdureError:
                return None
            self._kept[key] = spent
            while len(self._kept) > MAX_KEPT_COST_COUNT:
                self._kept.popitem(last=False)
        return spent
