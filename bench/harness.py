"""Comparisons: sides that take turns in one session, and what their numbers say.

The sides of a comparison do the same work. They are called one after another, A B A B …, so that
whatever else the machine does meets them alike; the first call of each is not counted.
"""

from __future__ import annotations

import asyncio
import math
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.processes import Failed, cpu

SETTLE = 0.1
"""Seconds after the result in which the processes may end what belongs to the work."""

TIMEOUT = 900.0
"""Seconds that one call may take."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to measure: `pairs` calls of each side; `quick` ones are tiny, to see that all still works."""

    pairs: int = 5
    quick: bool = False

    def size(self, full: int, quick: int) -> int:
        """The size of a comparison."""
        return quick if self.quick else full


Work = Callable[[], Awaitable[Mapping[str, float] | None]]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One who does the work. `processes` are counted by their processor time, under their names.

    `work` may report its own "seconds", which are measured around it otherwise, and more by other names.
    It raises Failed when the work cannot be done.
    """

    name: str
    work: Work
    durability: str = ""
    versions: str = ""
    processes: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(kw_only=True)
class Series:
    """What a side took: lists with an entry for each call, in seconds unless the name says otherwise.

    `error` says why there is nothing; `missing` that this is because something is not installed, or
    not there yet.
    """

    name: str
    durability: str = ""
    versions: str = ""
    taken: dict[str, list[float]] = field(default_factory=dict)
    error: str | None = None
    missing: bool = False

    def median(self, what: str = "seconds") -> float | None:
        """The median of what was taken; None where it was not."""
        values = self.taken.get(what)
        return statistics.median(values) if values and self.error is None else None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A number that the comparison is about, and the bound that it is to keep, if there is one.

    `low` and `high` are the least and the most of the single pairs.
    """

    what: str
    value: float
    low: float
    high: float
    bound: float | None = None
    at_most: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the bound is kept; None without one."""
        if self.bound is None:
            return None
        return self.value <= self.bound if self.at_most else self.value >= self.bound


@dataclass(frozen=True, kw_only=True)
class Curve:
    """How a cost grows: `points` are (x, y). `slope` is that of the logarithms: 1 means in proportion."""

    name: str
    x: str
    y: str
    points: Sequence[tuple[float, float]]

    @property
    def slope(self) -> float | None:
        """The least-squares slope of log y over log x, where x is within a hundredth of its most.

        Below that it is what a run costs at all.
        """
        most = max((x for x, _ in self.points), default=0.0)
        usable = [(math.log(x), math.log(y)) for x, y in self.points if x >= most / 100 and y > 0]
        if len({x for x, _ in usable}) < 2:
            return None
        return statistics.linear_regression(*zip(*usable, strict=True)).slope


@dataclass(kw_only=True)
class Comparison:
    """A comparison and its outcome. `size` units of work were done in each call."""

    name: str
    title: str
    unit: str
    size: int
    series: list[Series] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pairs: int = 0
    load: tuple[float, float] = (0.0, 0.0)

    def find(self, name: str) -> Series | None:
        """The series of a side that did its work."""
        return next((each for each in self.series if each.name == name and each.error is None), None)

    def compare(
        self,
        above: str,
        below: str,
        bound: float | None = None,
        *,
        what: str = "seconds",
        label: str = "wall time",
        at_most: bool = True,
    ) -> None:
        """Claims the ratio of two sides' medians, where both did their work."""
        one, other = self.find(above), self.find(below)
        if one is None or other is None:
            return
        tops, bottoms = one.taken.get(what), other.taken.get(what)
        if not tops or not bottoms or not statistics.median(bottoms):
            return
        pairs = [top / bottom for top, bottom in zip(tops, bottoms, strict=False) if bottom]
        value = statistics.median(tops) / statistics.median(bottoms)
        ends = {"low": min(pairs, default=value), "high": max(pairs, default=value)}
        self.claims.append(
            Claim(what=f"{label}, {above} / {below}", value=value, bound=bound, at_most=at_most, **ends)
        )

    def state(
        self,
        side: str,
        what: str,
        bound: float | None = None,
        *,
        of: Callable[[float], float],
        at_most: bool = False,
    ) -> None:
        """Claims a number of one side, made from its seconds."""
        series = self.find(side)
        if series is None:
            return
        values = [of(seconds) for seconds in series.taken["seconds"]]
        self.claims.append(
            Claim(
                what=what,
                value=of(statistics.median(series.taken["seconds"])),
                low=min(values),
                high=max(values),
                bound=bound,
                at_most=at_most,
            )
        )


Function = Callable[[Options], Awaitable[Comparison]]
"""What measures one comparison."""


async def alternate(comparison: Comparison, sides: Sequence[Side], pairs: int, warm_up: bool = True) -> None:
    """Lets the sides take turns, `pairs` times each, and puts what they took into the comparison.

    A side that fails is left out from then on, with its reason.
    """
    comparison.pairs = pairs
    before = os.getloadavg()[0]
    series = [Series(name=side.name, durability=side.durability, versions=side.versions) for side in sides]
    for count in range(pairs + warm_up):
        for side, taken in zip(sides, series, strict=True):
            if taken.error is None:
                await _turn(side, taken, counted=count >= warm_up)
    comparison.series += series
    comparison.load = (before, os.getloadavg()[0])


async def _turn(side: Side, series: Series, *, counted: bool) -> None:
    try:
        figures = await measured(side)
    except (Failed, TimeoutError) as error:
        series.error = str(error) or f"not done within {TIMEOUT:.0f} s"
        return
    if counted:
        for what, value in figures.items():
            series.taken.setdefault(what, []).append(value)


async def measured(side: Side) -> dict[str, float]:
    """One call: seconds on the clock, and of processor time for each group of processes."""
    before = {name: cpu(pids) for name, pids in side.processes.items()}
    begin = time.perf_counter()
    async with asyncio.timeout(TIMEOUT):
        reported = await side.work() or {}
    seconds = time.perf_counter() - begin
    await asyncio.sleep(SETTLE)
    figures = {"seconds": seconds, **reported}
    for name, pids in side.processes.items():
        now, then = cpu(pids), before[name]
        if now is not None and then is not None:
            figures[f"{name} CPU"] = now - then
    return figures


def plain(comparison: Comparison) -> dict[str, Any]:
    """A comparison as JSON, with what can be computed from it."""
    return {
        "name": comparison.name,
        "title": comparison.title,
        "unit": comparison.unit,
        "size": comparison.size,
        "pairs": comparison.pairs,
        "load": comparison.load,
        "series": [
            {**vars(each), "medians": {what: each.median(what) for what in each.taken}}
            for each in comparison.series
        ],
        "claims": [{**vars(each), "met": each.met} for each in comparison.claims],
        "curves": [{**vars(each), "slope": each.slope} for each in comparison.curves],
        "notes": comparison.notes,
    }
