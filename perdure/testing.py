"""For those who test graphs and agents: runs without a server, in milliseconds, and stand-ins for agents.

A run in memory takes what a durable run takes and comes to the same result; nothing is recorded and nothing
survives the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from perdure.agents.agent import agent
from perdure.agents.catalog import Agents
from perdure.engine.messages import RunOptions
from perdure.errors import FinalError, UsageError
from perdure.graph.values import Value
from perdure.memory.environment import MemoryEnvironment
from perdure.memory.run import MemoryRun
from perdure.memory.shell import MemoryShell, memory_shell
from perdure.protocol.payloads import RunResult

__all__ = [
    "Agents",
    "MemoryEnvironment",
    "MemoryRun",
    "MemoryShell",
    "fake_agent",
    "memory_shell",
    "run_in_memory",
    "run_in_memory_async",
]


def run_in_memory(
    graph: Mapping[str, Value],
    agents: Agents = (),
    inputs: Mapping[str, Value] | None = None,
    *,
    options: RunOptions | None = None,
    environment: MemoryEnvironment | None = None,
) -> RunResult:
    """Runs `graph` to its end. `agents` are added to those shipped; `inputs` go into static nodes.

    `environment` is what the run has around it, such as filters or a function that answers questions.

    Raises GraphError for a graph that is wrong, RunFailed, whose `result` holds what there is, when a node
    failed, and UsageError where an event loop runs, as in a notebook: there, await `run_in_memory_async`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        run = run_in_memory_async(graph, agents, inputs, options=options, environment=environment)
        return asyncio.run(run)
    raise UsageError("an event loop runs here; write: await run_in_memory_async(...)")


async def run_in_memory_async(
    graph: Mapping[str, Value],
    agents: Agents = (),
    inputs: Mapping[str, Value] | None = None,
    *,
    options: RunOptions | None = None,
    environment: MemoryEnvironment | None = None,
) -> RunResult:
    """The same in the event loop that runs."""
    return await memory_shell(graph, agents, inputs, options=options, environment=environment).run()


def fake_agent(name: str, result: Value = None, *, error: str | None = None) -> Callable[..., Any]:
    """An agent for tests: always returns `result`, or fails with `error`."""

    @agent(name, pure=True, description="A stand-in for tests.")
    def fake() -> Value:
        if error is not None:
            raise FinalError(error)
        return result

    return fake
