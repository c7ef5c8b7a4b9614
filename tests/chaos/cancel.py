"""Runs are cancelled at every kind of moment: they end at once, their agents hear of it, nothing follows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from perdure.errors import RunCancelled
from perdure.workflows.activity_options import HEARTBEAT_TIMEOUT
from tests.chaos.effects import Entry
from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import World, world_in

LIMIT = HEARTBEAT_TIMEOUT.total_seconds() + 2.0
"""Seconds in which a cancelled run must have ended, and its agents must have heard of it."""

LONG = 600.0
"""Seconds that agents would work for."""

SYNC = 3.0
"""The same for those in threads, which nothing can stop."""


@dataclass(frozen=True)
class Options:
    """`each` runs for every moment; `wait` seconds after the last for effects that must not come."""

    each: int = 20
    wait: float = 30.0
    limit_s: float = LIMIT
    seed: int = 1


SHORT = Options(each=1, wait=4.0, limit_s=150.0)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When to cancel. `nodes` makes the graph from the params that every agent gets.

    `begins` says that an agent must be at work first, `notified` that it can hear of the cancellation.
    `queue` is one that gets its worker only when all runs on it were cancelled.
    """

    name: str
    nodes: Callable[[dict[str, Any]], dict[str, Any]]
    loop: dict[str, Any] | None = None
    concurrency: int | None = None
    begins: bool = True
    notified: bool = True
    times: int = 1
    queue: str | None = None

    def document(self, params: dict[str, Any]) -> dict[str, Any]:
        document: dict[str, Any] = {"version": 0.5, "nodes": self.nodes(params)}
        if self.loop is not None:
            document["loop"] = self.loop
        if self.concurrency is not None:
            document["concurrency"] = self.concurrency
        return document


def _one(agent: str, seconds: float, **params: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A node at work, and one after it."""

    def nodes(common: dict[str, Any]) -> dict[str, Any]:
        params_of_all = {**common, "seconds": seconds, **params}
        return {
            "first": {"agent": agent, "inputs": {"x": 1}, "params": params_of_all, "backoff": LONG},
            "next": {"agent": "effectAgent", "inputs": {"x": ":first.value"}, "params": common},
        }

    return nodes


def _queued(common: dict[str, Any]) -> dict[str, Any]:
    long = {**common, "seconds": LONG}
    return {
        "first": {"agent": "effectAgent", "inputs": {"x": 1}, "params": long},
        "unserved": {"agent": "effectAgent", "inputs": {"x": 1}, "params": common, "queue": "nobody"},
        "waits": {"agent": "effectAgent", "inputs": {"x": 1}, "params": common},
    }


def _loop(common: dict[str, Any]) -> dict[str, Any]:
    params = {**common, "seconds": 0.3}
    return {
        "state": {"value": 1, "update": ":work.value"},
        "work": {"agent": "effectAgent", "inputs": {"x": ":state"}, "params": params},
    }


def _pure(common: dict[str, Any]) -> dict[str, Any]:
    del common
    return {
        "state": {"value": 1, "update": ":second.value"},
        "first": {"agent": "pureAgent", "inputs": {"x": ":state"}},
        "second": {"agent": "pureAgent", "inputs": {"x": ":first.value"}},
    }


def _map(common: dict[str, Any]) -> dict[str, Any]:
    work = {"agent": "effectAgent", "inputs": {"x": ":row"}, "params": {**common, "seconds": LONG}}
    more = {"agent": "effectAgent", "inputs": {"x": ":work.value"}, "params": common}
    graph = {"nodes": {"work": work, "more": more}}
    return {"rows": {"agent": "mapAgent", "inputs": {"rows": list(range(8))}, "graph": graph}}


MOMENTS = (
    Moment(name="before start", nodes=_one("effectAgent", 1.0), begins=False, notified=False, queue="later"),
    Moment(name="queued", nodes=_queued, concurrency=2),
    Moment(name="mid-agent, async", nodes=_one("effectAgent", LONG)),
    Moment(name="mid-agent, sync", nodes=_one("syncAgent", SYNC), notified=False),
    Moment(
        name="endless loop of pure nodes", nodes=_pure, loop={"while": ":state"}, begins=False, notified=False
    ),
    Moment(name="mid-loop", nodes=_loop, loop={"count": 1000}, notified=False),
    Moment(name="mid-map", nodes=_map, concurrency=4),
    Moment(name="retry wait", nodes=_one("flakyAgent", 0.0, always=True), notified=False),
    Moment(name="twice", nodes=_one("effectAgent", LONG), times=3),
)


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """A run that was cancelled at `at` and had ended at `ended`, as clocks here say, or 0 for never."""

    id: str
    moment: Moment
    at: float
    ended: float = 0.0
    state: str = ""


async def run(options: Options, home: Path) -> Verdict:
    """Before the start, queued, in agents of every kind, in loops and maps, while it waits, and twice."""
    verdict = Verdict(f"cancelled at {len(MOMENTS)} moments, {options.each} runs each")
    async with world_in(home) as world:
        await world.worker()
        done: list[Cancelled] = []
        for moment in MOMENTS:
            done += await _moment(world, moment, options)
        await asyncio.sleep(options.wait)
        entries = world.book.entries()
        for moment in MOMENTS:
            _judge(
                verdict, moment, [each for each in done if each.moment is moment], entries, options.limit_s
            )
        ended = {each.id: each.ended for each in done}
        limits = {each.id: each.at + LIMIT for each in done}
        begun = [entry for entry in entries if entry.kind == "begin" and entry.at > ended[entry.run]]
        verdict.none("nodes begun after the end of their run", begun)
        late = [entry for entry in entries if entry.kind == "effect" and entry.at > limits[entry.run]]
        verdict.none(f"effects later than {LIMIT:g} s", late)
        after = [entry for entry in entries if entry.kind == "effect" and entry.at > ended[entry.run]]
        verdict.tell("effects after the end, of agents at work", len(after))
        verdict.tell("of these in threads", sum("sync" in entry.run for entry in after))
        await aftermath(world, verdict, sample=40, seed=options.seed)
    return verdict


async def _moment(world: World, moment: Moment, options: Options) -> list[Cancelled]:
    rng = Random(f"{options.seed}/{moment.name}")
    waits = [rng.uniform(0.0, 0.5) for _ in range(options.each)]
    ids = [f"{moment.name}-{index}" for index in range(options.each)]
    for id in ids:
        params = {"book": str(world.book.folder), "run": id}
        await world.client.start(moment.document(params), id=id, queue=moment.queue)
    if moment.queue is not None:
        for id in ids:
            await world.client.get(id).cancel()
        await world.worker(moment.queue)
    return list(
        await asyncio.gather(
            *(_cancel(world, moment, *each, options.limit_s) for each in zip(ids, waits, strict=True))
        )
    )


async def _ready(world: World, moment: Moment, id: str) -> None:
    """Returns when the run is where it is to be cancelled."""
    if not moment.begins:
        return await asyncio.sleep(1.0)
    while not world.book.entries("begin", id):
        await asyncio.sleep(0.2)
    return None


async def _cancel(world: World, moment: Moment, id: str, wait: float, limit_s: float) -> Cancelled:
    run = world.client.get(id)
    if moment.queue is None:
        async with asyncio.timeout(180):
            await _ready(world, moment, id)
        await asyncio.sleep(wait)
    at = time.time()
    for _ in range(0 if moment.queue else moment.times):
        await run.cancel()
    try:
        async with asyncio.timeout(limit_s):
            await run.result()
    except RunCancelled:
        return Cancelled(id=id, moment=moment, at=at, ended=time.time(), state="cancelled")
    except Exception as error:  # anything else is what the table shows
        return Cancelled(id=id, moment=moment, at=at, ended=time.time(), state=repr(error))
    return Cancelled(id=id, moment=moment, at=at, ended=time.time(), state="completed")


def _judge(
    verdict: Verdict, moment: Moment, runs: Sequence[Cancelled], entries: Sequence[Entry], limit_s: float
) -> None:
    name = moment.name
    verdict.none(
        f"{name}: not cancelled", [f"{each.id}: {each.state}" for each in runs if each.state != "cancelled"]
    )
    verdict.most(f"{name}: ended within", max(each.ended - each.at for each in runs), limit_s)
    if moment.notified:
        at = {each.id: each.at for each in runs}
        mine = [entry for entry in entries if entry.run in at]
        notified = {
            (entry.run, entry.path): entry.at - at[entry.run] for entry in mine if entry.kind == "told"
        }
        begun = {(entry.run, entry.path) for entry in mine if entry.kind == "begin"}
        verdict.none(f"{name}: agents not notified", sorted(begun - notified.keys()))
        verdict.most(f"{name}: notified within", max(notified.values(), default=0.0), limit_s)
