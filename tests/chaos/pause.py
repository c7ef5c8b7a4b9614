"""A worker is stopped in the middle of its work, another one takes over, and the first one wakes up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory

from perdure.protocol.payloads import RunResult
from tests.chaos.effects import account
from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import World, world_in
from tests.support import detector
from tests.support.waiting import until

LIMIT_S = 90.0
"""Seconds after it woke up. While a worker is stopped, what it had asked for still goes to it: the server
does not know, and hands such a call on when its heartbeat is missed."""


@dataclass(frozen=True)
class Options:
    """`runs` are at work, for `work` seconds each, when their worker stops for `seconds`."""

    runs: int = 10
    seconds: float = 30.0
    work: float = 2.0


SHORT = Options(runs=3, seconds=14.0)


async def run(options: Options, home: Path) -> Verdict:
    """Two nodes in each of ten runs; the first worker is stopped for 30 s in the first of them."""
    verdict = Verdict(f"worker stopped for {options.seconds:g} s, {options.runs} runs")
    async with world_in(home) as world:
        ids = [f"pause-{index}" for index in range(options.runs)]
        first = await world.worker()
        for id in ids:
            await world.client.start(_document(world, id, options.work), id=id)
        await until(lambda: len(world.book.entries("begin")) == len(ids), "all are at work")
        first.send_signal(signal.SIGSTOP)
        second = await world.worker()
        results = asyncio.gather(*(world.client.get(id).result() for id in ids))
        await asyncio.sleep(options.seconds)
        verdict.tell("all ended meanwhile", results.done())
        first.send_signal(signal.SIGCONT)
        ended: list[RunResult] = await asyncio.wait_for(results, LIMIT_S)
        await asyncio.sleep(options.work + 3.0)  # what the first one says now must change nothing
        _judge(verdict, world, ids, ended, second.pid)
        again = [await world.client.get(id).result() for id in ids]
        verdict.none(
            "results that changed",
            [id for id, *two in zip(ids, ended, again, strict=True) if two[0] != two[1]],
        )
        verdict.equal("the first worker still serves", first.poll(), None)
        histories = await detector.histories(world.client)
        verdict.equal("completions in the histories", sum(map(_completions, histories)), 2 * len(ids))
        places = {(id, path) for id in ids for path in ("first", "next")}
        verdict.effects(account(world.book, places), most=None)
        await aftermath(world, verdict)
    return verdict


def _document(world: World, id: str, work: float) -> dict[str, Any]:
    params = {"book": str(world.book.folder), "run": id, "seconds": work}
    first = {"agent": "whoAgent", "params": params, "isResult": True}
    after = {"agent": "whoAgent", "params": {**params, "seconds": 0.1}, "isResult": True}
    return {"version": 0.5, "nodes": {"first": first, "next": {**after, "inputs": {"after": ":first.pid"}}}}


def _judge(
    verdict: Verdict, world: World, ids: Sequence[str], ended: Sequence[RunResult], second: int
) -> None:
    """Each result is that of one delivery, which the journal knows; the first delivery is that of none."""
    done = {(each.run, each.path, each.attempt, each.pid) for each in world.book.entries("effect")}
    wrong: list[str] = []
    for id, result in zip(ids, ended, strict=True):
        reported = {(id, path, who["attempt"], who["pid"]) for path, who in result.results.items()}
        if len(reported) != 2 or not reported <= done or result.results["first"]["attempt"] < 2:
            wrong.append(f"{id}: {dict(result.results)}")
    verdict.none("results that are not of one delivery", wrong)
    taken = sum(each.results["first"]["pid"] == second for each in ended)
    verdict.tell("first nodes done by the second worker", taken)


def _completions(history: WorkflowHistory) -> int:
    return sum(event.HasField("activity_task_completed_event_attributes") for event in history.events)
