"""Many clients start the same id at once: there is one run, and all of them get its result."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from perdure.client import connect
from perdure.errors import RunConflict
from perdure.settings import Settings
from tests.chaos import detector
from tests.chaos.agents import grown
from tests.chaos.effects import account
from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import World, world_in
from tests.e2e.processes import ROOT

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
    """One process of clients: it starts each id `honest` times with one graph, `rival` times with another."""

    home: str
    book: str
    ids: int
    honest: int
    rival: int
    first: float
    gap: float
    seed: int


def name_of(index: int) -> str:
    """The id of a run."""
    return f"race-{index}"


def document(id: str, book: str, add: int) -> dict[str, Any]:
    """One effect, whose value tells which graph won."""
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
        told = await _race(world, options)
        verdict.tell("seconds of the race", f"{time.monotonic() - began:.0f}")
        verdict.equal("answers", len(told), options.racers * options.ids)
        verdict.none("errors", [each for each in told if each[1] == "error"])
        honest, rival = grown(1, 1), grown(1, 2)
        wrong: list[str] = []
        won = Counter[int]()
        for index in range(options.ids):
            id = name_of(index)
            counts = Counter(end for of, _, end in told if of == id)
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
    """What each racer was told: the id, "result" or "error", and the value."""
    shares = [_share(options, index) for index in range(options.processes)]
    racer = Racer(
        home=str(world.home),
        book=str(world.book.folder),
        ids=options.ids,
        honest=0,
        rival=0,
        first=time.time() + 3.0,
        gap=max(options.racers / 100, 0.1),
        seed=options.seed,
    )
    racing = [_process(replace(racer, honest=honest, rival=rival)) for honest, rival in shares]
    told = await asyncio.gather(*racing)
    return [tuple(each) for part in told for each in part]


def _share(options: Options, index: int) -> tuple[int, int]:
    """How many racers of both kinds this process has."""
    honest = options.racers - options.rivals
    return tuple(len(range(index, count, options.processes)) for count in (honest, options.rivals))  # type: ignore[return-value]


async def _process(racer: Racer) -> list[list[Any]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos.race", json.dumps(racer.__dict__)),
        cwd=ROOT,
        env={"PERDURE_HOME": racer.home, "PYTHONPATH": str(ROOT), "PATH": os.defpath},
        stdout=subprocess.PIPE,
    )
    told, _ = await process.communicate()
    return json.loads(told)


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


async def _racers(racer: Racer) -> list[tuple[str, str, Any]]:
    """All racers of one process, in an order by seed for each id."""
    client = await connect(Settings(home=Path(racer.home)))
    order = [1] * racer.honest + [2] * racer.rival

    async def one(id: str, add: int, at: float) -> tuple[str, str, Any]:
        await asyncio.sleep(max(at - time.time(), 0.0))
        try:
            run = await client.start(document(id, racer.book, add), id=id)
            return id, "result", (await run.result()).results["work"]["value"]
        except RunConflict:
            return id, "refused", CONFLICT
        except Exception as error:  # told to the scenario, which has no place for it
            return id, "error", repr(error)

    try:
        return await asyncio.gather(
            *(
                one(name_of(index), add, racer.first + racer.gap * index)
                for index in range(racer.ids)
                for add in Random(f"{racer.seed}/{index}").sample(order, len(order))
            )
        )
    finally:
        client.close()


def main(words: Sequence[str]) -> None:
    """One process of racers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("racer", type=lambda text: Racer(**json.loads(text)))
    told = asyncio.run(_racers(parser.parse_args(words).racer))
    print(json.dumps(told), flush=True)
    os._exit(0)  # the SDK's threads may crash a process that ends by itself


if __name__ == "__main__":
    main(sys.argv[1:])
