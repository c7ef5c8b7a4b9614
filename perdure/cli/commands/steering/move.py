"""Sends the calls of a node to another task queue, from the next attempt on, or at once with --now."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from perdure.cli import connection
from perdure.cli.commands.steering import changes, patch

if TYPE_CHECKING:
    from perdure.client import GraphClient

EXAMPLES = """\
examples:
  perdure move nightly-3 summarize --queue gpu2
  perdure move nightly-3 summarize --queue gpu2 --now   also the call that is open
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    changes.configure(parser)
    parser.add_argument("node", metavar="NODE", help="the node")
    parser.add_argument("--queue", metavar="QUEUE", required=True, help="the queue of its calls")
    parser.add_argument("--now", action="store_true", help="cancel an open call, and call again there")


def main(args: argparse.Namespace) -> int:
    """Makes the change."""
    args.graph, args.remove, args.running, args.rerun, args.rows = None, [], "refuse", False, "new"
    args.keep, args.if_hash = [], ""
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    return await patch.patch(args, client, {f"{args.node}.queue": args.queue})
