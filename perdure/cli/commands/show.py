"""Draws a graph, or the graph of a run with the states of its nodes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.cli import connection, logs, output
from perdure.cli.commands.status import end_of
from perdure.cli.inputs import graphs
from perdure.graph.check import modernized
from perdure.graph.mermaid import mermaid
from perdure.graph.text.yaml_write import write_yaml
from perdure.graph.values import Value
from perdure.settings import Settings

if TYPE_CHECKING:
    from perdure.runs import Run

EXAMPLES = """\
examples:
  perdure show graph.yaml                  Mermaid text: paste it into Markdown, or mermaid.live
  perdure show nightly-3                   the graph of a run; its states are colours
  perdure show nightly-3 --format yaml     the text of the graph that the run has
"""
ENDINGS = (".yaml", ".yml", ".json")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("graph", metavar="GRAPH|ID", help="a file, - for stdin, or the id of a run")
    parser.add_argument("--format", choices=("mermaid", "json", "yaml"), default="mermaid", help="(mermaid)")


def main(args: argparse.Namespace) -> int:
    """Draws it."""
    source = args.graph
    if source == graphs.STDIN or source.lower().endswith(ENDINGS) or Path(source).is_file():
        _print(modernized(graphs.read(source).data), args.format)
        return 0
    logs.configure(verbose=args.verbose)
    settings = Settings.from_env()
    return connection.run(_main(args, settings, connection.begin(settings)))


async def _main(args: argparse.Namespace, settings: Settings, opening: connection.ServerStart | None) -> int:
    async with connection.connected(settings, opening) as client:
        run = client.get(args.graph)
        document = dict((await run.request()).graph)
        states = await states_of(run) if args.format == "mermaid" else None
    _print(document, args.format, states)
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


def _print(document: Value, form: str, states: Mapping[str, str] | None = None) -> None:
    if form == "json":
        output.result(output.json_text(document))
    elif form == "yaml":
        output.result(write_yaml(document).rstrip("\n"))
    else:
        output.result(output.plain(mermaid(document, states)))
