"""A busy run is asked how it is, 50 times a second: it hardly slows down, and answers at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from perdure import server
from perdure.runs import Run
from perdure.settings import Settings
from tests.faults.ground import Figures, chain, client_of
from tests.support.journal import entries
from tests.support.processes import Crew
from tests.support.waiting import until

RATE = 50
"""Questions a second; every fifth is a description by the server, the others are queries of the run."""

SLOWER, LONGEST = 0.25, 1.0
"""By how much the run may be slower, and how many seconds 99 of 100 questions may take at most."""

SIDE_BY_SIDE = 4
"""Nodes that are at work at the same time."""


async def show(figures: Figures, folder: Path, *, short: bool) -> None:
    """Phases of quiet and storm by turns, 60 s of storm; 5 s where short."""
    home, journal = folder / "home", folder / "journal"
    seconds, phases = (2.5, 2) if short else (15.0, 4)
    crew, took = Crew(home), list[float]()
    rates: dict[str, list[float]] = {"quiet": [], "storm": []}
    try:
        async with client_of(home) as client:
            crew.worker()
            run = await client.start(_graph(journal), id="busy")
            await until(lambda: len(entries(journal)) > 10 * SIDE_BY_SIDE, "the run is under way", 60)
            for _ in range(phases):
                rates["quiet"].append(await _rate(journal, asyncio.sleep(seconds)))
                rates["storm"].append(await _rate(journal, _storm(figures, run, seconds, took)))
            figures.must((await run.describe()).closed is None, "the run was busy until the end")
            await run.cancel()
    finally:
        crew.kill_all()
        await asyncio.to_thread(server.stop, Settings(home=home))
    quiet, storm = (sum(rates[name]) / phases for name in ("quiet", "storm"))
    took.sort()
    figures.fact("calls a second, quiet and storm", f"{quiet:.1f}, {storm:.1f}")
    figures.fact("slower by", f"{max(0.0, 1 - storm / quiet):.0%}")
    figures.fact("questions", len(took))
    unanswered = figures.facts.get("questions without an answer", 0)
    figures.must(unanswered <= len(took) / 100, f"{unanswered} without an answer")
    figures.fact(
        "seconds for one: half, 99 of 100, all", [round(_part(took, part), 3) for part in (0.5, 0.99, 1)]
    )
    if not short:  # a few seconds say nothing about speed
        figures.must(storm >= (1 - SLOWER) * quiet, f"slower by {1 - storm / quiet:.0%}")
        figures.must(_part(took, 0.99) < LONGEST, f"99 of 100 within {_part(took, 0.99):.2f} s")


def _graph(journal: Path) -> dict[str, object]:
    """An endless loop of nodes side by side."""
    node = chain(journal, 1, 0.15)["nodes"]["n0"]
    return {
        "version": 0.5,
        "loop": {"count": 100_000},
        "nodes": {f"n{side}": node for side in range(SIDE_BY_SIDE)},
    }


async def _rate(journal: Path, phase: object) -> float:
    """Calls a second while the phase lasts."""
    before, began = len(entries(journal)), time.monotonic()
    await phase
    return (len(entries(journal)) - before) / (time.monotonic() - began)


async def _storm(figures: Figures, run: Run, seconds: float, took: list[float]) -> None:
    began, questions = time.monotonic(), set[asyncio.Task[None]]()
    for number in range(int(seconds * RATE)):
        await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
        questions.add(asyncio.ensure_future(_ask(figures, run, number, took)))
    await asyncio.gather(*questions)


async def _ask(figures: Figures, run: Run, number: int, took: list[float]) -> None:
    began = time.monotonic()
    answer = await (run.describe() if number % 5 == 0 else run.status())
    took.append(time.monotonic() - began)
    if answer is None:  # the query's own time was up
        figures.fact("questions without an answer", figures.facts.get("questions without an answer", 0) + 1)


def _part(sorted_times: list[float], part: float) -> float:
    return sorted_times[min(int(len(sorted_times) * part), len(sorted_times) - 1)]
