"""``perdure run --in-memory``: the same language and agents, without a server; nothing is kept."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping

from perdure.cli import output
from perdure.cli.inputs.graphs import Agents
from perdure.cli.inputs.piped_answers import PipedAnswers, piped_answers
from perdure.cli.progress.progress_table import ProgressTable
from perdure.cli.progress.views import View, view
from perdure.cli.running import outcome
from perdure.cli.running.local_models import local_models
from perdure.engine.human_tasks import HumanPrompt
from perdure.engine.messages import RunOptions
from perdure.engine.scheduler import Scheduler
from perdure.engine.state import GraphRun, NodeState
from perdure.errors import FinalError, RunFailed
from perdure.graph.values import Value
from perdure.protocol.payloads import NodeStatus, RunResult, RunStatus
from perdure.settings import Settings
from perdure.testing import Ask, MemoryShell, memory_shell

MEMORY_RUN_ID = "memory"
MEMORY_POLL_INTERVAL_S = 0.25
"""Seconds between two looks at the run."""


async def run(
    document: dict[str, Value],
    agents: Agents,
    inputs: Mapping[str, Value],
    options: RunOptions,
    settings: Settings,
    show: outcome.OutputOptions,
) -> int:
    """Runs the graph and reports its end."""
    output.reserve()
    shown = view()
    since: dict[str, int] = {}

    def observe(run: GraphRun, name: str) -> None:
        if run.nodes[name].state is NodeState.EXECUTING:
            since[run.path_of(name)] = run.clock.now_ms

    shell = memory_shell(
        document,
        agents.known,
        inputs,
        options=options,
        settings=settings,
        observe=observe,
        console=_console(shown),
        ask=_asking(shown),
        filters=agents.filters,
        local_models=local_models(settings),
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _leave, shown)
    return await outcome.reported(MEMORY_RUN_ID, document, show, _follow(shell, document, shown, since))


def _console(shown: View) -> Callable[[str], None]:
    return lambda text: shown.lines([text])


def _leave(shown: View) -> None:
    shown.close()
    output.note("interrupted; nothing was kept")
    output.flush()
    os._exit(130)


async def _follow(
    shell: MemoryShell, document: dict[str, Value], shown: View, since: Mapping[str, int]
) -> RunResult:
    board = ProgressTable.of(document)
    ended = asyncio.ensure_future(shell.run())
    try:
        while not (await asyncio.wait({ended}, timeout=MEMORY_POLL_INTERVAL_S))[0]:
            board.hear(status_of(shell.scheduler, since))
            shown.show(board)
        result = await ended
        board.finish(result.states, result.errors, time.time())
        shown.show(board)
        return result
    except RunFailed as error:
        if error.result is not None:
            board.finish(error.result.states, error.result.errors, time.time())
            shown.show(board)
        raise
    finally:
        shown.close()


def status_of(scheduler: Scheduler, since: Mapping[str, int]) -> RunStatus:
    """How the nodes of the graph itself are."""
    root = scheduler.root
    rows: list[NodeStatus] = []
    for name in root.plan.order:
        node = root.nodes[name]
        nested = node.nested
        row = NodeStatus(
            path=name,
            state=str(node.state),
            since=since.get(root.path_of(name), 0),
            retries=node.retries,
            error=node.error,
            done=0 if nested is None else nested.opened - len(nested.children),
            total=0 if nested is None else len(nested.starts),
        )
        rows.append(row)
    return RunStatus(iteration=root.iteration, nodes=tuple(rows))


def _asking(shown: View) -> Ask | None:
    if sys.stdin is None or not sys.stdin.isatty():
        return _taking(piped_answers(), shown)

    async def ask(asked: HumanPrompt) -> str:
        shown.pause()
        return await asyncio.to_thread(_ask, asked.message)

    return ask


def _taking(piped: PipedAnswers | None, shown: View) -> Ask | None:
    if piped is None:
        return None

    async def take(asked: HumanPrompt) -> str:
        line = await asyncio.to_thread(piped.wait)
        if line is None:
            raise FinalError(f"nobody answers {asked.message!r}: stdin has no more lines")
        shown.lines([f"{asked.message}: {line}"])
        return line

    return take


def _ask(message: str) -> str:
    sys.stderr.write(f"{output.plain(message)}: ")
    sys.stderr.flush()
    return sys.stdin.readline().rstrip("\r\n")
