"""The live page: runs, their graphs as they execute, what waits and why, questions with forms."""

from __future__ import annotations

import argparse
import webbrowser
from typing import TYPE_CHECKING

from perdure.cli import connection, logs, output
from perdure.cli.running import web_server
from perdure.settings import Settings
from perdure.web.access import WEB_PORT_ID

if TYPE_CHECKING:
    from perdure.web.serving import WebServer

EXAMPLES = """\
examples:
  perdure ui                               prints the link, and opens it in a browser
  perdure ui --no-open --port 9000
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that `perdure serve` has too."""
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="A", help="the address to listen on (127.0.0.1)"
    )
    parser.add_argument(
        "--port",
        type=int,
        default=WEB_PORT_ID,
        metavar="N",
        help=f"the port ({WEB_PORT_ID}); 0: any free one",
    )
    parser.add_argument("--expose", action="store_true", help="allow a --host that other machines can reach")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    arguments(parser)
    parser.add_argument("--no-open", action="store_true", help="do not open a browser")


def main(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C."""
    logs.configure(verbose=args.verbose)
    host = web_server.checked_host(args.host, exposed=args.expose)
    settings = Settings.from_env()

    def ready(web: WebServer) -> None:
        output.result(f"{web.link}\nCtrl-C stops")
        if not args.no_open:
            webbrowser.open(web.link)

    serving = web_server.serve(
        settings, connection.begin(settings), host=host, port=args.port, page=True, ready=ready
    )
    return connection.run(serving)
