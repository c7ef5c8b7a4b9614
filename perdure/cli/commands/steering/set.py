"""Gives nodes of a run that is going a value: a static node, or a node with an agent, which is not called."""

from __future__ import annotations

import argparse

from perdure.cli.commands.steering import changes
from perdure.cli.inputs import graphs

EXAMPLES = """\
examples:
  perdure set nightly-3 topic=sea
  perdure set nightly-3 'draft={text: "by hand"}' --rerun   what has read the old result runs again"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    changes.configure(parser)
    parser.add_argument("values", metavar="NODE=VALUE", nargs="+", help="the values, in YAML")
    changes.choices(parser)


def main(args: argparse.Namespace) -> int:
    """Makes the change."""
    from perdure.engine.steering.request import Steering  # noqa: PLC0415 -- loads the engine

    done = "rerun" if args.rerun else "refuse"
    values = graphs.inputs_of(args.values, (), "")
    return changes.main(args, Steering(values=values, running=args.running, done=done, keeps=args.keep))
