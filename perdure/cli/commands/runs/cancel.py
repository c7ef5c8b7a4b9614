"""Stops a run: running agents are notified, and no further node starts."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack

from perdure.cli import connection, logs, output
from perdure.errors import RunFailed, UsageError
from perdure.settings import Settings

EXAMPLES = """\
examples:
  perdure cancel nightly-3
"""
CANCEL_TIMEOUT_S = 5.0
"""Seconds in which a run that is served should have stopped."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("id", metavar="ID", help="the run")


def main(args: argparse.Namespace) -> int:
    """Asks it to stop, and waits a while for it."""
    logs.configure(verbose=args.verbose)
    settings = Settings.from_env()
    server_start = connection.begin(settings)
    return connection.run(_main(args.id, settings, server_start))


async def _main(id: str, settings: Settings, server_start: connection.ServerStart | None) -> int:
    from perdure.cli.inputs import graphs  # noqa: PLC0415 -- loads the SDK while the server starts
    from perdure.cli.running import queue_choice  # noqa: PLC0415 -- loads the SDK while the server starts

    async with (
        connection.connected(settings, server_start, passing=True) as client,
        AsyncExitStack() as stack,
    ):
        run = client.get(id)
        description = await run.describe()
        if description.closed is not None:
            raise UsageError(f"run {id!r} has ended: perdure status {id}")
        await run.cancel()
        queue = description.task_queue
        if client.embedded is not None and not await client.workers(queue):
            # Only a worker can carry it out; the agents' results are no longer needed.
            await stack.enter_async_context(queue_choice.hosted(client, queue, graphs.agents_of([])))
        try:
            await asyncio.wait_for(run.result(), CANCEL_TIMEOUT_S)
        except TimeoutError:
            output.note(f"run {id} was asked to stop, and will as soon as its worker hears of it")
        except RunFailed:
            output.note(f"run {id} was cancelled")
        else:
            output.note(f"run {id} had ended before it could be cancelled")
    return 0
