"""Sites come and go while they train: killed, slow, started again, as a seed says.

Each round ends with the sites that have answered, and which these are depends on chance. So what can be
checked is that the record is true: the weights are, bit for bit, those that the recorded sites make in a
plain loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from temporalio.client import WorkflowHistory

from perdure.agents.agent import AgentContext
from perdure.agents.distributed.agents import fed_average, fed_init, fed_train
from perdure.agents.distributed.averaging import AverageParams
from perdure.agents.distributed.plugins import dataset
from perdure.agents.distributed.training import TrainParams
from tests.chaos.federated import graph
from tests.chaos.learning import Crew, Options, read_data, write_data
from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import world_in

ROUNDS = 4
DEADLINE_MS = 6_000
DEAD = (2, 5, 9)


async def run(options: Options, home: Path) -> Verdict:
    """A run of each seed, and one round without three of the ten."""
    verdict = Verdict(f"{options.sites} sites that come and go, {options.seeds} seeds, {ROUNDS} rounds each")
    folder = home / "data"
    write_data(folder, options.sites)
    (folder / "work").write_text("0.5")
    dataset("digits")(lambda site, _: read_data(folder, f"site-{site}"))
    wrong: list[str] = []
    rounds: list[Mapping[str, Any]] = []
    async with world_in(home) as world:
        crew = Crew(world)
        await crew.start_center()
        await crew.start_sites(options.sites)
        for seed in range(options.seed, options.seed + options.seeds):
            learning = await world.client.start(_graph(options.sites, ROUNDS, 2), id=f"churn-{seed}")
            stop = asyncio.Event()
            churning = asyncio.create_task(_churn(crew, folder, Random(seed), stop))
            try:
                result = (await asyncio.wait_for(learning.result(), 600)).results["rounds"]
            finally:
                stop.set()
                await churning
            rounds += result["log"]
            expected = replayed([each["accepted"] for each in result["log"]])
            if result["digest"] != expected:
                wrong.append(f"seed {seed}: {result['digest']} and not {expected}")
        verdict.none("runs with other weights than their record", wrong)
        counts = [len(each["accepted"]) for each in rounds]
        verdict.equal("rounds", len(counts), ROUNDS * options.seeds)
        shown = {count: counts.count(count) for count in sorted(set(counts))}
        verdict.tell("rounds by the number of their sites", shown)
        torn = [each for each in rounds if len(each["accepted"]) + len(each["missing"]) != options.sites]
        verdict.none("rounds that do not account for all sites", torn)
        await _without_three(crew, folder, options, verdict)
        await aftermath(world, verdict)
    return verdict


async def _churn(crew: Crew, folder: Path, rng: Random, stop: asyncio.Event) -> None:
    """Until it is to stop: every moment another site is killed, to come back later, or slow for a while."""
    slow: list[Path] = []
    while not stop.is_set():
        site = rng.randrange(len(crew.sites))
        if rng.random() < 0.5:
            slow.append(folder / f"work-{site}")
            slow[-1].write_text(f"{rng.uniform(0, 12):.2f}")
            if len(slow) > 4:
                slow.pop(0).unlink(missing_ok=True)
        elif crew.sites[site].poll() is None:
            crew.world.kill_worker(crew.sites[site])
        gone = [site for site, process in enumerate(crew.sites) if process.poll() is not None]
        if len(gone) > 3:
            back = rng.choice(gone)
            crew.sites[back] = await crew.start_site(back)
        await asyncio.sleep(rng.uniform(0.1, 1))


async def _without_three(crew: Crew, folder: Path, options: Options, verdict: Verdict) -> None:
    for file in folder.glob("work-*"):
        file.unlink()
    for site, process in enumerate(crew.sites):
        if site in DEAD and process.poll() is None:
            crew.world.kill_worker(process)
        elif process.poll() is not None and site not in DEAD:
            crew.sites[site] = await crew.start_site(site)
    learning = await crew.world.client.start(_graph(options.sites, 1, 0.7), id="three-dead")
    (only,) = (await learning.result()).results["rounds"]["log"]
    history = await crew.world.client.temporal.get_workflow_handle("three-dead").fetch_history()
    verdict.equal("who is missing of ten", [each["id"] for each in only["missing"]], list(DEAD))
    late = round_seconds(history) - DEADLINE_MS / 1000
    verdict.most("a round without three, beyond its deadline", late, 1.0)
    for site in DEAD:
        crew.sites[site] = await crew.start_site(site)


def round_seconds(history: WorkflowHistory) -> float:
    """From the first call of a site to that of the average, by the times of the server."""
    times: dict[str, float] = {}
    for event in history.events:
        name = event.activity_task_scheduled_event_attributes.activity_type.name
        times.setdefault(name, event.event_time.ToNanoseconds() / 1e9)
    return times["fedAverageAgent"] - times["fedTrainAgent"]


def replayed(accepted: Sequence[Sequence[int]]) -> str:
    """The digest of the weights that these sites make, round by round, in a plain loop."""
    context = AgentContext()
    result: Any = fed_init({"model": "softmax", "seed": 1})
    for number, sites in enumerate(accepted):
        weights = result["weights"]
        about = {"weights": weights, "round": number}
        updates = [fed_train(about | {"site": site}, TrainParams(data="digits"), context) for site in sites]
        result = fed_average(about | {"updates": updates}, AverageParams(), context)
    return result["digest"]


def _graph(sites: int, rounds: int, quorum: float) -> dict[str, Any]:
    return graph(sites, rounds, enough={"quorum": quorum, "deadline": DEADLINE_MS})
