"""Lets no further node of a run start: of all of it, or of some nodes and what is inside them.

What is executing ends as usual, and people may still answer. `perdure resume` lets them start again.
"""

from __future__ import annotations

import argparse

from perdure.cli.commands.steering import changes

EXAMPLES = """\
examples:
  perdure pause nightly-3                          the whole run
  perdure pause nightly-3 chapters.summarize       one node, in all rows
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    changes.configure(parser)
    parser.add_argument("nodes", metavar="NODE", nargs="*", help="these nodes only")


def main(args: argparse.Namespace) -> int:
    """Makes the change."""
    from perdure.engine.steering.request import Steering  # noqa: PLC0415 -- loads the engine

    return changes.main(args, Steering(pauses=args.nodes or [""]))
