"""A run and the command that waits for it: started or joined, served if necessary, followed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from perdure import server
from perdure.cli import output, problems
from perdure.cli.connection import ServerStart, connected
from perdure.cli.inputs.graphs import Agents
from perdure.cli.inputs.piped_answers import piped_answers
from perdure.cli.progress.follow import Follower, can_ask
from perdure.cli.progress.views import view
from perdure.cli.running import outcome, queue_choice
from perdure.client import GraphClient
from perdure.engine.messages import RunOptions
from perdure.errors import ConnectionFailed, GraphError
from perdure.graph.review import review
from perdure.graph.text.document import Document
from perdure.graph.text.shown import line
from perdure.graph.values import Value
from perdure.runs import Run
from perdure.settings import Settings

STAND_BY_INTERVAL_S = 2.0
"""Seconds between two looks at who serves the queue of a run."""

UNSERVED_LOOKS_COUNT = 2
"""Looks in a row that have to find no worker: one may be about to be replaced."""

DETACH_TIMEOUT_S = 1.0
"""Seconds that a worker has to finish when the command is interrupted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """What ``perdure run`` was asked for. `unknown` are the findings of agents it does not have."""

    document: dict[str, Value]
    name: str
    inputs: Mapping[str, Value]
    options: RunOptions
    agents: Agents
    unknown: GraphError | None = None
    id: str | None = None
    queue: str | None = None
    detach: bool = False
    output_options: outcome.OutputOptions = field(default_factory=outcome.OutputOptions)
    deliver: outcome.Deliver | None = None


async def run(command: RunCommand, settings: Settings, server_start: ServerStart | None) -> int:
    """Starts the run and waits for its end, unless it is detached."""
    async with connected(settings, server_start, passing=True) as client:
        if client.embedded is not None:
            server.check_space(settings.home)
        if command.detach:
            return await _detach(command, client)
        place = await queue_choice.place_of(client, command.agents, command.queue, command.unknown)
        if place.host and command.unknown is not None:
            for problem in command.unknown.problems:
                output.note(problems.text(problem, command.unknown.source, "warning: "))
        async with _interruptible(command.agents, again=command.deliver is not None) as leave:
            starting = asyncio.ensure_future(_start(command, client, place.queue))
            await asyncio.sleep(0)  # the request goes out before the worker, which takes longer, is built
            if place.host:
                await leave.enter_async_context(queue_choice.hosted(client, place.queue, command.agents))
            leave.run = started = await starting
            output.note(f"run {started.id}: perdure status {started.id}")
            queue = place.queue
            if command.id is not None:
                description = await started.describe()
                if description.closed is not None:
                    return await outcome.reported(
                        started.id,
                        command.document,
                        command.output_options,
                        started.result(),
                        command.deliver,
                    )
                queue = description.task_queue
            if queue != place.queue:
                await _host(client, queue, command.document, command.agents, leave)
            elif not place.host:
                _stand_by(client, queue, command.document, command.agents, leave)
            return await _follow(client, started, command.document, command.output_options, command.deliver)


async def result(
    id: str,
    agents: Agents,
    output_options: outcome.OutputOptions,
    settings: Settings,
    server_start: ServerStart | None,
) -> int:
    """Waits for the end of a run that was started before."""
    async with connected(settings, server_start, passing=True) as client:
        attached = client.get(id)
        description = await attached.describe()
        document = dict((await attached.request()).graph)
        if description.closed is not None:
            return await outcome.reported(id, document, output_options, attached.result())
        async with _interruptible(agents) as leave:
            leave.run = attached
            queue = description.task_queue
            if client.embedded is not None or queue_choice.is_of_commands(client.settings, agents, queue):
                await _host(client, queue, document, agents, leave)
            return await _follow(client, attached, document, output_options)


async def _start(command: RunCommand, client: GraphClient, queue: str) -> Run:
    return await client.start(
        command.document,
        command.inputs,
        id=command.id,
        name=command.name,
        queue=queue,
        options=command.options,
    )


async def _detach(command: RunCommand, client: GraphClient) -> int:
    queue = await queue_choice.detached_queue(client, command.agents, command.queue)
    started = await _start(command, client, queue)
    output.result(started.id)
    queue = (await started.describe()).task_queue if command.id is not None else queue
    if not await client.workers(queue):
        other = "" if queue == client.settings.queue else f" --queue {queue}"
        output.note(f"no worker serves queue {queue!r}: it runs as soon as one does: perdure worker{other}")
    return 0


async def _host(
    client: GraphClient, queue: str, document: dict[str, Value], agents: Agents, leave: Leave
) -> None:
    """Serves a run that was started elsewhere, now or as soon as no worker does."""
    if await queue_choice.is_served(client, queue, lasting=False):
        _stand_by(client, queue, document, agents, leave)
    elif _can_serve(queue, document, agents):
        await leave.enter_async_context(queue_choice.hosted(client, queue, agents))


def _can_serve(queue: str, document: dict[str, Value], agents: Agents) -> bool:
    """Whether all agents of the graph are known here; says which are not."""
    reviewed = review(Document(document), agents.names())
    lacking = [item for item in (*reviewed.problems, *reviewed.nested) if item.code == "unknown-agent"]
    if lacking:
        output.note(
            f"the run waits for a worker on queue {queue!r}: it needs agents that are not known here: "
            + "; ".join(line(f"{item.place}: {item.finding}") for item in lacking)
            + "; give their module with --agents MODULE"
        )
    return not lacking


def _stand_by(
    client: GraphClient, queue: str, document: dict[str, Value], agents: Agents, leave: Leave
) -> None:
    """Serves the queue from the moment on at which no other worker does, until the command ends."""
    over = asyncio.Event()

    async def watch() -> None:
        unserved = 0
        while unserved < UNSERVED_LOOKS_COUNT:
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), STAND_BY_INTERVAL_S)
                return
            with suppress(ConnectionFailed):
                is_served = await queue_choice.is_served(client, queue, lasting=False)
                unserved = 0 if is_served else unserved + 1
        if _can_serve(queue, document, agents):
            output.note(f"no worker serves queue {queue!r} any more: this command does")
            async with queue_choice.hosted(client, queue, agents):
                await over.wait()

    watching = asyncio.create_task(watch())

    async def end() -> None:
        over.set()
        await watching

    leave.push_async_callback(end)


async def _follow(
    client: GraphClient,
    run: Run,
    document: dict[str, Value],
    output_options: outcome.OutputOptions,
    deliver: outcome.Deliver | None = None,
) -> int:
    shown = view()
    answers = can_ask()
    piped = None if answers else piped_answers()
    follower = Follower(run, shown, document, answers=answers, client=client, piped=piped)
    return await outcome.reported(run.id, document, output_options, follower.follow(), deliver)


class Leave(AsyncExitStack):
    """What has to end with the command, and the run that it is about, once that is known."""

    run: Run | None = None


@asynccontextmanager
async def _interruptible(agents: Agents, *, again: bool = False) -> AsyncGenerator[Leave]:
    """A stack; a signal leaves it early, raising output.Interrupted. The run continues.

    `again`: what the command delivers is written by the same command only, not by `perdure result`.
    """
    task = asyncio.current_task()
    signalled: list[int] = []

    def on_signal(number: int) -> None:
        if signalled:
            output.flush()
            os._exit(130)
        signalled.append(number)
        if task is not None:
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    leave = Leave()
    try:
        yield leave
    except (asyncio.CancelledError, ConnectionFailed) as error:
        # The worker has no server to take leave of, or a user waits for the command to end.
        with suppress(TimeoutError, asyncio.CancelledError):
            await asyncio.wait_for(leave.aclose(), DETACH_TIMEOUT_S)
        if isinstance(error, ConnectionFailed) or not signalled:
            raise
        raise output.Interrupted(_detach_message(leave.run, agents, again=again)) from None
    except BaseException:
        await leave.aclose()
        raise
    else:
        await leave.aclose()


def _detach_message(run: Run | None, agents: Agents, *, again: bool) -> str:
    if run is None:
        return "interrupted before the run had started, or at the very moment: perdure list"
    resume = f"the same command with --id {run.id}" if again else f"perdure result {run.id}{agents.options}"
    return (
        f"interrupted; the run continues when it is served\n"
        f"  come back: {resume}\n  stop it: perdure cancel {run.id}"
    )
