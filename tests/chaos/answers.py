"""Two people race for the answers to many questions, while the worker dies and the run continues as new."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure.engine.messages import RunOptions
from perdure.errors import ConnectionFailed, UsageError
from perdure.runs import Run
from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import world_in
from tests.support import detector

RUN = "raced"
PEOPLE = ("anna", "ben")
UPDATES_AT_ONCE = 8


@dataclass(frozen=True)
class Options:
    """Each person answers each of `questions` that many times, `repeats` of them under the same id.

    A run continues as new from `events` on. Most questions are answered before they are asked.
    """

    questions: int = 100
    answers: int = 5
    repeats: int = 2
    events: int = 300
    seed: int = 1


SHORT = Options(questions=30, answers=2, events=120)


async def run(options: Options, home: Path) -> Verdict:
    """1,000 answers of two people to 100 questions, a worker that dies halfway, and another one."""
    total = options.questions * options.answers * len(PEOPLE)
    verdict = Verdict(f"{total} answers of {len(PEOPLE)} people to {options.questions} questions")
    async with world_in(home) as world:
        worker = await world.worker()
        graph = _document(options.questions)
        raced = await world.client.start(graph, id=RUN, options=RunOptions(events=options.events))
        calls = _calls(options)
        half = len(calls) // 2
        outcomes = await _race(raced, calls[:half])
        world.kill_worker(worker)
        late = asyncio.ensure_future(_race(raced, calls[half:]))
        await asyncio.sleep(1.0)  # answers are on their way, and no worker is there
        await world.worker()
        outcomes += await late
        await _answered(raced, "last", "done", "anna", "last")
        result = await raced.result()
        taken, refused = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        for path, who, refusal in outcomes:
            (refused if refusal else taken)[path].add(who)
        paths = [_path(number) for number in range(options.questions)]
        verdict.none("questions without one winner", [path for path in paths if len(taken[path]) != 1])
        verdict.none("winners who were also refused", [path for path in paths if taken[path] & refused[path]])
        winners = {path: next(iter(taken[path]), "") for path in paths}
        texts = [row["ask"]["text"] for row in result.all["rows"]]
        verdict.equal("answers in the result", len(texts), len(paths))
        pairs = zip(paths, texts, strict=False)
        wrong = [text for path, text in pairs if text != f"{winners[path]} to {path}"]
        verdict.none("answers in the result that are not the winner's", wrong)
        unnamed = [text for path, _, text in outcomes if text and winners[path] not in text]
        verdict.none("refusals that do not name the winner", unnamed[:3])
        chain = await detector.histories(world.client)
        verdict.tell(
            "answers that counted, by person", {who: [*winners.values()].count(who) for who in PEOPLE}
        )
        verdict.tell("runs of its chain, and their events", [len(each.events) for each in chain])
        await aftermath(world, verdict)
    return verdict


def _path(number: int) -> str:
    return f"rows[{number}].ask"


def _document(questions: int) -> dict[str, Any]:
    inner = {"nodes": {"ask": {"agent": "textInputAgent", "isResult": True}}}
    return {
        "version": 0.5,
        "nodes": {
            "rows": {"agent": "mapAgent", "inputs": {"rows": [*range(questions)]}, "graph": inner},
            "last": {"agent": "textInputAgent", "inputs": {"after": ":rows"}},
        },
    }


def _calls(options: Options) -> list[tuple[int, str, str]]:
    """(question, person, id of the submission), shuffled."""
    calls = [
        (question, who, f"{question} {who} {max(0, number - options.repeats + 1)}")
        for question in range(options.questions)
        for who in PEOPLE
        for number in range(options.answers)
    ]
    random.Random(options.seed).shuffle(calls)
    return calls


async def _race(raced: Run, calls: list[tuple[int, str, str]]) -> list[tuple[str, str, str]]:
    """(path, person, refusal or "") for each call, some of them at once."""
    outcomes, waiting = list[tuple[str, str, str]](), iter(calls)

    async def person() -> None:
        for question, who, id in waiting:
            path = _path(question)
            outcomes.append((path, who, await _answered(raced, path, f"{who} to {path}", who, id)))

    await asyncio.gather(*(person() for _ in range(UPDATES_AT_ONCE)))
    return outcomes


async def _answered(raced: Run, path: str, value: str, who: str, id: str) -> str:
    """The refusal, empty if the answer counts; sent again under its id until the run replies."""
    while True:
        try:
            if await raced.answer(path, value, who=who, id=id) is not None:
                return ""
        except UsageError as error:
            return str(error)
        except ConnectionFailed:
            pass
