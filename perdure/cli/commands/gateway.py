"""Brings events of devices and services to the runs that wait for them, as a routing file says.

A sender, or its broker, has its acknowledgement when Temporal has the event. Until then it keeps the event,
and sends it again: it counts once by its id.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.cli import connection, logs, output
from perdure.cli.running import web_server
from perdure.errors import UsageError
from perdure.settings import Settings
from perdure.version import installation

if TYPE_CHECKING:
    from perdure.client import GraphClient
    from perdure.gateway.delivery import Delivery
    from perdure.gateway.routes import Routes

MQTT_PORT_ID = 1883
MQTT_TLS_PORT_ID = 8883

EXAMPLES = """\
examples:
  perdure gateway http --routes routes.yaml --port 8400
  perdure gateway mqtt broker.example.org --routes routes.yaml --tls --username hall-3 --password-file key
  curl -H "Authorization: Bearer $(cat ~/.local/share/perdure/gateway.token)" http://127.0.0.1:8400/events \\
    -d '{"topic": "plant/press-4/telemetry", "id": "17", "body": {"vibration": 7.4}}'

A routing file names the run of each topic, and the graph that starts it:
  routes:
    - topic: plant/+/telemetry
      event: telemetry
      key: ${level.1}
      run: watch-${key}
      graph: watch.yaml
      inputs: {component: "${key}"}
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("kind", choices=("http", "mqtt"), help="where events come from")
    parser.add_argument("broker", metavar="BROKER", nargs="?", help="of MQTT: HOST, or HOST:PORT")
    parser.add_argument("--routes", required=True, type=Path, metavar="FILE", help="where events go")
    parser.add_argument("--linger", type=float, default=1.0, metavar="S", help="seconds to fill a batch (1)")
    http = parser.add_argument_group("http")
    http.add_argument("--host", default="127.0.0.1", metavar="A", help="the address to listen on (127.0.0.1)")
    http.add_argument("--port", type=int, default=0, metavar="N", help="the port (any free one)")
    http.add_argument("--expose", action="store_true", help="allow a --host that other machines can reach")
    mqtt = parser.add_argument_group("mqtt")
    mqtt.add_argument("--client-id", metavar="NAME", help="of the session that the broker keeps (by host)")
    mqtt.add_argument("--username", default="", metavar="NAME", help="of the broker")
    mqtt.add_argument("--password-file", type=Path, metavar="FILE", help="holds the password")
    mqtt.add_argument("--tls", action="store_true", help="use TLS, port 8883 by default")
    mqtt.add_argument("--refused", type=Path, metavar="FILE", help="keeps events that no run takes")


def main(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C."""
    logs.configure(verbose=args.verbose)
    if (args.kind == "mqtt") != bool(args.broker):
        raise UsageError("mqtt needs a broker, and http takes none", hint="perdure gateway mqtt localhost")
    if args.kind == "http":
        web_server.checked_host(args.host, exposed=args.expose)
    settings = Settings.from_env()
    return connection.run(_main(args, settings, connection.begin(settings)))


async def _main(
    args: argparse.Namespace, settings: Settings, server_start: connection.ServerStart | None
) -> int:
    from perdure.gateway.delivery import Delivery  # noqa: PLC0415 -- loads the SDK while the server starts
    from perdure.gateway.routes import read_routes  # noqa: PLC0415 -- as above

    routes = read_routes(args.routes)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with connection.connected(settings, server_start) as client:
        delivery = Delivery(client, args.linger)
        try:
            serve = _http if args.kind == "http" else _mqtt
            await serve(args, client, routes, delivery, stopped)
        finally:
            await delivery.close()
        counts = ", ".join(f"{count:,} {name}" for name, count in delivery.counts.items())
        output.note(f"events: {counts}")
    return 0


async def _http(
    args: argparse.Namespace,
    client: GraphClient,
    routes: Routes,
    delivery: Delivery,
    stopped: asyncio.Event,
) -> None:
    try:
        from perdure.gateway.http import serving  # noqa: PLC0415 -- the extra, and only here
    except ImportError as error:
        raise _missing(error, "ui") from error
    async with serving(client.settings.home, routes, delivery, args.host, args.port) as (url, token_file):
        output.result(f"POST   {url}/events\ntoken  in {token_file}, for Authorization: Bearer\nCtrl-C stops")
        await stopped.wait()


async def _mqtt(
    args: argparse.Namespace,
    client: GraphClient,
    routes: Routes,
    delivery: Delivery,
    stopped: asyncio.Event,
) -> None:
    del client
    try:
        from perdure.gateway.mqtt import MqttGateway  # noqa: PLC0415 -- the extra, and only here
    except ImportError as error:
        raise _missing(error, "edge") from error
    host, _, port = args.broker.partition(":")
    if port and not port.isdecimal():
        raise UsageError(f"{args.broker!r} is not a broker", hint="HOST, or HOST:PORT")
    gateway = MqttGateway(
        routes,
        delivery,
        host,
        int(port) if port else MQTT_TLS_PORT_ID if args.tls else MQTT_PORT_ID,
        client_id=args.client_id or f"perdure-gateway-{socket.gethostname()}",
        username=args.username,
        password=args.password_file.read_text().strip() if args.password_file else "",
        tls=args.tls,
        refused=_keeping(args.refused),
    )
    output.result(f"topics {', '.join(routes.topics)}\nCtrl-C stops")
    await gateway.run(stopped)


def _keeping(file: Path | None) -> Callable[[str, bytes, str], None] | None:
    """Appends what is refused to a file, before the broker may forget it."""
    if file is None:
        return None

    def keep(topic: str, payload: bytes, why: str) -> None:
        with file.open("a") as lines:
            row = {"topic": topic, "payload": payload.decode(errors="replace"), "why": why}
            lines.write(json.dumps(row) + "\n")
            lines.flush()
            with suppress(OSError):  # a pipe has nothing to be synchronized
                os.fsync(lines.fileno())

    return keep


def _missing(error: ImportError, extra: str) -> UsageError:
    hint = installation(extra)
    return UsageError(f"the package {error.name} is missing", hint=hint)
