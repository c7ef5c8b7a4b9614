"""The worker dies at each moment of a run, and another one takes over: the result is always the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from perdure.graph.text.load import load
from perdure.protocol.payloads import RunResult
from perdure.settings import Settings
from tests.chaos import doomed, mix
from tests.chaos.agents import __file__ as chaos_agents
from tests.chaos.doomed import Doom
from tests.chaos.drive import Outcomes, difference, follow
from tests.chaos.effects import Book, account
from tests.chaos.mix import Mixed
from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import World, world_in
from tests.support.examples import EXAMPLES, settings_for
from tests.support.histories import GRAPHS
from tests.support.waiting import until

DEADLINE = 180.0
"""Seconds in which a run must end whose worker died once."""


@dataclass(frozen=True)
class Options:
    """`graphs` are taken from the examples, the recorded graphs and the mix; `points` of each, 0 for all."""

    graphs: int = 30
    points: int = 0
    at_once: int = 12
    seed: int = 1


SHORT = Options(graphs=3, points=3, at_once=9)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A graph to be swept: of a `kind` of the mix, or one whose undisturbed run says what is right."""

    name: str
    settings: Settings
    document: Mapping[str, Any] | None = None
    agents: tuple[str, ...] = ()
    kind: Any = None
    index: int = 0

    def run(self, id: str, book: Book, seed: int) -> Mixed:
        """The run of this id."""
        if self.document is None:
            return mix.one(self.kind, self.index, seed, book.folder, id)
        return Mixed(id=id, kind=self.name, document=self.document, results={})


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One run: how it ended, the moments of its first worker, and whether that one died."""

    run: Mixed
    result: RunResult
    moments: int
    died: bool


async def run(options: Options, home: Path) -> Verdict:
    """30 graphs, each with a run for each moment at which its worker dies."""
    verdict = Verdict(f"crash-point sweep of {options.graphs} graphs")
    with ExitStack() as stack:
        async with world_in(home) as world:
            subjects = list(_subjects(stack, world.client.settings, options))
            sweep = Sweep(world, options, asyncio.Semaphore(options.at_once))
            swept_subjects = await asyncio.gather(*(sweep.subject(each) for each in subjects))
            swept = [passage for first, passages in swept_subjects for passage in passages]
            verdict.equal("graphs", len(subjects), options.graphs)
            verdict.tell("moments of these graphs", sum(first.moments for first, _ in swept_subjects))
            verdict.tell("moments at which a worker was to die", len(swept))
            lived = sum(not each.died for each in swept)
            verdict.most("runs that were over before", lived, len(swept) // 8, unit="runs")
            verdict.none(
                "different results",
                [text for first, passages in swept_subjects for text in _wrong(first, [first, *passages])],
            )
            runs = [passage.run for first, passages in swept_subjects for passage in (first, *passages)]
            places = {place for run in runs for place in run.effects}
            verdict.effects(account(world.book, places), most=None)
            await world.worker()  # answers the detector
            await aftermath(world, verdict, sample=100, seed=options.seed)
    return verdict


def _wrong(first: Passage, passages: list[Passage]) -> list[str]:
    """The ends that differ: from what was computed, or from that of the undisturbed run."""
    faults: list[str] = []
    for passage in passages:
        run = passage.run
        if not run.results and not run.errors:
            run = replace(run, results=_timeless(first.result.results), errors=first.result.errors)
        result = replace(passage.result, results=_timeless(passage.result.results))
        if text := difference(run, result):
            faults.append(f"{run.kind}, run {run.id}: {text}")
    return faults


def _timeless(value: Any) -> Any:
    """A value without what models report of the time that they took."""
    if isinstance(value, list):
        return [_timeless(item) for item in value]
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key != "timing"}
    return value


def _subjects(stack: ExitStack, settings: Settings, options: Options) -> Iterator[Subject]:
    """Half of them are recorded graphs, in an order by seed, as far as there are; the others are mixed."""
    recorded: list[Subject] = []
    for example in EXAMPLES:
        # Models are as the one with services, and much slower; no person is there.
        if example.needs != "models" and not example.answers:
            around = stack.enter_context(settings_for(example, settings.home))
            own = example.folder / "agents.py"
            agents = (str(own),) if own.exists() else ()
            recorded.append(
                Subject(name=example.name, settings=around, document=example.document, agents=agents)
            )
    for path in GRAPHS:
        document: Any = load(path.read_bytes()).data
        recorded.append(Subject(name=path.stem, settings=settings, document=document))
    Random(options.seed).shuffle(recorded)
    chosen = recorded[: (options.graphs + 1) // 2]
    yield from chosen
    for index in range(options.graphs - len(chosen)):
        kind = mix.KINDS[index % len(mix.KINDS)]
        name = f"{kind.__name__}-{index}"
        yield Subject(name=name, settings=settings, agents=(chaos_agents,), kind=kind, index=index)


class Sweep:
    """Runs subjects, some at once: most of the time each of them waits for a timeout."""

    def __init__(self, world: World, options: Options, gate: asyncio.Semaphore) -> None:
        self._world = world
        self._options = options
        self._gate = gate

    async def subject(self, subject: Subject) -> tuple[Passage, list[Passage]]:
        """An undisturbed run, which counts the moments, then one for each of them."""
        first = await self._pass(subject, 0)
        points = list(range(1, first.moments + 1))
        if 0 < self._options.points < len(points):
            points = Random(f"{self._options.seed}/{subject.name}").sample(points, self._options.points)
        return first, list(await asyncio.gather(*(self._pass(subject, at) for at in points)))

    async def _pass(self, subject: Subject, at: int) -> Passage:
        world = self._world
        async with self._gate:
            id = f"{subject.name}/{at}"
            run = subject.run(id, world.book, self._options.seed)
            doom = Doom(
                address=world.client.temporal.service_client.config.target_host,
                queue=id,
                settings=subject.settings,
                agents=subject.agents,
                at=at,
                count=world.book.folder / f"moments-{id.replace('/', '-')}",
                log=world.logs / "doomed.log",
            )
            worker = doomed.start(doom)
            ending = asyncio.create_task(follow(world.client, run, Outcomes(), queue=id))
            try:
                await until(lambda: ending.done() or not worker.is_alive(), f"{id} ends, or its worker")
                died, lived = not worker.is_alive(), doomed.moments(doom)
                if died:
                    worker = doomed.start(replace(doom, at=0))
                result = await asyncio.wait_for(ending, DEADLINE)
            finally:
                ending.cancel()
                worker.kill()
                await asyncio.to_thread(worker.join)
        return Passage(run=run, result=result, moments=lived, died=died)
