"""python -m tests.poison [NAME ...] [--kind KIND]: what the corpus does to a worker, a row for each case."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from perdure.cli import logs
from tests.poison.case import Case
from tests.poison.corpus import CORPUS, SHORT
from tests.poison.play import END_S, play
from tests.poison.world import world
from tests.support.cli import lacks_program


def main() -> int:
    kinds = sorted({case.kind for case in CORPUS.values()})
    parser = argparse.ArgumentParser(prog="python -m tests.poison", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases; all of them without")
    parser.add_argument("--kind", action="append", choices=kinds, help="all cases of this kind")
    parser.add_argument("--short", action="store_true", help="those that pytest plays")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--seconds", type=float, default=END_S, help="in which a run must end; %(default)g")
    parser.add_argument(
        "--slots", type=int, default=100, help="calls that the worker makes at a time; %(default)s"
    )
    given = parser.parse_args()
    names = [*given.names, *(SHORT if given.short else ())]
    unknown = [name for name in names if name not in CORPUS]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; --list shows the cases")
    chosen = [
        case
        for case in CORPUS.values()
        if case.name in names or case.kind in (given.kind or ()) or not (names or given.kind)
    ]
    if given.list:
        print("\n".join(f"{case.kind:8}  {case.name}" for case in chosen))
        return 0
    reason = lacks_program()
    if reason:
        parser.error(reason)
    logs.configure(verbose=False)
    logs.quiet_core()
    return asyncio.run(_play(chosen, given.seconds, given.slots))


async def _play(cases: Sequence[Case], seconds: float, slots: int) -> int:
    missed = 0
    with tempfile.TemporaryDirectory(prefix="perdure-poison-", ignore_cleanup_errors=True) as folder:
        async with world(Path(folder), slots) as here:
            print(f"{len(cases)} cases; a run next door alone: {here.alone:.2f} s", flush=True)
            for case in cases:
                verdict = await play(here, case, seconds)
                print(verdict.line(), flush=True)
                if verdict.missed:
                    missed += 1
                    await here.fresh()
    print(f"{len(cases) - missed} held, {missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
