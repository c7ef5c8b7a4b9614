"""python -m bench.peers.inside: Perdure without a server, measured like a peer.

Runs in memory; the scheduler alone; the plan of a graph; the replay of histories.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from bench import agents, graphs
from bench.hand_written import WORKFLOWS
from bench.peers.lines import Timed, serve
from perdure import __version__
from perdure.cli.connection import collect_seldom
from perdure.engine.messages import AgentCompleted, Command, RunAgent
from perdure.engine.plan import compile_plan
from perdure.engine.scheduler import Scheduler
from perdure.graph import reference
from perdure.graph.check import first_problem
from perdure.plugin import GraphPlugin
from perdure.testing import memory_shell

PURE = [agents.add, agents.count]

RESULT = {"n": 1}
"""What each agent gives where it is only the scheduler that is measured."""


def memory(shape: str, size: int) -> Any:
    """A run in memory, from the document on."""
    document = shaped(shape, size)

    async def work() -> int:
        result = await memory_shell(document, PURE).run()
        return next(iter(result.results.values()))["n"]

    return work


def events(shape: str, size: int) -> Any:
    """The scheduler alone: each call is answered at once. The plan is made before, and not counted."""
    document = shaped(shape, size)

    def work() -> Timed:
        scheduler = Scheduler(document, agents=["add", "count"])
        begin = time.perf_counter()
        calls = answer_all(scheduler, scheduler.start(0))
        return Timed(calls, time.perf_counter() - begin)

    return work


def plan(shape: str, size: int) -> Any:
    """Checking a graph and making its plan, of a graph that is new: neither is known from before."""
    document = shaped(shape, size)

    def work() -> int:
        reference._kept.cache_clear()
        assert first_problem(document, ["add", "count"]) is None
        return len(compile_plan(document).order)

    return work


def replay(file: str, ours: bool) -> Any:
    """The replay of a history that was saved as JSON, as the workers of each side do it."""
    history = WorkflowHistory.from_json("replayed", Path(file).read_text())

    async def work() -> int:
        options = {"workflows": [], "plugins": [GraphPlugin()]} if ours else {"workflows": WORKFLOWS}
        await Replayer(**options).replay_workflow(history)
        return len(history.events)

    return work


def shaped(shape: str, size: int) -> graphs.Document:
    """The graph of pure agents of this shape."""
    return graphs.chain(size, "add") if shape == "chain" else graphs.fan(size, "add", "count")


def answer_all(scheduler: Scheduler, commands: list[Command]) -> int:
    """Answers every call; how many there were."""
    calls, queue = 0, commands
    while queue:
        following: list[Command] = []
        for command in queue:
            if isinstance(command, RunAgent):
                calls += 1
                following += scheduler.handle(AgentCompleted(command.call, RESULT), 0)
        queue = following
    return calls


if __name__ == "__main__":
    works = {"memory": memory, "events": events, "plan": plan, "replay": replay}
    collect_seldom()  # as every command of perdure does
    serve({"perdure": __version__}, "none: in memory", works)
