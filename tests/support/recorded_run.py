"""The in-memory shell as the conformance runner drives it."""

from __future__ import annotations

import asyncio
from typing import Any

from perdure.agents.catalog import catalog
from perdure.engine.scheduler import Scheduler
from perdure.engine.state import GraphRun, NodeState, Observer
from perdure.errors import GraphError, RunFailed, UsageError
from perdure.settings import Settings
from perdure.testing import MemoryEnvironment, MemoryShell
from tests.support.recorded import SHARED, Outcome, mock_agents, options_of


def run_case(case: dict[str, Any], watch: Observer | None = None) -> Outcome:
    """What the in-memory shell makes of a case; `watch` hears of every move of a node."""
    return asyncio.run(_run(case, watch))


async def _run(case: dict[str, Any], watch: Observer | None) -> Outcome:
    outcome = Outcome(case["name"])
    agents = {**catalog(), **mock_agents(case)}

    def observe(run: GraphRun, name: str) -> None:
        node = run.nodes[name]
        if node.state is NodeState.EXECUTING:
            outcome.order.append(name)
        if watch is not None:
            watch(run, name)

    try:
        scheduler = Scheduler(case["graph"], options_of(case), agents=agents, observe=observe)
    except (GraphError, UsageError) as error:
        outcome.status = "thrown"
        outcome.stage = "construct" if isinstance(error, GraphError) else "inject"
        outcome.thrown = error.problems[0].graphai if isinstance(error, GraphError) else str(error)
        return outcome
    settings = Settings(file_root=case.get("files", SHARED))
    shell = MemoryShell(scheduler, agents, MemoryEnvironment(settings=settings, console=lambda text: None))
    abort = case.get("options", {}).get("abortAfterMs")
    if abort is not None:
        asyncio.get_running_loop().call_later(abort / 1000, shell.abort)
    try:
        async with asyncio.timeout(180):
            result = await shell.run()
    except TimeoutError:
        outcome.status = "hang"
        return outcome
    except RunFailed as error:
        result = error.result
        outcome.status, outcome.stage, outcome.thrown = "thrown", "run", str(error)
    outcome.all, outcome.results = result.all, result.results
    outcome.errors, outcome.states = dict(result.errors), dict(result.states)
    return outcome
