"""The examples that come with Perdure: lists them, shows one, or copies one to a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from perdure.cli import output
from perdure.cli.inputs.packaged import EXAMPLES as FOLDER
from perdure.cli.inputs.packaged import copy
from perdure.errors import UsageError
from perdure.graph.wording import suggestion

EXAMPLES = """\
examples:
  perdure examples                          all of them
  perdure examples rag                      what it is about, with its results
  perdure examples rag --to .               copies it to ./rag
  perdure run rag/graph.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="one of them")
    parser.add_argument("--to", metavar="DIR", help="the folder that gets a copy, as DIR/NAME")


def main(args: argparse.Namespace) -> int:
    """Lists, shows or copies."""
    folders = {
        folder.name: folder for folder in sorted(FOLDER.iterdir()) if (folder / "graph.yaml").is_file()
    }
    if args.name is None:
        if args.to is not None:
            raise UsageError("--to goes with the name of an example", hint=suggestion("", folders))
        output.result(output.table(("example", "about"), [[name, _title(folders[name])] for name in folders]))
        output.note("perdure examples NAME --to . copies one")
        return 0
    if args.name not in folders:
        raise UsageError(f"there is no example {args.name!r}", hint=suggestion(args.name, folders))
    if args.to is None:
        output.result((folders[args.name] / "README.md").read_text(encoding="utf-8").rstrip("\n"))
        return 0
    target = Path(args.to) / args.name
    copy(folders[args.name], target)
    own = f" --agents {target / 'agents.py'}" if (target / "agents.py").exists() else ""
    output.note(f"next: perdure run {target / 'graph.yaml'}{own}")
    return 0


def _title(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
