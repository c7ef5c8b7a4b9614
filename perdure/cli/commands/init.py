"""Makes a small project: a graph, an agent of its own, a test, and a README with the next commands.

Files that exist are left as they are, and the command says so.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from perdure.cli import output
from perdure.cli.inputs.packaged import STARTER, copy

EXAMPLES = """\
examples:
  perdure init hello            in the new folder hello
  perdure init                  here

then, in the folder:
  perdure run graph.yaml --agents agents.py
  python -m pytest
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("folder", nargs="?", default=".", metavar="DIR", help="the folder (this one)")


def main(args: argparse.Namespace) -> int:
    """Writes the files, and says what to do next."""
    folder = Path(args.folder)
    copy(STARTER, folder)
    step = "" if folder == Path() else f"cd {args.folder} && "
    output.note(f"next: {step}perdure run graph.yaml --agents agents.py")
    return 0
