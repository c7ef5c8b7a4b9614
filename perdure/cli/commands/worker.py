"""Serves agents, and the runs that call them, until it receives a signal to stop.

A server that was configured is waited for where it does not answer, at the start and at any time later;
the embedded one is started again where it has crashed.
SIGTERM and Ctrl-C let running agents end, for at most PERDURE_GRACE seconds (10); a second signal ends
at once. PERDURE_DEPLOYMENT and PERDURE_BUILD_ID make runs stay with the build that began them.
PERDURE_CALL_LIMIT bounds one attempt of a call whose node has no `timeout`, in seconds (86400: a day).
--concurrency (PERDURE_CONCURRENCY) bounds the calls that it makes at a time, on each of its queues (100).
PERDURE_HEALTH_PORT (and PERDURE_HEALTH_HOST, 127.0.0.1 by default) give /healthz and /readyz.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace

from perdure import server
from perdure.cli import connection, logs, output
from perdure.cli.inputs import graphs
from perdure.settings import Settings, count

EXAMPLES = """\
examples:
  perdure worker                                       the default queue, the shipped agents
  perdure worker --agents mycompany.agents             those and your own
  perdure worker --queue gpu --queue perdure           two queues
  perdure worker --queue gpu --concurrency 1           one call at a time
  PERDURE_HEALTH_PORT=8081 perdure worker              with health checks
  PERDURE_DEPLOYMENT=graphs PERDURE_BUILD_ID=v2 perdure worker
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "--queue", action="append", default=[], metavar="Q", help="a task queue; may be repeated"
    )
    parser.add_argument(
        "--concurrency", metavar="N", help="calls of agents at a time, on each queue (100); pure agents aside"
    )
    graphs.agents_option(parser)
    graphs.filters_option(parser)


def main(args: argparse.Namespace) -> int:
    """Serves."""
    logs.configure(verbose=args.verbose, worker=True)
    settings = Settings.from_env()
    if args.concurrency is not None:
        settings = replace(settings, concurrency=count("--concurrency", args.concurrency, 1, "calls", 100))
    settings = replace(settings, queues=(*settings.queues, *args.queue))
    agents = graphs.agents_of(args.agents, args.filters)
    return connection.run(_main(args, agents, settings, connection.begin(settings)))


async def _main(
    args: argparse.Namespace,
    agents: graphs.Agents,
    settings: Settings,
    server_start: connection.ServerStart | None,
) -> int:
    from perdure.cli.running import (  # noqa: PLC0415 -- loads the SDK while the server starts
        queue_choice,
        worker_loop,
    )

    served = asyncio.Event()

    async def serve_once(stop: worker_loop.Stop) -> int:
        async with connection.connected(settings, server_start) as client:
            queues = await queue_choice.served_queues(client, args.queue, agents.origins)

            def ready() -> None:
                served.set()
                config = client.temporal.service_client.config
                build = f", build {settings.build_id} of {settings.deployment}" if settings.deployment else ""
                output.note(
                    f"worker ready: {config.target_host}, namespace {client.temporal.namespace}, "
                    f"queues {', '.join(queues)}, {len(agents.by_name)} agents{build}"
                )

            return await worker_loop.serve_until_stopped(client, queues, agents, ready, stop, versioned=True)

    def may_come() -> bool:
        from perdure.client import configured  # noqa: PLC0415 -- loads the SDK

        if server_start is None and configured().get("target_host"):
            return True
        return served.is_set() and not server.was_stopped(settings)

    return await worker_loop.serve_patiently(serve_once, may_come, settings.grace)
