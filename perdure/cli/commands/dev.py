"""Server, live page and a worker in the foreground, for the time that you work on graphs.

Ctrl-C ends the worker, and the server if this command started it and no other process uses it.
"""

from __future__ import annotations

import argparse
import asyncio

from perdure import daemon, server
from perdure.cli import connection, logs, output
from perdure.cli.inputs import graphs
from perdure.settings import Settings

EXAMPLES = """\
examples:
  perdure dev
  perdure dev --agents ./mine.py           then, elsewhere: perdure run graph.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    graphs.agents_option(parser)
    graphs.filters_option(parser)
    parser.add_argument(
        "--queue", action="append", default=[], metavar="Q", help="a task queue; may be repeated"
    )


def main(args: argparse.Namespace) -> int:
    """Serves, and ends the server that it has started."""
    logs.configure(verbose=args.verbose, worker=True)
    settings = Settings.from_env()
    agents = graphs.agents_of(args.agents, args.filters)
    was_up = server.status(settings) is not None
    return connection.run(_main(args, agents, settings, was_up))


async def _main(args: argparse.Namespace, agents: graphs.Agents, settings: Settings, was_up: bool) -> int:
    opening = connection.begin(settings)
    from perdure.cli.running import (  # noqa: PLC0415 -- loads the SDK while the server starts
        queue_choice,
        web_server,
        worker_loop,
    )

    async with connection.connected(settings, opening) as client:
        queues = await queue_choice.served_queues(client, args.queue, agents.origins)

        async with web_server.live_page(client) as page:

            def ready() -> None:
                web = client.embedded.ui_url if client.embedded is not None else None
                lines = [
                    f"page         {page}",
                    f"server       {client.temporal.service_client.config.target_host}",
                    f"namespace    {client.temporal.namespace}",
                    *([f"Temporal UI  {web}"] if web else []),
                    f"worker       queues {', '.join(queues)}; {len(agents.known)} agents",
                    "Ctrl-C stops",
                ]
                output.result("\n".join(lines))

            code = await worker_loop.serve_until_stopped(client, queues, agents, ready)
        embedded = client.embedded is not None
    if opening is not None:
        opening.close()
    if embedded and not was_up:
        if daemon.idle(settings.home.absolute(), server.SERVER_NAME):
            await asyncio.to_thread(server.stop, settings)
            output.note("the server has stopped; runs stay as they are")
        else:
            output.note("other processes use the server: it keeps running, and stops when it is idle")
    return code
