"""A patient client: it starts mixed runs, answers their questions, and waits, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from temporalio.service import RPCError

from perdure.client import GraphClient
from perdure.errors import ConnectionFailed, RunFailed, UsageError
from perdure.protocol.payloads import RunResult
from tests.chaos.effects import Account, Book, account
from tests.chaos.mix import Mixed
from tests.chaos.report import Verdict

Answer = TypeVar("Answer")

PAUSE = 0.5
"""Seconds between two tries, and between two looks for questions."""


@dataclass
class Outcomes:
    """How runs have ended, by id; those that are missing have not. `calls` counts failed calls of ours."""

    ended: dict[str, RunResult] = field(default_factory=dict[str, RunResult])
    calls: int = 0
    refused: list[str] = field(default_factory=list[str])

    async def patiently(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `call` gives, once the server is there again."""
        while True:
            try:
                return await call()
            except ConnectionFailed:
                self.calls += 1
            except RunFailed as error:
                if not isinstance(error.__cause__, RPCError):
                    raise
                self.refused.append(str(error))
            await asyncio.sleep(PAUSE)


async def drive(
    client: GraphClient, runs: Sequence[Mixed], seconds: float, seed: int, limit_s: float
) -> Outcomes:
    """Starts the runs at moments within `seconds`, and waits for all, at most `limit_s` seconds more."""
    outcomes, rng = Outcomes(), Random(seed)
    began = time.monotonic()

    async def one(run: Mixed, at: float) -> None:
        await asyncio.sleep(at)
        await follow(client, run, outcomes)

    tasks = [asyncio.create_task(one(run, rng.uniform(0, seconds))) for run in runs]
    done, open_ = await asyncio.wait(tasks, timeout=seconds + limit_s - (time.monotonic() - began))
    for task in open_:
        task.cancel()
    await asyncio.gather(*open_, return_exceptions=True)
    for task in done:
        task.result()
    return outcomes


async def follow(client: GraphClient, run: Mixed, outcomes: Outcomes, queue: str | None = None) -> RunResult:
    """Starts one run, answers what it asks, and notes its end."""

    async def start() -> object:
        return await client.start(run.document, id=run.id, name=run.kind, queue=queue)

    await outcomes.patiently(start)
    answering = asyncio.create_task(_answer(client, run, outcomes)) if run.answers else None
    try:
        outcomes.ended[run.id] = await outcomes.patiently(lambda: _ending(client, run.id))
    finally:
        if answering is not None:
            answering.cancel()
    return outcomes.ended[run.id]


async def _ending(client: GraphClient, id: str) -> RunResult:
    try:
        return await client.get(id).result()
    except RunFailed as error:
        if error.result is None:
            raise
        return error.result


async def _answer(client: GraphClient, run: Mixed, outcomes: Outcomes) -> None:
    """Answers every question that is open, again and again: an answer may be lost with the server."""
    while True:
        await asyncio.sleep(PAUSE)
        handle = client.get(run.id)
        status = await handle.status()
        for question in () if status is None else status.questions:
            path = question.path
            try:
                await asyncio.wait_for(handle.answer(path, run.answers[path]), 10.0)
            except UsageError:
                pass  # the answer before this one had arrived
            except (ConnectionFailed, RunFailed, TimeoutError):
                outcomes.calls += 1


def judge(
    verdict: Verdict, runs: Sequence[Mixed], outcomes: Outcomes, book: Book, most: float | None = 0.03
) -> Account:
    """The bars of mixed runs: all have ended, each with what it must give and with its effects."""
    lost = [run.id for run in runs if run.id not in outcomes.ended]
    verdict.equal("runs ended", len(outcomes.ended), len(runs))
    verdict.none("runs lost", lost)
    verdict.none(
        "wrong results",
        [
            f"{run.id}: {wrong}"
            for run in runs
            if run.id in outcomes.ended and (wrong := difference(run, outcomes.ended[run.id]))
        ],
    )
    balance = account(book, {place for run in runs for place in run.effects})
    verdict.effects(balance, most)
    verdict.tell("calls of the client repeated", outcomes.calls)
    verdict.none("errors of a lost server reported as the run's", outcomes.refused)
    return balance


def difference(run: Mixed, result: RunResult) -> str:
    """What is wrong with the end of a run, empty for nothing."""
    got, want = (dict(result.results), dict(result.errors)), (dict(run.results), dict(run.errors))
    return "" if got == want else f"expected {want}, got {got}"
