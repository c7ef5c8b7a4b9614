"""The HTTP API without the page: start, list, get, result, events, answer, cancel."""

from __future__ import annotations

import argparse

from perdure.cli import connection, logs, output
from perdure.cli.commands import ui
from perdure.cli.running import web_server
from perdure.settings import Settings

EXAMPLES = """\
examples:
  perdure serve
  curl -H "Authorization: Bearer $(cat ~/.local/share/perdure/ui.token)" http://127.0.0.1:8321/api/v1/runs
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    ui.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C."""
    logs.configure(verbose=args.verbose)
    host = web_server.checked_host(args.host, exposed=args.expose)
    settings = Settings.from_env()

    def ready(url: str, link: str) -> None:
        del link
        token = settings.home / "ui.token"
        output.result(f"API    {url}/api/v1\ntoken  in {token}, for Authorization: Bearer\nCtrl-C stops")

    serving = web_server.serve(
        settings, connection.begin(settings), host=host, port=args.port, page=False, ready=ready
    )
    return connection.run(serving)
