"""Ends a run at once, where `perdure cancel` does not stop it: needs no worker, and leaves no result."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from perdure.cli import connection, output
from perdure.errors import UsageError

if TYPE_CHECKING:
    from perdure.client import GraphClient

EXAMPLES = """\
examples:
  perdure terminate nightly-3
  perdure terminate nightly-3 --reason "started with the wrong prompt"
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("id", metavar="ID", help="the run")
    parser.add_argument("--reason", default="perdure terminate", metavar="TEXT", help="why; it is kept")


def main(args: argparse.Namespace) -> int:
    """Ends it."""
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    run = client.get(args.id)
    if (await run.describe()).closed is not None:
        raise UsageError(f"run {args.id!r} has ended: perdure status {args.id}")
    await run.terminate(args.reason)
    output.note(f"run {args.id} was terminated; agents that run are stopped with their next heartbeat")
    return 0
