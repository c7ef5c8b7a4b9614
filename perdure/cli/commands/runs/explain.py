"""Says why a node waits, runs, failed or was skipped, and what to do about it."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from perdure.cli import connection, output
from perdure.cli.progress.progress_table import duration
from perdure.graph.text.shown import line

if TYPE_CHECKING:
    from perdure.client import GraphClient
    from perdure.history.causes import Cause
    from perdure.history.explain import Explanation

MAX_EXPLAIN_LINE_CHARS = 2_000
"""Characters of a line for people: names, messages and questions may be as long as a graph."""

EXAMPLES = """\
examples:
  perdure explain nightly-3 summary
  perdure explain nightly-3 'chapters[3].summarize' --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("id", metavar="ID", help="the run")
    parser.add_argument("node", metavar="NODE", help="the node, or its place in the run")
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Asks and prints."""
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    explanation = await client.get(args.id).explain(args.node)
    if args.json:
        output.result(output.json_text(asdict(explanation)))
    else:
        output.result("\n".join(lines(explanation, datetime.now(UTC))))
    return 0


def lines(explanation: Explanation, now: datetime) -> list[str]:
    """The explanation for people: the cause first, then what the node waits for, down to the last."""
    shown = [f"{explanation.address}: {explanation.state}", *_cause_lines(explanation.cause, now)]
    if explanation.chain:
        shown.append(f"  it waits for {' ← '.join(explanation.chain)}")
    for cause in explanation.also:
        shown += _cause_lines(cause, now)
    return [line(_shortened(each)) for each in shown]


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_EXPLAIN_LINE_CHARS else f"{text[: MAX_EXPLAIN_LINE_CHARS - 1]}…"


def _cause_lines(cause: Cause, now: datetime) -> list[str]:
    passed = None if cause.since is None else max(now.timestamp() - cause.since / 1000, 0.0)
    since = "" if passed is None else f", since {duration(passed)}"
    return [f"  {cause.finding}{since}", *([f"    hint: {cause.hint}"] if cause.hint else [])]
