"""Executes nodes again that have failed, with all their retries, in a run that is still going.

Of a run that is over, `perdure rerun` makes a new one.
"""

from __future__ import annotations

import argparse

from perdure.cli.commands.steering import changes

EXAMPLES = """\
examples:
  perdure retry nightly-3 publish
  perdure retry nightly-3 'chapters[3].summarize'  one row, while others run
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    changes.configure(parser)
    parser.add_argument("nodes", metavar="NODE", nargs="+", help="the failed nodes")


def main(args: argparse.Namespace) -> int:
    """Makes the change."""
    from perdure.engine.steering.request import Steering  # noqa: PLC0415 -- loads the engine

    return changes.main(args, Steering(retries=args.nodes))
