"""Lists what people are asked by the open runs: the questions that wait for an answer."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from perdure.cli import connection, output
from perdure.cli.progress.progress_table import duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.client import GraphClient
    from perdure.history.notices import QuestionNotice
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

PENDING_TITLES = ("run", "path", "who", "since", "notice", "question")
MAX_NOTICE_CELL_CHARS = 60
"""Characters of what became of the notices of a question."""

_WORST_NOTICES = (
    ("failed", ("failed", "abort")),
    ("repeated", ("backoff", "lost")),
    ("sent", ("completed",)),
)


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
    notices = {id: await client.get(id).notices() for id in {question.run for question in questions}}
    if args.json:
        from perdure.protocol.records import to_plain  # noqa: PLC0415 -- only for JSON

        rows = [
            {
                "run": question.run,
                **to_plain(question.prompt),
                "notices": [asdict(notice) for notice in _of(question, notices[question.run])],
            }
            for question in questions
        ]
        output.result(output.json_text(rows))
    elif questions:
        now = datetime.now(UTC).timestamp()
        rows = [_cells(question, notices[question.run], now) for question in questions]
        output.result(_table(rows))
    elif not unknown:
        output.note("no question is open")
    if unknown:
        runs = "a run" if len(unknown) == 1 else f"{len(unknown)} runs"
        more = ", …" if len(unknown) > MAX_SHOWN_RUNS_COUNT else ""
        shown = ", ".join(unknown[:MAX_SHOWN_RUNS_COUNT]) + more
        output.note(f"what {runs} may ask is not known, for no worker replies: {shown}")
        output.note("hint: start `perdure worker`")
    return 0


def _table(rows: list[list[str]]) -> str:
    """The questions, without the column of notices if there are none."""
    numbers = [
        number
        for number, title in enumerate(PENDING_TITLES)
        if title != "notice" or any(row[number] for row in rows)
    ]
    titles, *shown = ([row[number] for number in numbers] for row in (PENDING_TITLES, *rows))
    return output.table(titles, shown)


def _of(question: PendingQuestion, notices: Iterable[QuestionNotice]) -> list[QuestionNotice]:
    return [notice for notice in notices if notice.is_of([question.prompt.path])]


def _cells(question: PendingQuestion, notices: Iterable[QuestionNotice], now: float) -> list[str]:
    prompt = question.prompt
    since = duration(max(0.0, now - prompt.asked / 1000))
    summary = notice_summary(_of(question, notices))
    return [question.run, prompt.path, ", ".join(prompt.who) or "anybody", since, summary, prompt.message]


def notice_summary(notices: Iterable[QuestionNotice]) -> str:
    """What became of the notices of a question: the worst of it, with the reason."""
    deliveries = [delivery for notice in notices for delivery in notice.deliveries]
    for words, phases in _WORST_NOTICES:
        for delivery in deliveries:
            if str(delivery.phase) in phases:
                reason = delivery.attempt.failure
                return f"{words}: {reason}"[:MAX_NOTICE_CELL_CHARS] if reason and words != "sent" else words
    return "on its way" if deliveries else ""
