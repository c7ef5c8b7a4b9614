"""python -m tests.conformance FILE... [--shell memory|temporal] [--emit OUT.jsonl]

On Temporal, the read model of each run is compared with the run too: states, results, errors, and the order
in which its nodes came to their states. With --events N every call is an activity of its own, and the runs
continue as new after about N events.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tests.support.recorded import DEVIATIONS, Outcome, differences, holds_graphs, load_cases

Row = tuple[str, list[str], bool]
"""The name of a case, what differs from its recording, and whether that is listed."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="recorded cases, as JSON")
    parser.add_argument("--shell", choices=("memory", "temporal"), default="memory")
    parser.add_argument("--emit", type=Path, metavar="OUT", help="write what the engine produced")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains TEXT")
    parser.add_argument("--events", type=int, metavar="N", help="on Temporal, continue as new after about N")
    given = parser.parse_args()
    graphs = [path for path in given.files if holds_graphs(path)]
    cases = [case for path in graphs for case in load_cases(path) if given.only in case["name"]]
    durable = given.shell == "temporal"
    outcomes = run_durably(cases, given.events) if durable else run_in_memory(cases)
    if given.emit:
        given.emit.write_text("".join(outcome.line() + "\n" for _, outcome in outcomes))
    listed = {**DEVIATIONS["graphs"], **DEVIATIONS.get(f"graphs on {given.shell}", {})}
    rows = [(case["name"], differences(case, outcome), case["name"] in listed) for case, outcome in outcomes]
    rows += [(f"read model of {each.name}", each.log, False) for _, each in outcomes if durable]
    for path in given.files:
        if path not in graphs:
            rows += [row for row in run_units(path) if given.only in row[0]]
    return report(rows)


def run_units(path: Path) -> list[Row]:
    from tests.conformance.units import is_listed, unit_differences

    data = json.loads(path.read_text(encoding="utf-8"))
    return [
        (name, [difference] if difference else [], is_listed(name))
        for name, difference in unit_differences(data, path.parent.name)
    ]


def run_in_memory(cases: list[dict[str, Any]]) -> list[tuple[dict[str, Any], Outcome]]:
    from tests.support.recorded_run import run_case

    return [(case, run_case(case)) for case in cases]


def run_durably(cases: list[dict[str, Any]], events: int | None) -> list[tuple[dict[str, Any], Outcome]]:
    from tests.conformance.temporal import run_cases, waits

    chosen = [case for case in cases if not waits(case)]
    print(f"{len(cases) - len(chosen)} left out: they need real sleeping, an order of starts, or an abort")
    outcomes = run_cases(chosen, events)
    print(f"{sum(each.executions > 1 for each in outcomes)} of {len(outcomes)} runs have continued as new")
    return list(zip(chosen, outcomes, strict=True))


def report(rows: list[Row]) -> int:
    passed = failed = deviating = 0
    for name, different, listed in rows:
        passed += not different
        deviating += bool(different) and listed
        if different and not listed:
            failed += 1
            print(f"FAILED {name}")
            for difference in different:
                print(f"    {difference[:600]}")
    print(f"{deviating} deviating, as listed in deviations.json")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
