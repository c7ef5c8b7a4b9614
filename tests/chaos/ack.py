"""Effects are done, and their worker dies before it can say so: they are repeated under the same key."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos import failpoint, mix
from tests.chaos.drive import Outcomes, follow, judge
from tests.chaos.mix import Mixed
from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import World, world_in
from tests.support import detector
from tests.support.servers import Answer, Seen, embedded, json_answer, said, serve

KINDS = (mix.chain, mix.mapped, mix.looped, mix.nested)


@dataclass(frozen=True)
class Options:
    """`each` runs of every kind; `share` of their keys lose their first acknowledgement."""

    each: int = 3
    share: float = 1.0
    limit_s: float = 900.0
    seed: int = 1


SHORT = Options(each=1, share=0.2)


async def run(options: Options, home: Path) -> Verdict:
    """Every effect of chains, maps, loops and nested graphs, and of the shipped agents that have one."""
    verdict = Verdict(f"acknowledgements lost: {options.share:.0%} of the effects")
    marks = home / "marks"
    marks.mkdir(parents=True)
    with serve(_outside) as outside:
        env = {
            "OPENAI_BASE_URL": f"{outside.url}/v1",
            "OPENAI_API_KEY": "none",
            "PERDURE_ALLOW_HOSTS": outside.host,
            "PERDURE_FILE_ROOT": str(home),
            "PERDURE_FILE_WRITES": "1",
        }
        async with world_in(home, **env) as world:
            point = {"filterParams": {"chaosMarks": str(marks), "chaosShare": options.share}}
            runs = [
                mix.one(kind, index, options.seed, world.book.folder, **point)
                for kind in KINDS
                for index in range(options.each)
            ]
            runs += _shipped(outside.url, str(marks))
            outcomes, began = Outcomes(), time.monotonic()
            async with asyncio.timeout(options.limit_s):
                await asyncio.gather(*(_alone(world, each, outcomes) for each in runs))
            verdict.tell("seconds until all had ended", f"{time.monotonic() - began:.0f}")
            verdict.tell("workers that died", len(list(marks.iterdir())))
            judge(verdict, runs, outcomes, world.book, most=None)
            await _attempts(verdict, world, marks)
            await world.worker()  # answers the detector
            await aftermath(world, verdict, seed=options.seed)
    _requests(verdict, outside.seen)
    verdict.equal("the file that was written", (home / "note.txt").read_text(), "once")
    return verdict


async def _alone(world: World, run: Mixed, outcomes: Outcomes) -> None:
    """Follows a run whose worker, on a queue of its own, is replaced whenever it has died."""
    keeping = asyncio.create_task(world.keep(run.id, filters=Path(failpoint.__file__)))
    try:
        await follow(world.client, run, outcomes, queue=run.id)
    finally:
        keeping.cancel()


def _outside(seen: Seen) -> Answer:
    """The services that the shipped agents talk to."""
    if seen.path == "/v1/embeddings":
        return embedded(seen)
    if seen.path == "/v1/chat/completions":
        return said("fine")
    return json_answer({"ok": True})


def _shipped(url: str, marks: str) -> list[Mixed]:
    """One run for each of the shipped agents that do something outside."""
    order = {"url": f"{url}/orders", "body": {"of": "tea"}}
    calls: dict[str, tuple[str, Mapping[str, Any], Any]] = {
        "write": ("fileWriteAgent", {"file": "note.txt", "text": "once"}, {"file": "note.txt"}),
        "post": ("fetchAgent", order, {"ok": True}),
        "chat": ("openAIAgent", {"prompt": "How is it?"}, {"text": "fine"}),
        "embed": ("stringEmbeddingsAgent", {"array": ["fine"]}, [[4.0, 0.5]]),
    }
    shipped: list[Mixed] = []
    for name, (agent, inputs, result) in calls.items():
        node: dict[str, Any] = {"agent": agent, "inputs": inputs, "isResult": True}
        node["filterParams"] = {"chaosMarks": marks}
        if isinstance(result, dict):
            node["output"] = {key: f".{key}" for key in result}
        shipped.append(
            Mixed(
                id=name,
                kind=agent,
                document={"version": 0.5, "nodes": {name: node}},
                results={name: result},
            )
        )
    return shipped


async def _attempts(verdict: Verdict, world: World, marks: Path) -> None:
    """Whose acknowledgement was lost was delivered again, and its history shows it."""
    histories = await detector.histories(world.client)
    attempts = {
        (each.workflow_id, path): n for each in histories for path, n in detector.attempts(each).items()
    }
    lost = {mark.name for mark in marks.iterdir()}
    entries = [entry for entry in world.book.entries("effect") if entry.key in lost]
    twice = Counter(entry.key for entry in entries)
    places = {(entry.run, entry.path) for entry in entries}
    places |= {(name, name) for name in ("write", "post", "chat", "embed")}
    by_place = Counter[tuple[str, str]]()
    for (run, path), number in attempts.items():
        place = (run, path.partition("#")[0])
        by_place[place] = max(by_place[place], number)
    verdict.none("effects not repeated", [key for key, count in twice.items() if count < 2])
    verdict.none("repeated, and no attempt shows it", [place for place in places if by_place[place] < 2])


def _requests(verdict: Verdict, seen: list[Seen]) -> None:
    """What the services saw: each request at least twice, all of a path with the same key."""
    keys: dict[str, Counter[str]] = {}
    for request in seen:
        keys.setdefault(request.path, Counter())[request.headers.get("idempotency-key", "")] += 1
    verdict.equal("services called", len(keys), 3)
    for path, counted in sorted(keys.items()):
        ((key, count), *more) = counted.items()
        met = bool(key) and not more and count >= 2
        verdict.equal(f"{path}: {count} requests, one key", met, True)
