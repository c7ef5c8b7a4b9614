"""Ten sites train one model; in round 10 of 30 everything is killed, and started again. With a plot.

What has to hold: each round has the accuracy that it has in a run that nothing disturbs.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.chaos.federated import graph
from tests.chaos.learning import Crew, times, write_data
from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import World, world_in
from tests.support import detector
from tests.support.waiting import until

Curve = Sequence[tuple[float, float]]
"""Seconds and accuracy, round by round."""


@dataclass(frozen=True)
class Options:
    """A round is `work` seconds of training. The plot is written to `plot`, if that names a file."""

    sites: int = 10
    rounds: int = 30
    at: int = 10
    work: float = 1.0
    away: float = 2.0
    plot: str = ""


async def run(options: Options, home: Path) -> Verdict:
    """Two runs, one of which loses server, worker and all sites with kill -9 in the middle."""
    verdict = Verdict(f"{options.sites} sites, {options.rounds} rounds, all killed in round {options.at}")
    folder = home / "data"
    write_data(folder, options.sites)
    (folder / "work").write_text(str(options.work))
    async with world_in(home) as world:
        crew = Crew(world)
        await crew.start_center()
        await crew.start_sites(options.sites)
        quiet = await _trained(world, folder, options, "quiet")
        (folder / "rounds").unlink()
        killing = asyncio.create_task(_kill(crew, folder, options))
        disturbed = await _trained(world, folder, options, "disturbed")
        killed, away = await killing
        verdict.equal("rounds", len(disturbed), options.rounds)
        differing = [
            at for at, (one, other) in enumerate(zip(quiet, disturbed, strict=True)) if one[1] != other[1]
        ]
        verdict.none("rounds with another accuracy than without a kill", differing)
        after = next(moment for moment, _ in disturbed if moment > killed)
        verdict.tell("seconds from the kill to all processes", f"{away:.1f}")
        verdict.tell("seconds from the kill to the next round", f"{after - killed:.1f}")
        if options.plot:
            began = disturbed[0][0]
            curves = [_from(quiet, quiet[0][0]), _from(disturbed, began)]
            Path(options.plot).write_text(drawn(*curves, killed - began))
        await aftermath(world, verdict)
    return verdict


async def _kill(crew: Crew, folder: Path, options: Options) -> tuple[float, float]:
    """When all were killed, and after how many seconds all were up again."""
    await until(lambda: len(times(folder)) >= options.at, f"round {options.at}", 600)
    killed = time.time()
    return killed, await crew.kill("all", options.away, Random(0))


async def _trained(world: World, folder: Path, options: Options, name: str) -> list[tuple[float, float]]:
    """When each round was evaluated by the clock of the server, and the accuracy."""
    run = await world.client.start(graph(options.sites, options.rounds), id=name)
    await until(
        lambda: len(times(folder)) >= options.rounds, "all rounds", 1_200
    )  # no server answers meanwhile
    await asyncio.wait_for(run.result(), 300)
    evaluated: list[tuple[float, float]] = []
    for history in await detector.histories(world.client):
        if history.workflow_id != name:
            continue
        names: dict[int, str] = {}
        for event in history.events:
            names[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
            done = event.activity_task_completed_event_attributes
            if names.get(done.scheduled_event_id) == "fedEvaluateAgent":
                accuracy = json.loads(done.result.payloads[0].data)["accuracy"]
                evaluated.append((event.event_time.ToNanoseconds() / 1e9, accuracy))
    return sorted(evaluated)


def _from(curve: Curve, began: float) -> Curve:
    return [(moment - began, accuracy) for moment, accuracy in curve]


# ---- the plot: an SVG of two lines -----------------------------------------------------------------

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 300, 50, 40


def drawn(quiet: Curve, disturbed: Curve, killed: float) -> str:
    """Accuracy over seconds: what nothing disturbs in grey, and above it the run in which all was killed."""
    end = max(moment for moment, _ in (*quiet, *disturbed))

    def place(moment: float, accuracy: float) -> str:
        x = LEFT + moment / end * (WIDTH - LEFT - 20)
        return f"{x:.1f},{HEIGHT - BOTTOM - accuracy * (HEIGHT - BOTTOM - 20):.1f}"

    def line(curve: Curve, colour: str) -> str:
        points = " ".join(place(*point) for point in curve)
        dots = "".join(
            '<circle cx="{}" cy="{}" r="2.5" fill="{}"/>'.format(*place(*point).split(","), colour)
            for point in curve
        )
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>{dots}'

    def text(at: str, words: str, anchor: str = "middle") -> str:
        x, y = at.split(",")
        return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{words}</text>'

    (x, bottom), (_, top) = place(killed, 0).split(","), place(killed, 1).split(",")
    step = max(10, round(end / 8 / 10) * 10)
    marks = [text(place(second, -0.07), str(second)) for second in range(0, int(end) + 1, step)]
    marks += [text(place(-end / 60, share / 4 - 0.01), f"{share / 4:g}", "end") for share in range(5)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
            ' font-size="11" fill="#333">',
            "<title>Accuracy over seconds; everything is killed in the middle of the training</title>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<path d="M{place(0, 1)} L{place(0, 0)} L{place(end, 0)}" fill="none" stroke="#999"/>',
            *marks,
            text(place(end / 2, -0.14), "seconds"),
            f'<path d="M{x},{bottom} L{x},{top}" stroke="#c0392b" stroke-dasharray="4 3"/>',
            text(f"{float(x) + 6:.1f},{top}", "kill -9: server, worker, ten sites", "start"),
            line(quiet, "#aaaaaa"),
            line(disturbed, "#2b4c7e"),
            "</svg>\n",
        ]
    )
