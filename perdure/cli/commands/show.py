"""Draws a graph, or the graph of a run with the states of its nodes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.cli import connection, output
from perdure.cli.commands.runs.status import end_of
from perdure.cli.inputs import graphs
from perdure.graph.check import modernized
from perdure.graph.mermaid import mermaid
from perdure.graph.text.yaml_write import write_yaml
from perdure.graph.values import Value

if TYPE_CHECKING:
    from perdure.client import GraphClient
    from perdure.runs import Run

EXAMPLES = """\
examples:
  perdure show graph.yaml                  Mermaid text: paste it into Markdown, or mermaid.live
  perdure show nightly-3                   the graph of a run; its states are colours
  perdure show nightly-3 --format yaml     the text of the graph that the run has
  perdure show graph.yaml --format svg > graph.svg
  perdure show nightly-3 --format html > run.html
"""
FORMATS = ("mermaid", "svg", "html", "json", "yaml")
DRAWN = ("mermaid", "svg", "html")
ENDINGS = (".yaml", ".yml", ".json")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("graph", metavar="GRAPH|ID", help="a file, - for stdin, or the id of a run")
    parser.add_argument("--format", choices=FORMATS, default="mermaid", help="(mermaid)")
    parser.add_argument(
        "--around", metavar="NODE", help="in a graph of more than 300 nodes, draw this one and its neighbours"
    )


def main(args: argparse.Namespace) -> int:
    """Draws it."""
    source = args.graph
    if source == graphs.STDIN or source.lower().endswith(ENDINGS) or Path(source).is_file():
        _print(args, modernized(graphs.read(source).data), {})
        return 0
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    run = client.get(args.graph)
    document = dict((await run.request()).graph)
    states: Mapping[str, str] = await states_of(run) if args.format in DRAWN else {}
    _print(args, document, states)
    return 0


async def states_of(run: Run) -> Mapping[str, str]:
    """The states of its nodes, from the run or its result; empty when neither is available."""
    report = await run.report()
    ended = await end_of(run) if report.closed is not None else None
    if ended is not None:
        return ended.states
    if report.status is None:
        output.note(
            f"no worker answers for the run; its graph is drawn without states: perdure status {run.id}"
        )
        return {}
    return {row.path: row.state for row in report.status.nodes}


def _print(args: argparse.Namespace, document: Value, states: Mapping[str, str]) -> None:
    if args.format == "json":
        output.result(output.json_text(document))
    elif args.format == "yaml":
        output.result(write_yaml(document).rstrip("\n"))
    elif args.format == "mermaid":
        output.result(output.plain(mermaid(document, states)))
    else:
        from perdure.pictures import drawing, picture  # noqa: PLC0415 -- only these formats need it

        drawn = picture.picture(document, args.around)
        name = Path(args.graph).stem
        text = drawing.svg(drawn, states) if args.format == "svg" else drawing.html(drawn, name, states)
        output.result(text)
