"""``perdure run --in-memory``: the same language and agents, without a server; nothing is kept."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping

from perdure.cli import output
from perdure.cli.inputs.graphs import Agents
from perdure.cli.inputs.piped_answers import PipedAnswers, piped_answers
from perdure.cli.progress.follow import Follower, can_ask
from perdure.cli.progress.views import View, view
from perdure.cli.running import outcome
from perdure.cli.running.local_models import local_models
from perdure.engine.human_tasks import HumanPrompt
from perdure.engine.messages import RunOptions
from perdure.errors import FinalError
from perdure.graph.values import Value
from perdure.memory.environment import MemoryEnvironment
from perdure.memory.human_tasks import Ask
from perdure.memory.run import MemoryRun
from perdure.settings import Settings


async def run(
    document: dict[str, Value],
    agents: Agents,
    inputs: Mapping[str, Value],
    options: RunOptions,
    settings: Settings,
    output_options: outcome.OutputOptions,
) -> int:
    """Runs the graph and reports its end."""
    output.reserve()
    answers, shown = can_ask(), view()
    environment = MemoryEnvironment(
        settings=settings,
        console=_quiet,
        ask=None if answers else _taking(piped_answers(), shown),
        filters=agents.filters,
        local_models=local_models(settings),
    )
    run = MemoryRun(
        document, agents.by_name, inputs, options=options, environment=environment, answers=answers
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _leave, shown)
    follower = Follower(run, shown, document, answers=answers)
    return await outcome.reported(run.id, document, output_options, follower.follow())


def _quiet(line: str) -> None:
    """The follower shows the console."""


def _leave(shown: View) -> None:
    shown.close()
    output.note("interrupted; nothing was kept")
    output.flush()
    os._exit(130)


def _taking(piped: PipedAnswers | None, shown: View) -> Ask | None:
    """Lines of stdin as answers, unless stdin is a terminal."""
    if piped is None:
        return None

    async def take(asked: HumanPrompt) -> str:
        line = await asyncio.to_thread(piped.wait)
        if line is None:
            raise FinalError(f"no answer to {asked.message!r}: stdin has no more lines")
        shown.lines([f"{asked.message}: {line}"])
        return line

    return take
