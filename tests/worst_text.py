"""python -m tests.worst_text [NAME ...]: how long every function and agent takes for the worst text.

64 KB must take less than 50 ms of processor time, 1 MB less than a second. That depends on the machine, so it
is a command; that the time grows as the text does, and no faster, is what pytest looks at.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.support import worst_agents, worst_functions

SIZES = {"64 KB": (65_536, 0.050), "1 MB": (1_048_576, 1.0)}
"""Characters, and the seconds of processor time that they may take."""

TRIES = 3

Works = Callable[[int], Sequence[Callable[[], Any]]]


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.worst_text", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="functions and agents; all of them without")
    args = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="perdure-worst-") as folder:
        every = dict(_works(Path(folder)))
        unknown = [name for name in args.names if name not in every]
        if unknown:
            parser.error(f"there is no {', '.join(unknown)}")
        return _print({name: every[name] for name in args.names or every})


def _works(home: Path) -> Iterator[tuple[str, Works]]:
    for step, values in worst_functions.WORST.items():
        yield (
            step,
            lambda size, step=step, values=values: [
                partial(worst_functions.read, step, value) for value in values(size)
            ],
        )
    for name, cases in worst_agents.WORST.items():
        yield (
            name,
            lambda size, name=name, cases=cases: [
                worst_agents.called(name, case, home) for case in cases(size)
            ],
        )
    for name, parts in worst_agents.PARTS.items():
        yield name, lambda size, parts=parts: [worst_agents.refusing(work) for work in parts(size)]


def _print(every: Mapping[str, Works]) -> int:
    late = 0
    print(f"{'seconds of processor time':34}" + "".join(f"{size:>10}" for size in SIZES))
    for name, works in every.items():
        cells: list[str] = []
        for length, bar in SIZES.values():
            seconds = max(map(_seconds, works(length)))
            late += seconds > bar
            cells.append(f"{seconds:9.4f}{'!' if seconds > bar else ' '}")
        print(f"{name:34.34}{''.join(cells)}", flush=True)
    bars = ", ".join(f"{name} {bar:g} s" for name, (_, bar) in SIZES.items())
    print(f"{late} over their bar ({bars})")
    return 1 if late else 0


def _seconds(work: Callable[[], Any]) -> float:
    """The best of a few tries."""
    work()  # what is loaded or compiled once
    gc.collect()
    best = float("inf")
    for _ in range(TRIES):
        began = time.thread_time()
        work()
        best = min(best, time.thread_time() - began)
    return best


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
