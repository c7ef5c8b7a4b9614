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
from collections.abc import Sequence
from dataclasses import replace

from perdure import server
from perdure.cli import connection, logs, output
from perdure.cli.inputs import graphs
from perdure.cli.inputs.local_data import data_option, with_data
from perdure.errors import UsageError
from perdure.settings import Settings
from perdure.settings.parsers import count, host_name

EXAMPLES = """\
examples:
  perdure worker                                       the default queue, the shipped agents
  perdure worker --agents mycompany.agents             those and your own
  perdure worker --queue gpu --queue perdure           two queues
  perdure worker --queue gpu --concurrency 1           one call at a time
  perdure worker --host site-3 --label site            its own queue as well, @site-3
  perdure worker --host site-3 --data scans=/srv/scans data that agents open by name, and that stays here
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
    parser.add_argument(
        "--host", metavar="NAME", help="the name of this host: serves the task queue @NAME as well"
    )
    parser.add_argument(
        "--label", action="append", default=[], metavar="L", help="a label of the host; may be repeated"
    )
    data_option(parser)
    graphs.agents_option(parser)
    graphs.filters_option(parser)


def main(args: argparse.Namespace) -> int:
    """Serves."""
    logs.configure(verbose=args.verbose, worker=True)
    settings = Settings.from_env()
    if args.concurrency is not None:
        settings = replace(settings, concurrency=count("--concurrency", args.concurrency, 1, "calls", 100))
    settings = replace(settings, queues=(*settings.queues, *args.queue))
    if args.host is not None or args.label:
        settings = _placed(settings, args.host, args.label)
    settings = with_data(settings, args.data)
    agents = graphs.agents_of(args.agents, args.filters)
    return connection.run(serve(args.queue, agents, settings, connection.begin(settings)))


def _placed(settings: Settings, host: str | None, labels: list[str]) -> Settings:
    """The settings of a worker on a host of this name. Raises UsageError."""
    name = settings.host if host is None else host_name("--host", host)
    if not name:
        raise UsageError("--label: the host has no name", hint="give it one with --host NAME")
    return replace(
        settings, host=name, labels=(*settings.labels, *(host_name("--label", label) for label in labels))
    )


async def serve(
    own_queues: Sequence[str],
    agents: graphs.Agents,
    settings: Settings,
    server_start: connection.ServerStart | None,
) -> int:
    """Serves these task queues, or the default ones, until a signal, whatever becomes of the server."""
    from perdure.cli.running import (  # noqa: PLC0415 -- loads the SDK while the server starts
        queue_choice,
        worker_loop,
    )
    from perdure.temporal.hosts import host_queue  # noqa: PLC0415 -- as above

    reached = asyncio.Event()

    async def serve_once(stop: worker_loop.Stop) -> int:
        async with connection.connected(settings, server_start) as client:
            reached.set()
            queues = await queue_choice.served_queues(client, own_queues, agents.origins)
            if settings.host:
                queues.append(host_queue(settings.host))

            def ready() -> None:
                config = client.temporal.service_client.config
                build = f", build {settings.build_id} of {settings.deployment}" if settings.deployment else ""
                output.note(
                    f"worker ready: {config.target_host}, namespace {client.temporal.namespace}, "
                    f"queues {', '.join(queues)}, {len(agents.by_name)} agents{build}"
                )

            return await worker_loop.serve_until_stopped(client, queues, agents, ready, stop, versioned=True)

    def may_come() -> bool:
        from perdure.transport import configured  # noqa: PLC0415 -- loads the SDK

        if server_start is None and configured().get("target_host"):
            return True
        return reached.is_set() and not server.was_stopped(settings)

    return await worker_loop.serve_patiently(serve_once, may_come, settings.grace)
