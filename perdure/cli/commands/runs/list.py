"""Lists runs: those that are open, then those that have ended last."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from perdure.cli import connection, output
from perdure.cli.progress.progress_table import duration
from perdure.cli.progress.spent import cost_text
from perdure.errors import UsageError

if TYPE_CHECKING:
    from perdure.client import GraphClient
    from perdure.engine.granting.prices import Spent
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
    spent = await _spent(client, runs)
    if args.json:
        output.result(output.json_text([plain(run, used) for run, used in zip(runs, spent, strict=True)]))
    elif runs:
        output.result(_table(runs, spent))
    else:
        output.note("there are no runs")
    return 0


async def _spent(client: GraphClient, runs: Sequence[RunSummary]) -> list[Spent | None]:
    """What each run has used: None for all of them without a table of prices."""
    if not client.settings.prices:
        return [None] * len(runs)
    from perdure.history.costs import RunCosts  # noqa: PLC0415 -- loads what replays
    from perdure.history.spent import prices_of  # noqa: PLC0415 -- as above

    costs = RunCosts(client.temporal, prices_of(client.settings))
    return [await costs.of(run) for run in runs]


def plain(run: RunSummary, spent: Spent | None) -> dict[str, Any]:
    """One run for programs."""
    return run.plain() if spent is None else {**run.plain(), "spent": asdict(spent)}


def _table(runs: Sequence[RunSummary], spent: Sequence[Spent | None]) -> str:
    now = datetime.now(UTC)
    rows = [cells(run, now) for run in runs]
    if not any(spent):
        return output.table(COLUMN_TITLES, rows)
    used = ["" if cost is None else cost_text(0, **asdict(cost)) for cost in spent]
    return output.table(
        (*COLUMN_TITLES, "used"), [[*row, text] for row, text in zip(rows, used, strict=True)]
    )


def cells(run: RunSummary, now: datetime) -> list[str]:
    """One run as a line of the table."""
    started = run.started.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    took = duration(((run.closed or now) - run.started).total_seconds())
    return [run.id, run.state, run.name, started, took]
