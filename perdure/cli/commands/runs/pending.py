"""Lists what people are asked by the open runs: the questions that wait for an answer."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from perdure.cli import connection, output
from perdure.cli.progress.progress_table import duration

if TYPE_CHECKING:
    from perdure.client import GraphClient
    from perdure.monitoring.pending import PendingQuestion

EXAMPLES = """\
examples:
  perdure pending
  perdure pending --who anna@example.org   those of Anna, and those for anybody
  perdure pending --json
"""
MAX_SHOWN_RUNS_COUNT = 5
"""Runs that are named of those that no worker replies for."""

OPEN_RUNS = "ExecutionStatus = 'Running'"

PENDING_TITLES = ("run", "path", "who", "since", "question")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("--who", metavar="NAME", help="those that this person or group is asked, or anybody")
    parser.add_argument("--json", action="store_true", help="as JSON, with the forms")


def main(args: argparse.Namespace) -> int:
    """Asks and prints."""
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    unknown: list[str] = []
    questions = [question async for question in client.pending(args.who, unknown=unknown.append)]
    if not questions and not unknown:  # what no worker has begun is not known to ask
        newest = client.list(MAX_SHOWN_RUNS_COUNT, OPEN_RUNS)
        unknown = [run.id async for run in newest if await client.get(run.id).status() is None]
    if args.json:
        from perdure.protocol.records import to_plain  # noqa: PLC0415 -- only for JSON

        rows = [{"run": question.run, **to_plain(question.prompt)} for question in questions]
        output.result(output.json_text(rows))
    elif questions:
        now = datetime.now(UTC).timestamp()
        output.result(output.table(PENDING_TITLES, [_cells(question, now) for question in questions]))
    elif not unknown:
        output.note("no question is open")
    if unknown:
        runs = "a run" if len(unknown) == 1 else f"{len(unknown)} runs"
        more = ", …" if len(unknown) > MAX_SHOWN_RUNS_COUNT else ""
        shown = ", ".join(unknown[:MAX_SHOWN_RUNS_COUNT]) + more
        output.note(f"what {runs} may ask is not known, for no worker replies: {shown}")
        output.note("hint: start `perdure worker`")
    return 0


def _cells(question: PendingQuestion, now: float) -> list[str]:
    prompt = question.prompt
    since = duration(max(0.0, now - prompt.asked / 1000))
    return [question.run, prompt.path, ", ".join(prompt.who) or "anybody", since, prompt.message]
