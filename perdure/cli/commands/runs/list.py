"""Lists runs: those that are open, then those that have ended last."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from perdure.cli import connection, output
from perdure.cli.progress.progress_table import duration
from perdure.errors import UsageError

if TYPE_CHECKING:
    from perdure.client import GraphClient
    from perdure.monitoring.report import RunSummary

EXAMPLES = """\
examples:
  perdure list
  perdure list --limit 100 --json
"""
COLUMN_TITLES = ("id", "state", "graph", "started", "took")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most this many (20)")
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Asks and prints."""
    if args.limit < 1:
        raise UsageError(f"--limit {args.limit}: give a number of 1 or more")
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    runs = [run async for run in client.list(args.limit)]
    if args.json:
        output.result(output.json_text([run.plain() for run in runs]))
    elif runs:
        output.result(output.table(COLUMN_TITLES, [cells(run, datetime.now(UTC)) for run in runs]))
    else:
        output.note("there are no runs")
    return 0


def cells(run: RunSummary, now: datetime) -> list[str]:
    """One run as a line of the table."""
    started = run.started.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    took = duration(((run.closed or now) - run.started).total_seconds())
    return [run.id, run.state, run.name, started, took]
