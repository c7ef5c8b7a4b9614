"""Sends an event to a run: a node that waits for its topic gets it, or one that will."""

from __future__ import annotations

import argparse
import getpass
import secrets
import socket
from typing import TYPE_CHECKING

from perdure.cli import connection, output
from perdure.engine.inbox.events import ExternalEvent
from perdure.errors import UsageError
from perdure.graph.javascript import parse
from perdure.graph.params.waiting import instant_ms
from perdure.graph.values import Value

if TYPE_CHECKING:
    from perdure.client import GraphClient

EXAMPLES = """\
examples:
  perdure send watch-press-4 telemetry '{"vibration": 7.4}' --key press-4
  perdure send order-17 paid --id invoice-88

With an --id, sending the same event again changes nothing. Without a worker nothing is kept: send it again.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("id", metavar="ID", help="the run")
    parser.add_argument("topic", metavar="TOPIC", help="what nodes wait for")
    parser.add_argument("body", metavar="BODY", nargs="?", help="what the event says: JSON, or a string")
    parser.add_argument("--key", default="", help="what the event is about, such as a machine")
    parser.add_argument("--id", dest="event", metavar="EVENT", help="its own id, by which it counts once")
    parser.add_argument("--at", metavar="TIME", help="when it happened: ISO 8601, or milliseconds (now)")
    parser.add_argument("--from", dest="sender", metavar="NAME", help="who sends it (user@host)")


def main(args: argparse.Namespace) -> int:
    """Sends the event."""
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    sender = f"{getpass.getuser()}@{socket.gethostname()}" if args.sender is None else args.sender
    event = ExternalEvent(
        topic=args.topic,
        id=args.event or secrets.token_hex(8),
        key=args.key,
        sender=sender,
        at=_time(args.at),
        body=_body(args.body),
    )
    receipt = await client.get(args.id).send(event)
    what = "has this event already" if receipt.already else "has taken the event"
    output.note(f"run {args.id} {what}")
    return 0


def _body(text: str | None) -> Value:
    try:
        return None if text is None else parse(text)
    except ValueError:
        return text


def _time(text: str | None) -> float:
    if text is None:
        return 0
    value: Value = float(text) if text.replace(".", "", 1).isdecimal() else text
    milliseconds = instant_ms(value)
    if milliseconds is None:
        raise UsageError(f"--at: {text!r} is not a time", hint="--at 2031-05-01T08:00:00Z")
    return milliseconds
