"""Compares two runs call by call, or two graphs node by node."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.cli import connection, output
from perdure.cli.inputs import graphs
from perdure.cli.progress.spent import cost_text
from perdure.errors import UsageError
from perdure.lineage.compare import (
    DIFFERENCE_TEXTS,
    CallDifference,
    GraphDifference,
    NodeDifference,
    by_node,
    call_differences,
    graph_differences,
)

if TYPE_CHECKING:
    from perdure.client import GraphClient

EXAMPLES = """\
examples:
  perdure diff nightly-3 nightly-3~2        two runs
  perdure diff graph.yaml new.yaml          two graphs
"""
NODE_COLUMN_TITLES = ("node", "equal", "reused", "different")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("first", metavar="A", help="a run, or a graph file")
    parser.add_argument("second", metavar="B", help="the other")
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Compares; 0 if there is no difference, else 1."""
    are_files = [Path(name).is_file() for name in (args.first, args.second)]
    if all(are_files):
        return _of_graphs(args)
    if any(are_files):
        file, other = (args.first, args.second) if are_files[0] else (args.second, args.first)
        raise UsageError(
            f"{file} is a file, and there is no file {other}", hint="compare two runs, or two graph files"
        )
    return connection.with_client(_of_runs, args)


def _of_graphs(args: argparse.Namespace) -> int:
    differences = graph_differences(graphs.read(args.first).data, graphs.read(args.second).data)
    if args.json:
        output.result(output.json_text([asdict(difference) for difference in differences]))
    else:
        output.result(
            output.table(("node", "change", "keys"), [_graph_row(difference) for difference in differences])
        )
    return 1 if differences else 0


def _graph_row(difference: GraphDifference) -> list[str]:
    return [difference.address, difference.kind, ", ".join(difference.keys)]


async def _of_runs(args: argparse.Namespace, client: GraphClient) -> int:
    from perdure.history.rerun import compared_calls  # noqa: PLC0415 -- loads what replays
    from perdure.history.spent import prices_of  # noqa: PLC0415 -- the same

    models = [await client.get(id).history() for id in (args.first, args.second)]
    prices = prices_of(client.settings)
    differences = call_differences(*(compared_calls(model, prices) for model in models))
    if args.json:
        output.result(output.json_text([asdict(difference) for difference in differences]))
    else:
        output.result("\n".join(lines(differences)))
    return 1 if any(difference.kind != "equal" for difference in differences) else 0


def _node_row(node: NodeDifference) -> list[str]:
    """A node: how many of its calls are equal, and how many differ in each way."""
    others = [
        f"{count:,} {DIFFERENCE_TEXTS[kind]}" if count > 1 else DIFFERENCE_TEXTS[kind]
        for kind, count in node.kinds.items()
        if kind != "equal"
    ]
    return [node.address, str(node.kinds.get("equal", "")), str(node.reused or ""), "; ".join(others)]


def lines(differences: list[CallDifference]) -> list[str]:
    """The differences for people, by node and by call, then their counts, and what both runs took."""
    rows = [
        [difference.position, DIFFERENCE_TEXTS[difference.kind], difference.at]
        for difference in differences
        if difference.kind != "equal"
    ]
    counts = Counter(difference.kind for difference in differences)
    reused = sum(difference.is_reused for difference in differences if difference.kind == "equal")
    nodes = by_node(differences)
    parts = [output.table(NODE_COLUMN_TITLES, [_node_row(node) for node in nodes]), ""]
    parts = parts if len(nodes) < len(differences) else []  # else each node has one call
    parts += [output.table(("call", "difference", "from"), rows)] if rows else []
    sums = [
        cost_text(
            sum(difference.seconds[side] for difference in differences),
            sum(difference.tokens[side] for difference in differences),
            sum(difference.money[side] for difference in differences),
        )
        for side in (0, 1)
    ]
    equal = "1 call is" if counts["equal"] == 1 else f"{counts['equal']:,} calls are"
    parts.append(
        f"{equal} equal, {reused:,} of them reused; {len(rows):,} {'differs' if len(rows) == 1 else 'differ'}"
    )
    return [*parts, f"first: {sums[0] or '-'}; second: {sums[1] or '-'}"] if any(sums) else parts
