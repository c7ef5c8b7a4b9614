"""Prints for each kind of payload what became of its mutations; exits with 1 where one was misread."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.fuzz.readers import KINDS
from tests.fuzz.tally import tally


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, action="append", help="may be repeated; all without it")
    parser.add_argument("--count", type=int, default=10_000, help="mutations of each kind")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(words)
    code = 0
    for name in args.kind or KINDS:
        began = time.monotonic()
        result = tally(name, args.count, args.seed)
        seconds = time.monotonic() - began
        print(
            f"{name:9} {args.count:,}: {result.read:,} read, {result.typed:,} refused, "
            f"{result.untyped:,} untyped, {result.impure:,} impure, {seconds:.1f} s, "
            f"the longest {result.longest_s:.2f} s of the processor",
            flush=True,
        )
        for finding, payload in result.shown.items():
            print(f"    {finding}\n        {payload}")
        code = code if result.is_clean else 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
