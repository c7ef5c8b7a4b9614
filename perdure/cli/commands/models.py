"""The small models on this machine that agents use where no key is configured."""

from __future__ import annotations

import argparse
from urllib.parse import urlsplit

from perdure import local
from perdure.cli import connection, output
from perdure.cli.running.local_models import local_models
from perdure.errors import UsageError
from perdure.settings import Settings
from perdure.version import installation

EXAMPLES = """\
examples:
  perdure models status
  perdure models fetch                     now, instead of when a graph needs them; then starts them
  perdure models stop                      ends the process that serves them
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("what", choices=("status", "fetch", "stop"), help="what to do")


def main(args: argparse.Namespace) -> int:
    """Does it."""
    settings = Settings.from_env()
    if args.what == "status":
        installed = "installed" if local.installed() else f"not installed: {installation('local')}"
        output.result(f"local models: {installed}\nmodel: {settings.local_model}\nhome: {settings.home}")
        return 0
    if args.what == "stop":
        output.note("the models have stopped" if local.stop(settings) else "no models were running")
        return 0
    if not local.installed():
        raise UsageError(f"the local models are not installed: {installation('local')}")
    return connection.run(_fetch(settings))


async def _fetch(settings: Settings) -> int:
    ensure = local_models(settings)
    if ensure is not None:
        place = urlsplit(await ensure())
        host = place.netloc.rpartition("@")[2]
        output.result(f"base URL: {place.scheme}://{host}{place.path}\nAPI key: {place.password or 'none'}")
    return 0
