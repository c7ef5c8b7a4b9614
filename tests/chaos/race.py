"""Many clients start the same id at once: there is one run, and all of them get its result."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from perdure.client import connect
from perdure.errors import RunConflict
from perdure.settings import Settings
from tests.chaos.agents import grown
from tests.chaos.drive import Outcomes
from tests.chaos.effects import account
from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import World, world_in
from tests.support import ROOT, detector

CONFLICT = "conflict"


@dataclass(frozen=True)
class Options:
    """`racers` clients in `processes` start each of `ids`; `rivals` of them have another graph."""

    racers: int = 50
    ids: int = 100
    processes: int = 4
    rivals: int = 5
    seed: int = 1


SHORT = Options(racers=20, ids=10, processes=2, rivals=3)


@dataclass(frozen=True)
class Racer:
    """One process of clients: it starts each id `honest` times with one graph, `rival` times with another.

    It reads the number of an id from each line of its input, and writes what its clients heard.
    """

    home: str
    book: str
    honest: int
    rival: int
    seed: int


def name_of(index: int) -> str:
    """The id of a run."""
    return f"race-{index}"


def document(id: str, book: str, add: int) -> dict[str, Any]:
    """One effect, whose value says which graph won."""
    params = {"book": book, "run": id, "add": add}
    return {
        "version": 0.5,
        "nodes": {
            "work": {"agent": "effectAgent", "inputs": {"x": 1}, "params": params, "isResult": True},
        },
    }


async def run(options: Options, home: Path) -> Verdict:
    """50 clients for each of 100 ids, by default; some of them with another graph."""
    verdict = Verdict(f"{options.racers} racers, {options.ids} ids, {options.processes} processes")
    async with world_in(home) as world:
        await world.worker()
        began = time.monotonic()
        heard = await _race(world, options)
        verdict.tell("seconds of the race", f"{time.monotonic() - began:.0f}")
        verdict.equal("answers", len(heard), options.racers * options.ids)
        verdict.none("errors", [each for each in heard if each[1] == "error"])
        honest, rival = grown(1, 1), grown(1, 2)
        wrong: list[str] = []
        won = Counter[int]()
        for index in range(options.ids):
            id = name_of(index)
            counts = Counter(end for of, _, end in heard if of == id)
            winner, loser = (honest, rival) if counts[honest] else (rival, honest)
            size = options.rivals if winner == rival else options.racers - options.rivals
            won[winner] += 1
            if counts != Counter({winner: size, CONFLICT: options.racers - size}) or counts[loser]:
                wrong.append(f"{id}: {dict(counts)}")
        verdict.none("ids with two results, or a wrong refusal", wrong)
        verdict.tell("ids that the other graph won", won[rival])
        runs = Counter(id for id, _ in await detector.executions(world.client))
        verdict.equal("runs", sum(runs.values()), options.ids)
        verdict.none("ids that ran twice", [id for id, count in runs.items() if count > 1])
        verdict.effects(account(world.book, {(name_of(index), "work") for index in range(options.ids)}))
        verdict.none("ended runs that took another graph", await _late(world, options))
        await aftermath(world, verdict)
    return verdict


async def _race(world: World, options: Options) -> list[tuple[str, str, Any]]:
    """What each racer heard: the id, "result", "refused" or "error", and the value."""
    racing: list[Process] = []
    for index in range(options.processes):
        honest = len(range(index, options.racers - options.rivals, options.processes))
        rival = len(range(index, options.rivals, options.processes))
        racing.append(
            await _process(Racer(str(world.home), str(world.book.folder), honest, rival, options.seed))
        )
    heard: list[tuple[str, str, Any]] = []
    try:
        for number in range(options.ids):
            for process in racing:
                assert process.stdin is not None
                process.stdin.write(b"%d\n" % number)
            for process in racing:
                assert process.stdout is not None
                heard += [tuple(each) for each in json.loads(await process.stdout.readline())]
    finally:
        for process in racing:
            process.kill()
            await process.communicate()
    return heard


async def _process(racer: Racer) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos.race", json.dumps(asdict(racer))),
        cwd=ROOT,
        env={"PERDURE_HOME": racer.home, "PYTHONPATH": str(ROOT), "PATH": os.defpath},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=1 << 20,
    )


async def _late(world: World, options: Options) -> list[str]:
    """The ids that take a third graph when their run has ended."""
    taken: list[str] = []
    for index in range(options.ids):
        id = name_of(index)
        try:
            await world.client.start(document(id, str(world.book.folder), 3), id=id)
        except RunConflict:
            continue
        taken.append(id)
    return taken


async def _racers(racer: Racer) -> None:
    """All racers of one process, in an order by seed for each id."""
    client = await connect(Settings(home=Path(racer.home)))
    order = [1] * racer.honest + [2] * racer.rival

    async def one(id: str, add: int) -> tuple[str, str, Any]:
        outcomes = Outcomes()
        try:
            run = await outcomes.patiently(lambda: client.start(document(id, racer.book, add), id=id))
            result = await outcomes.patiently(run.result)
            return id, "result", result.results["work"]["value"]
        except RunConflict:
            return id, "refused", CONFLICT
        except Exception as error:  # reported to the scenario, which has no place for it
            return id, "error", repr(error)

    while number := await asyncio.to_thread(sys.stdin.readline):
        shuffled = Random(f"{racer.seed}/{number}").sample(order, len(order))
        heard = await asyncio.gather(*(one(name_of(int(number)), add) for add in shuffled))
        print(json.dumps(heard), flush=True)


def main(words: Sequence[str]) -> None:
    """One process of racers, until its input ends."""
    asyncio.run(_racers(Racer(**json.loads(words[0]))))
    os._exit(0)  # the SDK's threads may crash a process that ends by itself


if __name__ == "__main__":
    main(sys.argv[1:])
