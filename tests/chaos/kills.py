"""Server and worker are killed together, again and again, while mixed runs are on their way."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.chaos.drive import drive, judge
from tests.chaos.mix import mix
from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import World, integrity, world_in


@dataclass(frozen=True)
class Options:
    """`what` dies: both, server, or worker. `repeats` is the share of effects that may be repeated.

    An effect is repeated when the kill comes between it and the record of it: the busier the machine,
    and the fewer effects there are for a kill, the more.
    """

    kills: int = 20
    seconds: float = 180.0
    runs: int = 150
    workers: int = 1
    what: str = "both"
    limit_s: float = 120.0
    back_s: float = 5.0
    repeats: float = 0.03
    seed: int = 1


SHORT = Options(kills=2, seconds=8.0, runs=12, back_s=120.0, repeats=0.3)


async def run(options: Options, home: Path) -> Verdict:
    """150 runs and 20 kills in three minutes, by default."""
    verdict = Verdict(f"{options.kills} kills ({options.what}) in {options.seconds:g} s, {options.runs} runs")
    async with world_in(home) as world:
        for _ in range(options.workers):
            await world.worker()
        runs = mix(options.runs, options.seed, world.book.folder)
        began = time.monotonic()
        killing = asyncio.create_task(_kill(world, options))
        outcomes = await drive(
            world.client, runs, options.seconds * 0.9, options.seed, options.limit_s + options.seconds * 0.1
        )
        back = await killing
        verdict.tell("seconds until all had ended", f"{time.monotonic() - began:.0f}")
        verdict.equal("kills", len(back), options.kills)
        if options.what != "worker":
            verdict.most("server back after at most", max(back, default=0.0), options.back_s)
        judge(verdict, runs, outcomes, world.book, options.repeats)
        await aftermath(world, verdict, seed=options.seed)
        settings = world.client.settings
    verdict.equal("integrity of the database", integrity(settings), "ok")
    return verdict


async def _kill(world: World, options: Options) -> list[float]:
    """Kills at moments that are drawn, one in each of as many equal spans. Gives the seconds until back."""
    rng, back = Random(options.seed), list[float]()
    span, began = options.seconds / max(options.kills, 1), time.monotonic()
    for index in range(options.kills):
        moment = began + span * (index + rng.uniform(0.15, 0.85))
        await asyncio.sleep(max(moment - time.monotonic(), 0.0))
        if options.what != "worker":
            world.kill_server()
        if options.what != "server":
            for process in list(world.workers):
                world.kill_worker(process)
        back.append(await world.restart_server() if options.what != "worker" else 0.0)
        for _ in range(options.workers - len(world.workers)):
            await world.worker()
    return back
