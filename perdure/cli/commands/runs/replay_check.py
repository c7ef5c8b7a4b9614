"""Replays histories with this version of Perdure, and fails if a run would not continue as it began.

Run it before you deploy another version: with the histories of runs that matter, in CI, or against a server.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from perdure.cli import connection, output
from perdure.cli.inputs import graphs
from perdure.errors import UsageError
from perdure.settings import Settings

if TYPE_CHECKING:
    from perdure.client import GraphClient

EXAMPLES = """\
examples:
  perdure replay-check --query "ExecutionStatus = 'Running'"        the runs of a server
  perdure replay-check nightly-3.json                               a file that this has written:
  temporal workflow show --workflow-id nightly-3 --output json > nightly-3.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("files", metavar="FILE", nargs="*", help="a history as JSON")
    parser.add_argument("--query", metavar="Q", help="runs of the server: a list filter of Temporal")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="at most this many runs (100)")
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Replays; 1 if a history does not fit."""
    if args.limit < 1:
        raise UsageError(f"--limit {args.limit}: give a number of 1 or more")
    if args.files and args.query is None:
        return connection.run(_of_files(args))
    if args.files or args.query is None:
        raise UsageError(
            "name files, or runs of the server with --query", hint="perdure replay-check --query ''"
        )
    return connection.with_client(_of_runs, args)


async def _of_files(args: argparse.Namespace) -> int:
    from perdure.client import codec_for  # noqa: PLC0415 -- loads the SDK
    from perdure.history.replay import problem_in  # noqa: PLC0415 -- loads what replays

    problems, codec = dict[str, str | None](), codec_for(Settings.from_env())
    for path in args.files:
        problems[path] = await problem_in(path, graphs.content(path), codec)
    return _report(args, problems)


async def _of_runs(args: argparse.Namespace, client: GraphClient) -> int:
    runs = [summary.id async for summary in client.list(args.limit, args.query)]
    return _report(args, {id: (await client.get(id).history()).problem for id in runs})


def _report(args: argparse.Namespace, problems: dict[str, str | None]) -> int:
    bad = {name: problem for name, problem in problems.items() if problem is not None}
    if args.json:
        output.result(output.json_text({"replayed": len(problems), "problems": bad}))
    else:
        if bad:
            output.result(output.table(("history", "problem"), [list(item) for item in bad.items()]))
        output.result(f"{len(problems)} replayed, {len(bad)} do not fit this version")
    return 1 if bad else 0
