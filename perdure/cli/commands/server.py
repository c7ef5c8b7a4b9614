"""The Temporal server that Perdure starts by itself where none is configured."""

from __future__ import annotations

import argparse

from perdure import server
from perdure.cli import output
from perdure.settings import Settings

EXAMPLES = """\
examples:
  perdure server status                    where it is, and its web pages
  perdure server stop                      runs stay as they are and continue after the next start
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("what", choices=("status", "stop"), help="what to do")
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Shows the state of the server, or stops it; starts none."""
    settings = Settings.from_env()
    if args.what == "stop":
        output.note("the server has stopped" if server.stop(settings) else "no server was running")
        return 0
    embedded = server.status(settings)
    if args.json:
        facts = {"address": embedded.address, "ui": embedded.ui_url, "pid": embedded.pid} if embedded else {}
        output.result(
            output.json_text({"running": embedded is not None, **facts, "home": str(settings.home)})
        )
    elif embedded is None:
        output.result(f"not running; its data is in {settings.home}")
    else:
        output.result("\n".join(lines(embedded)))
    return 0


def lines(embedded: server.EmbeddedServer) -> list[str]:
    """Where everything is."""
    web = [f"web pages  {embedded.ui_url}"] if embedded.ui_url else []
    return [
        f"address    {embedded.address}",
        *web,
        f"data       {embedded.database}",
        f"process    {embedded.pid}",
    ]
