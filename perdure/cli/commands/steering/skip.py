"""Skips a node, as a condition would: what depends on it does not run. Or gives it a result instead."""

from __future__ import annotations

import argparse
from dataclasses import replace

from perdure.cli.commands.steering import changes
from perdure.cli.inputs import graphs

EXAMPLES = """\
examples:
  perdure skip nightly-3 translate
  perdure skip nightly-3 translate --value '{text: ""}'"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    changes.configure(parser)
    parser.add_argument("node", metavar="NODE", help="the node")
    parser.add_argument("--value", metavar="VALUE", help="its result, in YAML")
    changes.choices(parser)


def main(args: argparse.Namespace) -> int:
    """Makes the change."""
    from perdure.engine.steering.request import Steering  # noqa: PLC0415 -- loads the engine

    done = "rerun" if args.rerun else "refuse"
    change = Steering(skips=[args.node], running=args.running, done=done, keeps=args.keep)
    if args.value is not None:
        values = graphs.inputs_of([f"{args.node}={args.value}"], (), "--value")
        change = replace(change, skips=(), values=values)
    return changes.main(args, change)
