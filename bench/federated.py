"""Federated averaging against Flower and NVFlare: seconds and bytes of a round, and the price of durability.

All sides train the same models on the same digits with numpy, in turns, on this machine. It takes some ten
minutes, and the others are in environments of their own (`python -m bench federated --install-peers`), so it
runs if it is asked for by name. As root, with `unshare` and `ip`, it has a network of its own, whose loopback
counts the bytes of a side; otherwise it counts none.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import federated_graph
from bench import federated_peers as peers
from bench.harness import Claim, Comparison, Options, Side, alternate
from bench.processes import ROOT, Failed, environment
from bench.session import QUEUES, Session, fresh
from perdure.agents.catalog import load_agents
from perdure.testing import run_in_memory_async

AGENTS = "bench.federated_agents"
SMALL, LARGE = 0, 2048
"""Hidden units of the models: a softmax of 2.6 KB, and a perceptron of 614 KB."""

KILOBYTES = {SMALL: "3 KB", LARGE: "614 KB"}
ARRAY_BYTES, NODES = 40_000_000, 10
BOUNDS = {(2, SMALL): 0.06, (10, SMALL): 0.10, (2, LARGE): 0.2, (10, LARGE): 0.5}
"""Seconds that a round of Perdure may take, by sites and model."""


async def federated(options: Options) -> Comparison:
    """Rounds of all sides, one after the other."""
    compared = Comparison(name="federated", title="Federated averaging", unit="round", size=1)
    rounds = options.size(10, 3)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(fresh())
        await stack.enter_async_context(_workers(session, 10))
        sides = [_ours(session, sites, hidden, rounds) for sites, hidden in BOUNDS]
        sides += [peers.simulation(sites, SMALL, rounds) for sites in (2, 10)]
        sides += [peers.deployment(2, SMALL, min(rounds, 5)), peers.nvflare(2, SMALL, min(rounds, 5))]
        await alternate(compared, sides, options.pairs, warm_up=False)
        for (sites, hidden), bound in BOUNDS.items():
            name = _name(sites, hidden)
            compared.state(name, f"seconds of a round, {name}", bound, of=float, at_most=True)
            _state_bytes(compared, name, 2 * sites * peers.model_bytes(hidden))
        for sites in (2, 10):
            compared.compare(_name(sites, SMALL), peers.simulated(sites), 1.0)
        for sites, bound in ((2, 0.05), (10, 0.08)):
            compared.claims.append(await _price(session, sites, bound, options.size(8, 3)))
        compared.claims += await _array(session, options.size(ARRAY_BYTES, 1_000_000))
    return compared


def _name(sites: int, hidden: int) -> str:
    return f"perdure, {sites} sites, {KILOBYTES[hidden]}"


def _ours(session: Session, sites: int, hidden: int, rounds: int) -> Side:
    async def work() -> Mapping[str, float]:
        before = _stored(session.home)
        with peers.metered() as meter:
            handle = await session.run(graph(sites, hidden, rounds))
            marks = await _ends(handle)
        figures = dict(meter.per_round(marks))
        if "bytes" in figures:  # what passes by the folder of the store is not on the loopback
            figures["bytes"] += (_stored(session.home) - before) / rounds
        return figures

    return Side(name=_name(sites, hidden), work=work, durability="history and store on disk")


def _stored(home: Path) -> int:
    return sum(path.stat().st_size for path in (home / "store").rglob("*") if path.is_file())


async def _ends(handle: Any) -> list[float]:
    """When each average was done, by the clock of the server, over all parts of the run."""
    names: dict[int, str] = {}
    ends: list[float] = []
    async for event in handle.fetch_history_events():
        names[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
        done = event.activity_task_completed_event_attributes.scheduled_event_id
        if names.get(done) == "fedAverageAgent":
            ends.append(event.event_time.ToNanoseconds() / 1e9)
    if len(ends) < 3:
        raise Failed("too few rounds are in the last part of the history")
    return ends


def _state_bytes(compared: Comparison, name: str, least: int) -> None:
    series = compared.find(name)
    taken = [] if series is None else series.taken.get("bytes", [])
    if taken:
        shares = [each / least for each in taken]
        what = f"bytes of a round / the least there can be, {name}"
        bound = 1.6 if name.endswith("2 sites, 614 KB") else None
        value = statistics.median(shares)
        compared.claims.append(Claim(what=what, value=value, low=min(shares), high=max(shares), bound=bound))


async def _price(session: Session, sites: int, bound: float, rounds: int) -> Claim:
    """What a durable round takes longer than one in memory, with a second of training in each."""
    agents = load_agents(AGENTS)
    await run_in_memory_async(graph(sites, SMALL, 1, placed=False), agents)  # what is loaded once
    begin = time.perf_counter()
    await run_in_memory_async(graph(sites, SMALL, rounds, slow=True, placed=False), agents)
    alone = (time.perf_counter() - begin) / rounds
    marks = await _ends(await session.run(graph(sites, SMALL, rounds, slow=True)))
    prices = [(after - before) / alone - 1 for before, after in pairwise(marks)]
    what = f"price of durability, {sites} sites that train for a second"
    value = statistics.median(prices)
    return Claim(what=what, value=value, low=min(prices), high=max(prices), bound=bound)


async def _array(session: Session, size: int) -> list[Claim]:
    """A large value through ten nodes: passed on, against copies of a file; changed, against the least.

    The least is the hash of a new value and a write to the disk; a copy is only in memory when it returns.
    """
    megabytes, hops = size // 1_000_000, NODES - 1
    passed, history = await _through(session, "keepArray", size)
    changed, _ = await _through(session, "changeArray", size)
    copied, least = _copied(session.home, size), _written(session.home, size)
    what = f"bytes of history, {megabytes} MB through {NODES} nodes, signed"
    times = f"wall time of {hops} of them"
    return [
        _once(what, history, 20_000),
        _once(f"{times} / copying the file as often ({copied:.2f} s)", passed / copied, 1.3),
        _once(
            f"{times}, each of which changes it / hashing and writing it ({least:.2f} s)",
            changed / least,
            2.5,
        ),
    ]


async def _through(session: Session, agent: str, size: int) -> tuple[float, int]:
    """The seconds that all nodes but the first take, and the bytes of the history."""
    nodes: dict[str, Any] = {"s0": {"agent": "makeArray", "params": {"bytes": size, "seed": 1}}}
    for number in range(1, NODES):
        nodes[f"s{number}"] = {"agent": agent, "inputs": {"array": f":s{number - 1}.array"}}
    handle = await session.run({"version": 0.5, "nodes": nodes})
    times: list[float] = []
    async for event in handle.fetch_history_events():
        if event.HasField("activity_task_completed_event_attributes"):
            times.append(event.event_time.ToNanoseconds() / 1e9)
    info = (await handle.describe()).raw_description.workflow_execution_info
    return times[-1] - times[-NODES], info.history_size_bytes


def _once(what: str, value: float, bound: float) -> Claim:
    """What was measured one time."""
    return Claim(what=what, value=value, low=value, high=value, bound=bound)


def _copied(folder: Path, size: int) -> float:
    source = folder / "copied"
    source.write_bytes(os.urandom(size))
    begin = time.perf_counter()
    for number in range(1, NODES):
        shutil.copyfile(source, folder / f"copied-{number}")
    return time.perf_counter() - begin


def _written(folder: Path, size: int) -> float:
    """The seconds of a hash and a durable write for each node but the first."""
    data = os.urandom(size)
    begin = time.perf_counter()
    for number in range(1, NODES):
        hashlib.sha256(data).digest()
        with (folder / f"written-{number}").open("wb") as file:
            file.write(data)
            os.fsync(file.fileno())
    return time.perf_counter() - begin


@asynccontextmanager
async def _workers(session: Session, sites: int) -> AsyncIterator[None]:
    """A worker of the run, and one for each site, in processes of their own."""
    queues = [QUEUES["perdure"], *(f"site-{number}" for number in range(sites))]
    started: list[asyncio.subprocess.Process] = []
    env = {**environment(PERDURE_HOME=str(session.home), PERDURE_QUEUES="*"), **peers.ONE_THREAD}
    try:
        for queue in queues:
            log = session.home / f"{queue}.log"
            words = ("-m", "perdure", "worker", "--queue", queue, "--agents", AGENTS)
            with log.open("wb") as output:
                started.append(
                    await asyncio.create_subprocess_exec(
                        sys.executable, *words, env=env, cwd=ROOT, stdout=output, stderr=output
                    )
                )
        async with asyncio.timeout(300):
            for queue in queues:
                while b"worker ready" not in (session.home / f"{queue}.log").read_bytes():
                    await asyncio.sleep(0.1)
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            await process.wait()


def graph(sites: int, hidden: int, rounds: int, *, slow: bool = False, placed: bool = True) -> dict[str, Any]:
    """Federated averaging over a map of sites, each on a queue of its own where they are `placed`."""
    model = {"model": "perceptron", "hidden": hidden} if hidden else {"model": "softmax"}
    data = f"{'slow-' if slow else ''}digits-of-{sites}"
    queue = {"queue": ":row.queue"} if placed else {}
    document = federated_graph.rounds(
        [{"id": number, "queue": f"site-{number}"} for number in range(sites)],
        {"count": rounds},
        fit={"params": {"data": data, "model": model["model"]}, **queue},
        average={"isResult": True},
        start={**model, "seed": 1},
        output={"digest": ".average.digest"},
    )
    return {**document, "concurrency": sites + 4}


COMPARISONS = {"federated": federated}
