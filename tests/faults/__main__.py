"""python -m tests.faults [NAME ...] [--short]: faults of server, disk and network, with figures."""

from __future__ import annotations

import argparse
import sys
import time

from perdure.cli import logs
from tests.faults.scenarios import SCENARIOS, lacking, play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(SCENARIOS)}")
    parser.add_argument("--short", action="store_true", help="as short as in pytest")
    args = parser.parse_args()
    unknown = set(args.names) - set(SCENARIOS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    logs.configure(verbose=False)
    logs.quiet_core()
    missed = 0
    for name in args.names or SCENARIOS:
        reason = lacking(name)
        if reason:
            print(f"{name}: skipped: {reason}", flush=True)
            continue
        began = time.monotonic()
        figures = play(name, short=args.short)
        missed += len(figures.missed)
        print(f"{name}: {'MISSED' if figures.missed else 'held'}, {time.monotonic() - began:.0f} s")
        print("\n".join(figures.lines()), flush=True)
    return 1 if missed else 0


sys.exit(main())
