"""A device that works alone, and brings its results to a hub whenever the hub can be reached.

serve runs graphs on the device's own server, as perdure worker does, and sends what outboxAgent has put in
the outbox to the HTTP gateway of the hub (perdure gateway http). An event leaves the outbox when Temporal on
the hub has it, and counts once there by its id. Only what graphs put in the outbox leaves the device.

status shows what waits, and how long the hub has not been reached. retry sends again what the hub has
refused, as when a route was fixed.

PERDURE_OUTBOX_BYTES bounds what waits (100 MB), and PERDURE_OUTBOX_FULL says what happens beyond that: wait,
oldest or newest.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import socket
import time
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from perdure.cli import connection, logs, output
from perdure.cli.commands import worker
from perdure.cli.inputs import graphs
from perdure.cli.inputs.local_data import data_option, with_data
from perdure.cli.progress.progress_table import duration
from perdure.errors import UsageError
from perdure.graph.text.shown import line
from perdure.settings import Settings
from perdure.settings.parsers import host_name
from perdure.storage.outbox import Outbox, OutboxStatus

EXAMPLES = """\
examples:
  perdure edge serve --hub https://hub.example.org --token-file hub.token --name store-7
  perdure edge serve --hub https://hub.example.org --token-file hub.token --data cameras=/srv/video
  perdure edge status
  perdure edge status --json
  perdure edge retry                       sends again what the hub has refused
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    what = parser.add_argument("what", nargs="?", choices=("serve", "status", "retry"), default="serve")
    what.help = "what to do (serve)"
    parser.add_argument("--json", action="store_true", help="status: as JSON")
    serve = parser.add_argument_group("serve")
    serve.add_argument("--hub", metavar="URL", help="the HTTP gateway of the hub")
    serve.add_argument("--token-file", type=Path, metavar="FILE", help="holds the token of that gateway")
    serve.add_argument("--name", metavar="NAME", help="the sender of events (PERDURE_HOST, or the host name)")
    serve.add_argument(
        "--queue", action="append", default=[], metavar="Q", help="a task queue; may be repeated"
    )
    data_option(parser)
    graphs.agents_option(parser)
    graphs.filters_option(parser)


def main(args: argparse.Namespace) -> int:
    """Serves, or looks at the outbox."""
    settings = Settings.from_env()
    if args.what == "serve":
        return _serve(args, settings)
    outbox = Outbox.of(settings)
    if args.what == "retry":
        output.result(f"{outbox.again():,} events wait again")
        return 0
    status = outbox.status()
    output.result(output.json_text(asdict(status)) if args.json else "\n".join(lines(status, time.time())))
    return 0


def lines(status: OutboxStatus, now: float) -> list[str]:
    """The status for people."""
    since = "" if status.since is None else f", the oldest for {duration(now - status.since)}"
    size = f"{status.waiting_bytes:,} of {status.limit_bytes:,} bytes"
    shown = [
        f"hub      {_hub(status, now)}",
        f"waiting  {status.waiting:,} events ({size}){since}",
        f"sent     {status.sent:,}",
        f"refused  {status.refused:,}",
        *(f"         {refusal}" for refusal in status.refusals),
    ]
    if status.dropped:
        shown.append(f"dropped  {status.dropped:,}: the outbox was full")
    return [line(text) for text in shown]


def _hub(status: OutboxStatus, now: float) -> str:
    if not status.hub:
        return "none yet: perdure edge serve --hub URL --token-file FILE"
    last = "never" if status.reached is None else f"{duration(now - status.reached)} ago"
    state = f"not reached, last {last}: {status.why}" if status.why else f"last reached {last}"
    return f"{status.hub}: {state}"


def _serve(args: argparse.Namespace, settings: Settings) -> int:
    if args.json:
        raise UsageError("--json is for perdure edge status")
    url = _checked(args.hub, insecure=settings.insecure)
    if args.token_file is None:
        hint = "the gateway shows on its start where its token is: copy it to a file on this device"
        raise UsageError("--token-file is missing", hint=hint)
    name = settings.host or socket.gethostname() if args.name is None else host_name("--name", args.name)
    logs.configure(verbose=args.verbose, worker=True)
    settings = with_data(settings, args.data)
    agents = graphs.agents_of(args.agents, args.filters)
    server_start = connection.begin(settings)

    async def serve() -> int:
        from perdure.gateway.uplink import Uplink  # noqa: PLC0415 -- loads while the server starts

        uplink = Uplink(Outbox.of(settings), url, args.token_file, name)
        sending = asyncio.create_task(uplink.run())
        output.note(f"events go to {url} as {name}")
        try:
            return await worker.serve(args.queue, agents, settings, server_start)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    return connection.run(serve())


def _checked(hub: str | None, *, insecure: bool) -> str:
    """The address of the hub. Raises UsageError."""
    parts = urlsplit(hub or "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("--hub: the address of the hub's gateway is missing", hint="--hub https://HOST:PORT")
    if parts.scheme == "http" and not insecure and not _is_loopback(parts.hostname):
        raise UsageError(
            f"{parts.hostname} would be reached without TLS: others on the way could read the token and the "
            "events",
            hint="--hub https://HOST, or PERDURE_INSECURE=1 inside a network of your own",
            variable="PERDURE_INSECURE",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
