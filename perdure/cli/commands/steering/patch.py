"""Changes the graph of a run while it runs. Results stay where nothing that made them changes.

Nodes that have not begun take the change over. A node that is executing, or has a result, is affected only
if its own definition or a source of it changes; then the change is refused unless you say what is to become
of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from perdure.cli import connection
from perdure.cli.commands.steering import changes
from perdure.cli.inputs import graphs
from perdure.errors import UsageError
from perdure.graph.values import Value

if TYPE_CHECKING:
    from perdure.client import GraphClient

EXAMPLES = """\
examples:
  perdure patch nightly-3 --graph new.yaml --dry-run         what would become of each node
  perdure patch nightly-3 --set draft.params.model=gpt-5     one param
  perdure patch nightly-3 --set concurrency=4                how many nodes run at a time
  perdure patch nightly-3 --graph new.yaml --rerun           results that it changes are made again
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    changes.configure(parser)
    parser.add_argument("--graph", metavar="FILE", help="the new graph")
    parser.add_argument(
        "--set",
        dest="set_options",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="a new value",
    )
    parser.add_argument("--remove", action="append", default=[], metavar="NODE", help="remove this node")
    changes.choices(parser)
    parser.add_argument(
        "--rows",
        choices=("new", "rerun"),
        default="refuse",
        help="of a map that is under way: the new graph for rows that have not begun, or begin it again",
    )
    parser.add_argument("--now", action="store_true", help="call again whose queue or limits change")
    parser.add_argument("--if-hash", metavar="HASH", default="", help="only if the graph has this hash")


def main(args: argparse.Namespace) -> int:
    """Makes the change."""
    if not (args.graph or args.set_options or args.remove):
        raise UsageError("there is nothing to change", hint="say it with --graph, --set or --remove")
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    values = graphs.inputs_of(args.set_options, (), "--set")
    return await patch(args, client, values)


async def patch(args: argparse.Namespace, client: GraphClient, values: Mapping[str, Value]) -> int:
    """Changes the graph as the arguments say, with these values by their paths."""
    from perdure.engine.steering.request import Steering  # noqa: PLC0415 -- loads the engine
    from perdure.lineage.edits import edited  # noqa: PLC0415 -- likewise

    known = await client.get(args.id).graph()
    graph = known.document if args.graph is None else graphs.read(args.graph).data
    change = Steering(
        graph=edited(graph, values, args.remove),
        running=args.running,
        done="rerun" if args.rerun else "refuse",
        rows=args.rows,
        keeps=args.keep,
        now=args.now,
    )
    return await changes.apply(args, client, change, args.if_hash or known.hash)
