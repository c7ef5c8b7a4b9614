"""python -m tests.differential [--count N] [--seed N] [--jobs N] [--show N] [--features] [--keep]"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.differential.oracle import Oracle, oracle_folder
from tests.differential.run import Report, explore, keep, shrunk


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000, help="how many graphs")
    parser.add_argument("--seed", type=int, default=1, help="the first seed; each graph takes the next one")
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with a GraphAI of its own")
    parser.add_argument("--show", type=int, default=5, help="how many failures to make small and print")
    parser.add_argument("--features", action="store_true", help="print what the graphs contain")
    parser.add_argument("--keep", action="store_true", help="keep shown failures as regression cases")
    arguments = parser.parse_args()
    folder = oracle_folder()
    if folder is None:
        print("GraphAI is not here: set PERDURE_ORACLE to the folder of the oracle, with npm install done")
        return 2
    seeds = range(arguments.seed, arguments.seed + arguments.count)
    parts = [seeds[job :: arguments.jobs] for job in range(arguments.jobs)]
    if arguments.jobs == 1:
        reports = [_explore(folder, seeds)]
    else:
        with ProcessPoolExecutor(arguments.jobs) as pool:
            reports = list(pool.map(_explore, [folder] * arguments.jobs, parts))
    _show_counts("", sum((report.verdicts for report in reports), Counter()))
    if arguments.features:
        _show_counts("in the graphs:", sum((report.features for report in reports), Counter()))
    failures = [failure for report in reports for failure in report.failures]
    _show_failures(folder, [case for case, _ in failures], arguments.show, arguments.keep)
    return 1 if failures else 0


def _explore(folder: Path, seeds: range) -> Report:
    oracle = Oracle(folder)
    try:
        return explore(oracle, seeds)
    finally:
        oracle.close()


def _show_counts(title: str, counts: Counter[str]) -> None:
    print(title)
    for name, count in sorted(counts.items()):
        print(f"{count:8} {name}")


def _show_failures(folder: Path, cases: list[dict], number: int, keeping: bool) -> None:
    oracle = Oracle(folder)
    for case in cases[:number]:
        small, differences = shrunk(oracle, case)
        print(f"\n{case['name']}")
        print(
            json.dumps({key: small[key] for key in ("graph", "injects", "options", "mocks") if key in small})
        )
        for difference in differences:
            print(f"    {difference[:500]}")
        if keeping:
            print(f"    kept in {keep(small)}")
    oracle.close()


if __name__ == "__main__":
    sys.exit(main())
