"""Waits for the end of a run and prints its results, as `perdure run` does.

With the embedded server, a run that no worker serves any more continues in this command.
"""

from __future__ import annotations

import argparse

from perdure.cli import connection, logs
from perdure.cli.inputs import graphs
from perdure.cli.running import outcome
from perdure.settings import Settings

EXAMPLES = """\
examples:
  perdure result nightly-3
  perdure result nightly-3 --all                 of all nodes
  perdure result nightly-3 answer                one node
  perdure result nightly-3 'map[1].deep.text'    part of a result
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("id", metavar="ID", help="the run")
    parser.add_argument("path", nargs="?", metavar="PATH", help="a node, or a place in its result")
    outcome.configure(parser)
    graphs.agents_option(parser)
    graphs.filters_option(parser)


def main(args: argparse.Namespace) -> int:
    """Waits and reports."""
    logs.configure(verbose=args.verbose)
    settings = Settings.from_env()
    agents = graphs.agents_of(args.agents, args.filters)
    server_start = connection.begin(settings)
    from perdure.cli.running import run_session  # noqa: PLC0415 -- loads the SDK while the server starts

    return connection.run(
        run_session.result(args.id, agents, outcome.output_options(args), settings, server_start)
    )
