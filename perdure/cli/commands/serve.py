"""The HTTP API without the page: start, list, get, result, events, answer, cancel."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from perdure.cli import connection, logs, output
from perdure.cli.commands import ui
from perdure.cli.inputs import graphs
from perdure.cli.running import web_server
from perdure.settings import Settings

if TYPE_CHECKING:
    from perdure.web.serving import WebServer

EXAMPLES = """\
examples:
  perdure serve
  curl -H "Authorization: Bearer $(cat ~/.local/share/perdure/ui.token)" http://127.0.0.1:8321/api/v1/runs
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    ui.arguments(parser)
    graphs.agents_option(parser)


def main(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C."""
    logs.configure(verbose=args.verbose)
    host = web_server.checked_host(args.host, exposed=args.expose)
    settings = Settings.from_env()
    agents = graphs.agents_of(args.agents).by_name

    def ready(web: WebServer) -> None:
        token = f"token  in {web.token_file}, for Authorization: Bearer"
        output.result(f"API    {web.url}/api/v1\n{token}\nCtrl-C stops")

    serving = web_server.serve(
        settings,
        connection.begin(settings),
        host=host,
        port=args.port,
        page=False,
        agents=agents,
        ready=ready,
    )
    return connection.run(serving)
