"""Opens the page of a run in a browser, or prints its address. If no page is served, it serves one."""

from __future__ import annotations

import argparse
import webbrowser
from typing import TYPE_CHECKING
from urllib.parse import quote

from perdure.cli import connection, logs, output
from perdure.cli.running import web_server
from perdure.errors import UsageError
from perdure.settings import Settings
from perdure.web.access import page_link, served_page, token_of

if TYPE_CHECKING:
    from perdure.web.serving import WebServer

EXAMPLES = """\
examples:
  perdure open nightly-3
  perdure open nightly-3 --print           prints the address, with the token of the page
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("id", metavar="ID", help="the run")
    parser.add_argument("--print", action="store_true", dest="prints", help="print the address, open nothing")


def main(args: argparse.Namespace) -> int:
    """Opens it. Serves the page until Ctrl-C where no other process does."""
    settings = Settings.from_env()
    link = _link(settings, args.id)
    if link is None and args.prints:
        raise UsageError("the page is not being served", hint="perdure ui, or perdure dev")
    if link is None:
        return _serve(settings, args)
    output.result(link)
    if not args.prints:
        webbrowser.open(link)
    return 0


def _link(settings: Settings, run: str) -> str | None:
    """Where the page of the run is; None if no page is served here, and none is configured."""
    if settings.ui_url:  # it has a token of its own, which each browser has been shown once
        return f"{settings.ui_url}/#/run/{quote(run, safe='')}"
    url = served_page(settings.home)
    return None if url is None else page_link(url, token_of(settings.home), run)


def _serve(settings: Settings, args: argparse.Namespace) -> int:
    logs.configure(verbose=args.verbose)

    def ready(web: WebServer) -> None:
        link = page_link(web.url, web.token, args.id)
        output.result(f"{link}\nCtrl-C stops")
        webbrowser.open(link)

    serving = web_server.serve(
        settings,
        connection.begin(settings),
        host="127.0.0.1",
        port=None,
        page=True,
        ready=ready,
    )
    return connection.run(serving)
