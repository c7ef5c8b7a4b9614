"""python -m tests.conformance FILE... [--shell memory|temporal] [--emit OUT.jsonl]"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tests.conformance.cases import DEVIATIONS, Outcome, differences, load_cases


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="graph cases, as JSON")
    parser.add_argument("--shell", choices=("memory", "temporal"), default="memory")
    parser.add_argument("--emit", type=Path, metavar="OUT", help="write what the engine produced")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains TEXT")
    given = parser.parse_args()
    cases = [case for path in given.files for case in load_cases(path) if given.only in case["name"]]
    outcomes = run_durably(cases) if given.shell == "temporal" else run_in_memory(cases)
    if given.emit:
        given.emit.write_text("".join(outcome.line() + "\n" for _, outcome in outcomes))
    return report(outcomes, given.shell)


def run_in_memory(cases: list[dict[str, Any]]) -> list[tuple[dict[str, Any], Outcome]]:
    from tests.conformance.memory import run_case

    return [(case, run_case(case)) for case in cases]


def run_durably(cases: list[dict[str, Any]]) -> list[tuple[dict[str, Any], Outcome]]:
    from tests.conformance.temporal import run_cases, waits

    chosen = [case for case in cases if not waits(case)]
    print(f"{len(cases) - len(chosen)} left out: they need real sleeping, an order of starts, or an abort")
    return list(zip(chosen, run_cases(chosen), strict=True))


def report(outcomes: list[tuple[dict[str, Any], Outcome]], shell: str) -> int:
    listed = {**DEVIATIONS.get("graphs", {}), **DEVIATIONS.get(f"graphs on {shell}", {})}
    passed = failed = deviating = 0
    for case, outcome in outcomes:
        found = differences(case, outcome)
        if not found:
            passed += 1
        elif case["name"] in listed:
            deviating += 1
        else:
            failed += 1
            print(f"FAILED {case['name']}")
            for difference in found:
                print(f"    {difference[:600]}")
    print(f"{deviating} deviating, as listed in deviations.json")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
