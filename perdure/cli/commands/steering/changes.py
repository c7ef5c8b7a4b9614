"""What the commands that change a run have in common: who and why, and the table of the nodes concerned."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from perdure.cli import connection, output
from perdure.cli.inputs.answers import user
from perdure.errors import UsageError
from perdure.graph.text.shown import line

if TYPE_CHECKING:
    from perdure.client import GraphClient
    from perdure.engine.steering.request import NodeChange, Steering
    from perdure.protocol.steering import SteeringReceipt

CHANGE_COLUMN_TITLES = ("node", "change", "state", "what happens")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that all of these commands have."""
    parser.add_argument("id", metavar="ID", help="the run")
    parser.add_argument("--as", dest="who", metavar="NAME", help="who makes the change (user@host)")
    parser.add_argument("--why", metavar="TEXT", default="", help="why, for those who look at the run")
    parser.add_argument("--dry-run", action="store_true", help="only show what would happen")
    parser.add_argument("--json", action="store_true", help="as JSON")


def choices(parser: argparse.ArgumentParser) -> None:
    """Adds what may be said of nodes that have begun."""
    parser.add_argument(
        "--running",
        choices=("cancel", "keep", "wait"),
        default="refuse",
        help="of nodes that are executing: call them again, let the result of their call count, or wait",
    )
    parser.add_argument("--rerun", action="store_true", help="execute nodes again that have a result")
    parser.add_argument(
        "--keep", action="append", default=[], metavar="NODE", help="leave the result of this node as it is"
    )


def main(args: argparse.Namespace, change: Steering, if_hash: str = "") -> int:
    """Makes the change, or shows what it would do."""

    async def changed(args: argparse.Namespace, client: GraphClient) -> int:
        return await apply(args, client, change, if_hash)

    return connection.with_client(changed, args)


async def apply(args: argparse.Namespace, client: GraphClient, change: Steering, if_hash: str = "") -> int:
    """The same, with a client. Raises UsageError if the change is refused."""
    from perdure.temporal.steering import WAIT  # noqa: PLC0415 -- loads the SDK

    run = client.get(args.id)
    receipt = await run.preview(change, if_hash=if_hash)
    if change.running == WAIT and not args.dry_run:
        output.note("the change is made when no executing node blocks it; Ctrl-C ends this")
        await run.settled(change, if_hash=if_hash)
        receipt = await run.preview(change, if_hash=if_hash)
    if args.dry_run:
        _show(args, receipt)
        return 2 if receipt.refusal else 0
    if receipt.refusal:
        if receipt.nodes:
            output.note(table(receipt.nodes))
        raise UsageError(receipt.refusal)
    who = user() if args.who is None else args.who
    _show(args, await run.steer(change, who=who, why=args.why, if_hash=if_hash))
    return 0


def _show(args: argparse.Namespace, receipt: SteeringReceipt) -> None:
    if args.json:
        output.result(output.json_text(asdict(receipt)))
        return
    output.result(table(receipt.nodes) if receipt.nodes else "no node is concerned")
    if receipt.refusal:
        output.note(receipt.refusal)


def table(nodes: Sequence[NodeChange]) -> str:
    """What becomes of the nodes, for people."""
    rows = [[node.place or "the run", node.change, node.state, line(_what(node))] for node in nodes]
    return output.table(CHANGE_COLUMN_TITLES, rows)


def _what(node: NodeChange) -> str:
    return f"refused: {node.finding}" if node.finding else node.action
