"""Answers the question of a node that waits for a person, such as one of textInputAgent."""

from __future__ import annotations

import argparse

from perdure.cli import connection, logs, output
from perdure.settings import Settings

EXAMPLES = """\
examples:
  perdure answer chat-1 question "Yes, continue"
  perdure status chat-1                    shows what is asked
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("id", metavar="ID", help="the run")
    parser.add_argument("node", metavar="NODE", help="the node that asks, or its place in the run")
    parser.add_argument("value", metavar="VALUE", help="the answer")


def main(args: argparse.Namespace) -> int:
    """Sends the answer."""
    logs.configure(verbose=args.verbose)
    settings = Settings.from_env()
    return connection.run(_main(args, settings, connection.begin(settings)))


async def _main(args: argparse.Namespace, settings: Settings, opening: connection.ServerStart | None) -> int:
    async with connection.connected(settings, opening) as client:
        await client.get(args.id).answer(args.node, args.value)
    output.note(f"run {args.id} has the answer")
    return 0
