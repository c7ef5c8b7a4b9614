"""Prints what the nodes of a run have shown with `console`, with the time of each line."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from perdure.cli import connection, output
from perdure.graph.text.shown import line

if TYPE_CHECKING:
    from perdure.client import GraphClient
    from perdure.history.model import ConsoleLine

EXAMPLES = """\
examples:
  perdure logs nightly-3
  perdure logs nightly-3 summary
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("id", metavar="ID", help="the run")
    parser.add_argument(
        "node", metavar="NODE", nargs="?", help="of one node only, or of its place in the run"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Asks and prints."""
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    model = await client.get(args.id).history()
    address = None if args.node is None else model.node(args.node).address
    shown = [entry for entry in model.console if address in (None, entry.address)]
    if args.json:
        output.result(output.json_text([asdict(entry) for entry in shown]))
    elif shown:
        output.result("\n".join(text_of(entry) for entry in shown))
    else:
        output.note("nothing was shown")
    return 0


def text_of(shown: ConsoleLine) -> str:
    """One line: when, which node, what."""
    time = datetime.fromtimestamp(shown.time / 1000, UTC).astimezone().strftime("%H:%M:%S")
    return line(" ".join([time, *([shown.address] if shown.address else []), shown.text]))
