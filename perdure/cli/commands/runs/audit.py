"""Who started, answered and changed a run, what it was refused, and which hosts, files and secrets it used.

Names only, no values. No worker is needed: the history of the run is replayed here. --json prints a line of
JSON for each entry.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from perdure.cli import connection, output
from perdure.graph.text.shown import line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.client import GraphClient

EXAMPLES = """\
examples:
  perdure audit nightly-3
  perdure audit nightly-3 --json >> audit.jsonl
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("id", metavar="ID", help="the run")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each entry")


def main(args: argparse.Namespace) -> int:
    """Asks and prints."""
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    from perdure.history.audit import audit_of  # noqa: PLC0415 -- loads what replays

    model = await client.get(args.id).history()
    entries = audit_of(model)
    if model.problem is not None:
        output.note(f"this version cannot replay the history; shown is what its events say: {model.problem}")
    if not model.is_whole:
        output.note("the server has removed the beginning of this run")
    if args.json:
        output.result("\n".join(json.dumps({"run": model.id, **entry}) for entry in entries))
    else:
        output.result("\n".join(line(entry_text(entry)) for entry in entries))
    return 0


def entry_text(entry: Mapping[str, Any]) -> str:
    """One entry for people: time, kind, and what is known of it."""
    at = entry["at"]
    when = "" if at is None else f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    facts = {key: _text(value) for key, value in entry.items() if key not in ("kind", "at")}
    shown = "  ".join(f"{key}={text}" for key, text in facts.items() if text)
    return f"{when:19}  {entry['kind']:<8} {shown}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, cast("list[Any]", value)))
    if isinstance(value, dict):
        facts = cast("dict[str, Any]", value)
        return ",".join(f"{key}:{text}" for key, text in facts.items() if text)
    return "" if value is None else str(value)
