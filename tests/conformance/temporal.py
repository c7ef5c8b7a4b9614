"""The durable shell as the conformance runner drives it: a real server, a worker for each case."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from perdure import server
from perdure.agents.catalog import catalog
from perdure.client import GraphClient, connect
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.errors import GraphError, RunFailed, UsageError
from perdure.graph.check import first_problem
from perdure.history.model import RunModel
from perdure.protocol.payloads import RunRequest, RunResult
from perdure.settings import Settings
from perdure.worker import WorkerOptions, build_worker
from tests.support.live_moves import LiveMoves
from tests.support.recorded import Outcome, mock_agents, normalized, options_of

AT_ONCE = 6
LIMIT = 120.0


def waits(case: dict[str, Any]) -> bool:
    """Whether the case needs real sleeping, or an abort, which a durable run does not have."""
    text = str(case["graph"]) + str(case.get("mocks", ""))
    if "abortAfterMs" in case.get("options", {}) or case["category"] == "probe-order":
        return True
    return any(word in text for word in ("'duration'", "'sleep'", "'timeout'", "sleeperAgent"))


def run_cases(cases: Iterable[dict[str, Any]], events: int | None = None) -> list[Outcome]:
    """The outcomes of the cases, in their order.

    With `events` runs continue as new after about this many, and every call is an activity of its own.
    """
    with tempfile.TemporaryDirectory(prefix="perdure-") as home:
        settings = Settings(home=Path(home), local_activities=events is None)
        try:
            return asyncio.run(_run_all(list(cases), settings, events))
        finally:
            server.stop(settings)


async def _run_all(cases: list[dict[str, Any]], settings: Settings, events: int | None) -> list[Outcome]:
    client = await connect(settings)
    free = asyncio.Semaphore(AT_ONCE)

    async def one(index: int, case: dict[str, Any]) -> Outcome:
        async with free:
            return await _run(client, case, f"case-{index}", events)

    try:
        return await asyncio.gather(*(one(index, case) for index, case in enumerate(cases)))
    finally:
        client.close()


async def _run(client: GraphClient, case: dict[str, Any], queue: str, events: int | None) -> Outcome:
    outcome = Outcome(case["name"])
    agents = {**catalog(), **mock_agents(case)}
    problem = first_problem(case["graph"], [*agents, *GRAPH_AGENTS, *options_of(case).bypass_agents])
    if problem is not None:
        outcome.status, outcome.stage, outcome.thrown = "thrown", "construct", problem.graphai
        return outcome
    options = options_of(case) if events is None else replace(options_of(case), events=events)
    request = RunRequest(document=case["graph"], name=case["name"], queue=queue, options=options)
    worker = WorkerOptions(
        agents=agents, settings=replace(client.settings, file_root=case["files"]), cached_runs=10
    )
    moves = LiveMoves()
    async with build_worker(moves.watched(client.temporal), queue, worker):
        run = await client.submit(request)
        try:
            async with asyncio.timeout(LIMIT):
                result = await run.result()
        except TimeoutError:
            outcome.status = "hang"
            await run.handle.terminate("the case has no end")
            return outcome
        except GraphError as error:
            outcome.status, outcome.stage = "thrown", "construct"
            outcome.thrown = error.problems[0].graphai
            return outcome
        except UsageError as error:
            outcome.status, outcome.stage, outcome.thrown = "thrown", "inject", str(error)
            return outcome
        except RunFailed as error:
            outcome.status, outcome.stage, outcome.thrown = "thrown", "run", str(error)
            result = error.result
    if result is not None:
        outcome.all, outcome.results = result.all, result.results
        outcome.errors, outcome.states = dict(result.errors), dict(result.states)
        model = await run.history()
        whole = await run.value({node.node: node.result for node in model.inside(None)})
        outcome.log = model_differences(model, result, whole)
        order = [(each.address, each.state) for each in model.transitions]
        live = moves.of([each.execution for each in model.chain])
        if order != live:
            outcome.log.append(f"order: {order}, the run says {live}")
        outcome.executions = len(model.chain)
    return outcome


def model_differences(model: RunModel, result: RunResult, whole: dict[str, Any]) -> list[str]:
    """What the read model of a run says otherwise than the run itself did, whose results are `whole`."""
    last = max((node.iteration for node in model.inside(None)), default=0)
    nodes = {node.node: node for node in model.inside(None) if node.iteration == last}
    pairs = {
        "problem": (model.problem, None),
        "failure": (model.failure is None, result.failure is None),
        "states": ({name: node.state for name, node in nodes.items()}, result.states),
        "errors": (model.errors, result.errors),
        "results": (normalized(model.results), normalized(result.results)),
        "all": (normalized({name: whole[name] for name in result.all}), normalized(result.all)),
    }
    return [f"{name}: {ours!r}, the run says {its!r}" for name, (ours, its) in pairs.items() if ours != its]
