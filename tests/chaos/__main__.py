"""The command line of the chaos suite: see tests.chaos."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perdure.cli import logs
from tests.chaos import COMMANDS_ONLY, SCENARIOS, scenario


def main(words: Sequence[str]) -> int:
    """Runs one scenario, prints its table; 0 where all bars are met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    commands = parser.add_subparsers(dest="scenario", required=True)
    for name in (*SCENARIOS, *COMMANDS_ONLY):
        module = scenario(name)
        command = commands.add_parser(name, help=module.__doc__, description=module.run.__doc__)
        for option in dataclasses.fields(module.Options):
            kind: Any = option.default.__class__
            if kind is bool:
                command.add_argument(f"--{option.name}", action="store_true")
            else:
                command.add_argument(f"--{option.name}", type=kind, default=option.default)
        command.add_argument("--home", type=Path, help="keep everything in this new folder")
    arguments = vars(parser.parse_args(words))
    logs.configure(verbose=False)
    logs.quiet_core()
    module, home = scenario(arguments.pop("scenario")), arguments.pop("home")
    options = module.Options(**arguments)
    if home is not None:
        return asyncio.run(_run(module, options, home.absolute()))
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(module, options, Path(folder) / "home"))


async def _run(module: Any, options: Any, home: Path) -> int:
    verdict = await module.run(options, home)
    print(verdict.table())
    return 0 if verdict.met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
