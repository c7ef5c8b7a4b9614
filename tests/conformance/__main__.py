"""python -m tests.conformance FILE... [--shell memory|temporal] [--emit OUT.jsonl]"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TextIO

from tests.conformance import memory
from tests.conformance.cases import DEVIATIONS, differences, load_cases


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="graph cases, as JSON")
    parser.add_argument("--shell", choices=("memory",), default="memory")
    parser.add_argument("--emit", type=Path, metavar="OUT", help="write what the engine produced")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains TEXT")
    given = parser.parse_args()
    emit = given.emit.open("w") if given.emit else None
    passed = failed = deviating = 0
    for path in given.files:
        for case in load_cases(path):
            if given.only not in case["name"]:
                continue
            found = _run(case, emit)
            if not found:
                passed += 1
            elif case["name"] in DEVIATIONS.get("graphs", {}):
                deviating += 1
            else:
                failed += 1
                print(f"FAILED {case['name']}")
                for difference in found:
                    print(f"    {difference[:600]}")
    print(f"{deviating} deviating, as listed in deviations.json")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def _run(case: dict, emit: TextIO | None) -> list[str]:
    outcome = memory.run_case(case)
    if emit is not None:
        emit.write(outcome.line() + "\n")
    return differences(case, outcome)


if __name__ == "__main__":
    sys.exit(main())
