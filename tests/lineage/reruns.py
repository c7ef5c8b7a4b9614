"""Random graphs are run, changed and rerun in memory: the rerun executes what it must, and nothing else.

python -m tests.lineage.reruns --count 2000
python -m tests.lineage.reruns --durable --count 200 --kill
"""

from __future__ import annotations

import argparse
import asyncio
import copy
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from perdure import Sample, agent
from perdure.agents.agent import Agent
from perdure.errors import AgentError, RunFailed
from perdure.history.journal import Journal
from perdure.history.record import record_of
from perdure.lineage.fingerprint import address_of
from perdure.lineage.recall import Recall
from perdure.lineage.record import Record, read_record
from perdure.memory.shell import MemoryEnvironment, memory_shell
from perdure.protocol.payloads import RunResult
from tests.lineage.work import answer_to, chance_of, text_of
from tests.support.graphs import every_node, make_graph

Kind = tuple[str, str]


@dataclass
class Played:
    """A run in memory: what it gave, its record, and the calls that were executed."""

    result: RunResult
    record: Record
    calls: Counter[str]
    failed: int
    answers: list[str] = field(default_factory=list)


def worker(calls: Counter[str], salt: int, broken: bool) -> Agent:
    """An agent whose answer depends on what it is asked alone; some calls fail where it is `broken`."""

    @agent("work", samples=[Sample(inputs={}, params={}, result={"v": 0})])
    async def work(inputs: dict[str, Any], params: dict[str, Any]) -> Any:
        """Works."""
        text = text_of(inputs, params)
        calls[text] += 1
        chance = chance_of(salt, text)
        for _ in range(chance % 4):
            await asyncio.sleep(0)
        if broken and chance % 10 == 0:
            raise AgentError("broken")
        return answer_to(inputs, chance)

    return work


async def play(document: dict[str, Any], salt: int, broken: bool, record: Record | None = None) -> Played:
    """Runs the graph, with what a record answers."""
    calls: Counter[str] = Counter()
    journal = Journal()
    environment = MemoryEnvironment(
        console=lambda _: None, journal=journal, recall=None if record is None else Recall(record)
    )
    shell = memory_shell(document, [worker(calls, salt, broken)], environment=environment)
    try:
        result = await shell.run()
    except RunFailed as error:
        result = error.result
    done = journal.answered_calls()
    own = read_record(*record_of("r", done, record).written())
    order = [call.command.path for call in done]
    failures = [node.error for each in journal.passes.values() for node in each.nodes.values()]
    failures += [call.failure for calls in journal.calls.values() for call in calls]
    failed = sum(failure is not None for failure in failures)
    return Played(result, own, calls, failed, order)


def kinds(record: Record) -> Counter[Kind]:
    return Counter((address_of(entry.position), entry.fingerprint) for entry in record.entries)


def changed(document: dict[str, Any], random: Random) -> dict[str, Any]:
    """The graph with one change: other rows, another value, other params, another input."""
    document = copy.deepcopy(document)
    nodes = document["nodes"]
    match random.randrange(5):
        case 0:
            rows = [1, 2, 3]
            rows.insert(random.randrange(4), random.choice((7, 2)))
            nodes["rows"]["value"] = random.choice((rows, [3, 2, 1], [1, 3], [2, 1, 3, 4]))
        case 1:
            nodes[random.choice(("yes", "no"))]["value"] = random.choice((True, 0, "other"))
        case 2:
            node = random.choice([each for each in every_node(document) if "agent" in each])
            node.setdefault("params", {})["p"] = random.randrange(3)
        case 3:
            node = random.choice(
                [each for each in every_node(document) if each.get("agent") == "work"] or [{}]
            )
            node.setdefault("inputs", {})["more"] = random.choice((":yes", ":no", 4))
        case _:
            pass
    return document


def graph_of(seed: int) -> dict[str, Any]:
    """A graph without limits of time, which a busy machine would decide."""
    document = make_graph(Random(seed))
    for node in every_node(document):
        node.pop("timeout", None)
    return document


def is_decided_by_order(document: dict[str, Any], played: Played) -> bool:
    """Whether another order of answers may make other calls: with anyInput, or where a map failed."""
    nodes = every_node(document)
    return (
        any("anyInput" in node for node in nodes)
        or is_retried_whole(document)
        or (bool(played.failed) and any("graph" in node for node in nodes))
    )


def is_retried_whole(document: dict[str, Any]) -> bool:
    """Whether a node with a graph may begin again while calls of its first attempt are still open."""
    nodes = [node for node in every_node(document) if "graph" in node]
    return any("retry" in node or "repeatUntil" in node for node in nodes)


@dataclass
class Tally:
    """What the graphs had to do: calls of full runs, of reruns, and of what had to be called."""

    graphs: int = 0
    full: int = 0
    needed: int = 0
    made: int = 0


async def check(seed: int, tally: Tally) -> None:
    """One graph: it is run, rerun as it is, changed, and rerun. Raises AssertionError."""
    random = Random(seed)
    document = graph_of(seed)
    broken = random.random() < 0.5
    first = await play(document, seed, broken)
    again = await play(document, seed, broken, first.record)
    if not first.failed and not is_retried_whole(document):
        assert not again.calls, f"seed {seed}: {again.calls}"
        assert again.result == first.result, f"seed {seed}"
        assert again.answers == first.answers, f"seed {seed}"
    new = changed(document, random)
    full = await play(new, seed, broken=False)
    if is_decided_by_order(new, full):
        return
    rerun = await play(new, seed, broken=False, record=first.record)
    assert rerun.result == full.result, f"seed {seed}"
    needed = kinds(full.record) - kinds(first.record)
    made = sum(rerun.calls.values())
    assert made == needed.total(), f"seed {seed}: {made} calls instead of {needed.total()}"
    assert kinds(rerun.record) == kinds(full.record), f"seed {seed}"
    third = await play(new, seed, broken=False, record=rerun.record)
    assert not third.calls, f"seed {seed}"
    assert third.result == full.result, f"seed {seed}"
    tally.graphs += 1
    tally.full += sum(full.calls.values())
    tally.needed += needed.total()
    tally.made += made


async def check_all(seeds: range) -> Tally:
    tally = Tally()
    for seed in seeds:
        await check(seed, tally)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--durable", action="store_true", help="on a real server")
    parser.add_argument("--kill", action="store_true", help="and kill workers meanwhile")
    args = parser.parse_args()
    if args.durable:
        from tests.lineage import durable_reruns

        durable_reruns.main(args.count, args.seed, args.kill)
    else:
        print(asyncio.run(check_all(range(args.seed, args.seed + args.count))))


if __name__ == "__main__":
    main()
