"""A run is flooded with signals and answers that it never asked for: it is never wedged."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.service import RPCError

from perdure.client import GraphClient
from perdure.errors import ConnectionFailed, RunFailed, UsageError
from tests.chaos.agents import grown
from tests.chaos.effects import account
from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import World, world_in
from tests.support import detector
from tests.support.waiting import until

RPC = timedelta(seconds=10)
RUN = "flooded"
UPDATES = 8


@dataclass(frozen=True)
class Options:
    """`signals` of some names, `at_once` at a time, and `answers` to questions that were not asked.

    A server takes ten updates of a run at a time: the others are asked to come back.
    """

    signals: int = 10_100
    answers: int = 500
    at_once: int = 30
    limit_s: float = 120.0


SHORT = Options(signals=600, answers=60, limit_s=180.0)


async def run(options: Options, home: Path) -> Verdict:
    """10,100 signals to one run that waits for a person, another worker, then the answer."""
    verdict = Verdict(f"{options.signals} signals, {options.answers} answers without a question")
    async with world_in(home) as world:
        worker = await world.worker()
        begun = await world.client.start(_document(world), id=RUN)
        await until(lambda: world.book.entries("effect"), "the first node is done")
        began = time.monotonic()
        signals = await _storm(options.signals, options.at_once, lambda at: _signal(world.client, at))
        answers = await _storm(options.answers, UPDATES, lambda at: _answer(world.client, at))
        verdict.tell("seconds of the storm", f"{time.monotonic() - began:.0f}")
        for outcomes, count in sorted((signals + answers).items()):
            verdict.tell(outcomes, count)
        verdict.equal("answers taken without a question", answers["answer: taken"], 0)
        world.kill_worker(worker)  # the next one has all of it to replay
        await world.worker()
        began = time.monotonic()
        ending = asyncio.ensure_future(_finish(world.client))
        done, _ = await asyncio.wait([ending], timeout=options.limit_s)
        if done:
            want = {"last": {"value": grown(grown(1, 1) + len("the answer"), 1)}}
            verdict.equal("its result", ending.result(), want)
            verdict.most("ended after the storm within", time.monotonic() - began, options.limit_s)
        else:
            ending.cancel()
            report = await begun.report()
            verdict.none("wedged", [f"{report.state}, attempt {report.attempt}, {report.pending}"])
        histories = await detector.histories(world.client)
        verdict.tell("runs of its chain, and their events", [len(each.events) for each in histories])
        verdict.effects(account(world.book, {(RUN, "first"), (RUN, "last")}))
        await aftermath(world, verdict)
    return verdict


def _document(world: World) -> dict[str, Any]:
    params = {"book": str(world.book.folder), "run": RUN, "add": 1}
    last = {"x": ":first.value", "y": ":ask.text"}
    return {
        "version": 0.5,
        "nodes": {
            "first": {"agent": "effectAgent", "inputs": {"x": 1}, "params": params},
            "ask": {"agent": "textInputAgent", "inputs": {"after": ":first.value"}},
            "last": {"agent": "effectAgent", "inputs": last, "params": params, "isResult": True},
        },
    }


async def _storm(count: int, at_once: int, call: Callable[[int], Awaitable[str]]) -> Counter[str]:
    """What `count` calls returned, some of them at once."""
    outcomes, numbers = Counter[str](), iter(range(count))

    async def caller() -> None:
        for number in numbers:
            outcomes[await call(number)] += 1

    await asyncio.gather(*(caller() for _ in range(at_once)))
    return outcomes


async def _signal(client: GraphClient, number: int) -> str:
    name = ("answer", "finish", "__unknown", f"signal-{number % 7}")[number % 4]
    try:
        await client.get(RUN).handle.signal(name, {"number": number}, rpc_timeout=RPC)
    except RPCError as error:
        return f"signal: refused, {error.status.name}: {error.message[:60]}"
    return "signal: taken"


async def _answer(client: GraphClient, number: int) -> str:
    try:
        await client.get(RUN).answer(f"none-{number}", "x")
    except UsageError as error:
        return "answer: refused, no question" if "no single question" in str(error) else f"answer: {error}"
    except (ConnectionFailed, RunFailed) as error:
        return f"answer: {str(error)[:60]}"
    return "answer: taken"


async def _finish(client: GraphClient) -> Any:
    """Gives the answer that the run waits for, until it is taken."""
    while True:
        try:
            await client.get(RUN).answer("ask", "the answer")
        except (ConnectionFailed, RunFailed):
            await asyncio.sleep(1.0)
            continue
        return dict((await client.get(RUN).result()).results)
