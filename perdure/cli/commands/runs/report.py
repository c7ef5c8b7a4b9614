"""How well runs went, in numbers: latency, failures of workers, bytes, tokens, cost of a unit."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from perdure.cli import connection, output

if TYPE_CHECKING:
    from perdure.client import GraphClient

EXAMPLES = """\
examples:
  perdure report nightly-3
  perdure report nightly-1 nightly-2 nightly-3 --unit rows.count
  perdure report nightly-3 --unit rows.count --errors checked.wrong --baseline before.json
  perdure report alarm-17 --event reading.at --decision alarm
  perdure report nightly-3 --html > report.html

A baseline says what the same process did before: {"errors": 40, "units": 1000}
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("ids", metavar="ID", nargs="+", help="runs, open or over")
    parser.add_argument("--unit", metavar="NODE.PROP", help="the number of units that a run processed")
    parser.add_argument("--errors", metavar="NODE.PROP", help="the number of wrong ones among them")
    parser.add_argument("--baseline", metavar="FILE", help="JSON with the errors and units of before")
    parser.add_argument("--event", metavar="NODE.PROP", help="when what a run is about happened")
    parser.add_argument("--decision", metavar="NODE", help="the node whose end is the answer to the event")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--html", action="store_true", help="as a page of HTML that needs nothing else")


def main(args: argparse.Namespace) -> int:
    """Reads the histories, and prints the numbers."""
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    from perdure.cli.reporting import plain, tables, units  # noqa: PLC0415 -- loads what replays
    from perdure.history.measures.report import measures_of  # noqa: PLC0415 -- the same
    from perdure.history.spent import prices_of  # noqa: PLC0415 -- the same

    units.check_options(args)
    before = units.baseline_of(args.baseline) if args.baseline else None
    models = [await client.get(id).history() for id in args.ids]
    measures = measures_of(models, prices_of(client.settings))
    named = units.named_facts(args, models, measures, before)
    if args.html:
        output.result(tables.page(args.ids, measures, named))
    elif args.json:
        output.result(output.json_text(plain.plain(measures, named)))
    else:
        output.result("\n".join(tables.lines(measures, named)))
    return 0
