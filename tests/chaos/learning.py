"""Sites train one model together, and die: the server, the worker of the run, a site, and all of them.

The bars are those of a user who waits for a model: no round is lost or averaged twice, the weights are
bitwise those of a run in memory, the next round comes soon, and no row of a site leaves it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import numpy as np
from temporalio.client import WorkflowHistory

from perdure.agents.catalog import load_agents
from perdure.agents.distributed.plugins import dataset
from perdure.testing import run_in_memory_async
from tests.chaos.federated import graph
from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import World, world_in
from tests.support import detector, digits
from tests.support.forked import Process
from tests.support.waiting import until

AGENTS = Path(__file__).with_name("learners.py")
KINDS = ("server", "worker", "site", "all")
LIMITS_S = {"server": 2.0, "worker": 5.0, "site": 7.0, "all": 10.0}
"""Until the next round is over, beyond the time for which what was killed is away and one round."""


@dataclass(frozen=True)
class Options:
    """`kills` of each kind, or of the kind `only`; a round is `work` seconds of training, and who was killed
    is `away` so long.

    With `churn`, sites come and go instead, as `seeds` runs draw it (tests.chaos.churn).
    """

    sites: int = 10
    kills: int = 20
    work: float = 0.5
    away: float = 1.0
    seed: int = 1
    only: str = ""
    churn: bool = False
    seeds: int = 50


@dataclass
class Crew:
    """The processes of a run: the worker that advances it, and one for each site."""

    world: World
    sites: list[Process] = field(default_factory=list[Process])
    center: list[Process] = field(default_factory=list[Process])

    async def start_center(self) -> None:
        self.center = [await self.world.worker(agents=AGENTS)]

    async def start_site(self, number: int) -> Process:
        return await self.world.worker(f"site-{number}", agents=AGENTS)

    async def start_sites(self, count: int) -> None:
        self.sites = [*await asyncio.gather(*(self.start_site(number) for number in range(count)))]

    async def kill(self, kind: str, away: float, rng: Random) -> float:
        """Kills, waits, and starts again. Gives the seconds until everything was up."""
        began, world, victim = time.monotonic(), self.world, rng.randrange(len(self.sites))
        if kind in ("server", "all"):
            world.kill_server()
        if kind in ("worker", "all"):
            for process in self.center:
                world.kill_worker(process)
        victims = range(len(self.sites)) if kind == "all" else [victim] if kind == "site" else []
        for number in victims:
            world.kill_worker(self.sites[number])
        await asyncio.sleep(away)
        if kind in ("server", "all"):
            await world.restart_server()
        if kind in ("worker", "all"):
            await self.start_center()
        for number, process in zip(
            victims, await asyncio.gather(*map(self.start_site, victims)), strict=True
        ):
            self.sites[number] = process
        return time.monotonic() - began


async def run(options: Options, home: Path) -> Verdict:
    """Ten sites and twenty kills of each kind; with --churn, fifty runs of sites that come and go."""
    if options.churn:
        from tests.chaos import churn

        return await churn.run(options, home)
    kinds = [options.only] if options.only else KINDS
    rounds = options.kills * len(kinds) * 3 + 4  # each kill waits for one, and the two that follow
    verdict = Verdict(f"{options.sites} sites, {options.kills} kills of each kind, {rounds} rounds")
    folder = home / "data"
    write_data(folder, options.sites)
    (folder / "work").write_text(str(options.work))
    async with world_in(home) as world:
        crew, rng = Crew(world), Random(options.seed)
        await crew.start_center()
        await crew.start_sites(options.sites)
        learning = await world.client.start(graph(options.sites, rounds), id="learning")
        late: dict[str, list[float]] = {kind: [] for kind in kinds}
        up: dict[str, list[float]] = {kind: [] for kind in kinds}
        for kind in [kind for _ in range(options.kills) for kind in kinds]:
            await _rounds(folder, 1)
            await asyncio.sleep(rng.uniform(0, options.work))
            killed, before = time.time(), len(times(folder))
            back = await crew.kill(kind, options.away, rng)
            await _rounds(folder, before + 2 - len(times(folder)))
            late[kind].append(times(folder)[before + 1] - killed - back)
            up[kind].append(back - options.away)
        result = (await learning.result()).results["rounds"]
        histories = await detector.histories(world.client)
        _judge(verdict, folder, late, up, rounds)
        verdict.equal("weights", result["digest"], await undisturbed(folder, options.sites, rounds))
        counts = completions(histories)
        verdict.equal("averages in the histories", counts.total(), rounds)
        verdict.none("rounds averaged twice", [path for path, count in counts.items() if count > 1])
        verdict.none("rows of sites that left them", leaks(folder, options.sites, histories, world))
        await aftermath(world, verdict)
    return verdict


async def _rounds(folder: Path, more: int) -> None:
    """Waits until `more` rounds are over."""
    enough = len(times(folder)) + more
    await until(lambda: len(times(folder)) >= enough, f"{more} more rounds", 300)


def _judge(
    verdict: Verdict,
    folder: Path,
    late: Mapping[str, list[float]],
    up: Mapping[str, list[float]],
    rounds: int,
) -> None:
    noted = times(folder)
    pauses = [after - before for before, after in pairwise(noted)]
    usual = median(pauses)
    verdict.tell("seconds of a round (median)", f"{usual:.2f}")
    verdict.equal("rounds", len({path for _, path in journal(folder)}), rounds)
    for kind, seconds in late.items():
        beyond = [each - 2 * usual for each in seconds]  # the round that was disturbed, and the next one
        verdict.tell(f"seconds to start again ({kind}), median", f"{median(up[kind]):.2f}")
        verdict.tell(f"rounds again after a kill ({kind}), median", f"{median(beyond):.2f}")
        verdict.most(f"rounds again after a kill ({kind}), beyond two rounds", max(beyond), LIMITS_S[kind])


def write_data(folder: Path, sites: int) -> None:
    """A file for each site, and one of what no site has."""
    folder.mkdir(parents=True)
    shards = {f"site-{number}": shard for number, shard in enumerate(digits.by_label(sites))}
    for name, (x, y) in {**shards, "heldOut": digits.held_out()}.items():
        np.savez(folder / f"{name}.npz", x=x, y=y)


def journal(folder: Path) -> list[tuple[float, str]]:
    """When each round was evaluated, and where."""
    file = folder / "rounds"
    lines = file.read_text().split("\n") if file.exists() else []
    return [(float(line.split()[0]), line.split()[1]) for line in lines if line.count(" ") == 1]


def times(folder: Path) -> list[float]:
    """When each round was evaluated first."""
    first: dict[str, float] = {}
    for moment, path in journal(folder):
        first.setdefault(path.partition("#")[0], moment)
    return list(first.values())


def completions(histories: list[WorkflowHistory]) -> Counter[str]:
    """How often each average was completed, by the path of its node."""
    names: dict[tuple[str, int], str] = {}
    counts: Counter[str] = Counter()
    for number, history in enumerate(histories):
        for event in history.events:
            scheduled = event.activity_task_scheduled_event_attributes
            if scheduled.activity_type.name == "fedAverageAgent":
                names[f"{number}", event.event_id] = scheduled.activity_id
            done = event.activity_task_completed_event_attributes.scheduled_event_id
            if (f"{number}", done) in names:
                counts[names[f"{number}", done]] += 1
    return counts


def leaks(folder: Path, sites: int, histories: list[WorkflowHistory], world: World) -> list[str]:
    """Rows of the sites, as bytes or as JSON, in the histories, the store or the logs."""
    rows = {f"site-{number}": np.load(folder / f"site-{number}.npz")["x"][0] for number in range(sites)}
    marks = {
        name: (row.tobytes(), ", ".join(map(repr, row.tolist()[:12])).encode()) for name, row in rows.items()
    }
    places = {f"history {index}": each.to_json().encode() for index, each in enumerate(histories)}
    for index, history in enumerate(histories):
        places[f"payloads {index}"] = b"".join(event.SerializeToString() for event in history.events)
    for file in [*world.logs.rglob("*"), *(world.home / "store").rglob("*")]:
        if file.is_file():
            places[str(file)] = file.read_bytes()
    return [
        f"{name} in {place}"
        for place, content in places.items()
        for name, forms in marks.items()
        if any(form in content for form in forms)
    ]


def read_data(folder: Path, name: str) -> Any:
    """What `write_data` wrote of a site."""
    with np.load(folder / f"{name}.npz") as file:
        return file["x"], file["y"]


async def undisturbed(folder: Path, sites: int, rounds: int) -> str:
    """The digest of the weights that a run in memory learns from the same files."""

    dataset("digits")(lambda site, _: read_data(folder, f"site-{site}"))
    dataset("heldOut")(lambda site, _: read_data(folder, "heldOut"))
    agents = load_agents("perdure.agents.distributed.agents")
    result = await run_in_memory_async(graph(sites, rounds, placed=False), agents=agents)
    return result.results["rounds"]["digest"]
