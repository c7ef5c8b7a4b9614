"""Lets nodes start again that were paused: all of a run, or those that are named."""

from __future__ import annotations

import argparse

from perdure.cli.commands.steering import changes

EXAMPLES = """\
examples:
  perdure resume nightly-3                         everything that is paused
  perdure resume nightly-3 chapters.summarize"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    changes.configure(parser)
    parser.add_argument("nodes", metavar="NODE", nargs="*", help="these nodes only")


def main(args: argparse.Namespace) -> int:
    """Makes the change."""
    from perdure.engine.steering.request import Steering  # noqa: PLC0415 -- loads the engine

    return changes.main(args, Steering(resumes=args.nodes or [""]))
