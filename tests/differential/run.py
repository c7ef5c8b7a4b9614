"""Runs random cases through GraphAI and through the engine, and shows where they differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.differential.cases import make_case
from tests.differential.compare import compare, started
from tests.differential.deviations import Witness, explanation
from tests.differential.features import features
from tests.differential.oracle import Oracle
from tests.differential.shrink import shrink
from tests.support.recorded import Outcome
from tests.support.recorded_run import run_case

DIFFERENCES = Path(__file__).parent / "differences"
BATCH = 40
RECORDED = (
    "status",
    "stage",
    "thrown",
    "thrownType",
    "all",
    "results",
    "atEnd",
    "errors",
    "states",
    "special",
    "blocked",
)


@dataclass
class Report:
    """What became of the cases: counts, what they contained, and those that differ for no reason."""

    verdicts: Counter[str] = field(default_factory=Counter[str])
    features: Counter[str] = field(default_factory=Counter[str])
    failures: list[tuple[dict[str, Any], list[str]]] = field(
        default_factory=list[tuple[dict[str, Any], list[str]]]
    )


def explore(oracle: Oracle, seeds: Iterable[int]) -> Report:
    """The cases of these seeds, compared."""
    report = Report()
    for batch in _batches(seeds):
        cases = [make_case(seed) for seed in batch]
        oracle.send(cases)
        outcomes = [_outcome(case) for case in cases]
        for case, outcome, answer in zip(cases, outcomes, oracle.receive(cases), strict=True):
            report.features += features(case, answer)
            verdict, different = judge(case, answer, *outcome)
            report.verdicts[verdict] += 1
            if verdict == "DIFFERENT":
                report.failures.append((case, different))
    return report


def judge(
    case: dict[str, Any], answer: dict[str, Any], outcome: Outcome, witness: Witness
) -> tuple[str, list[str]]:
    """The same, on purpose not the same, not comparable, or DIFFERENT; and the differences."""
    if answer["status"] == "oracle-error" or "$mismatch" in str(answer.get("results")):
        return "not comparable: GraphAI differs from itself", []
    different = compare(case, answer, outcome)
    if not different:
        crashed = answer["status"] in ("crash", "hang")
        return (
            f"GraphAI fails ({answer['status']}), we end" if crashed else f"same ({answer['status']})"
        ), []
    if outcome.status.startswith("RAISED"):
        return "DIFFERENT", different
    reason = explanation(case, witness)
    return ("DIFFERENT", different) if reason is None else (f"deviation: {reason.name}", different)


def shrunk(oracle: Oracle, case: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The case made small, with GraphAI's answer recorded in it, and how the engine differs."""

    def verdict(candidate: dict[str, Any]) -> tuple[str, list[str], dict[str, Any]]:
        answer = oracle.ask([candidate])[0]
        return *judge(candidate, answer, *_outcome(candidate)), answer

    def kind(verdict: str, different: list[str]) -> tuple[str, list[str]]:
        return verdict, [difference.split()[0] for difference in different]

    expected = kind(*verdict(case)[:2])
    small = shrink(case, lambda candidate: kind(*verdict(candidate)[:2]) == expected)
    _, different, answer = verdict(small)
    return recorded(small, answer), different


def recorded(case: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """The case with GraphAI's answer in it."""
    kept = {key: answer[key] for key in RECORDED if key in answer}
    return {**case, **kept, "order": started(answer)}


def keep(case: dict[str, Any]) -> Path:
    """Keeps a recorded case among those that every test run replays."""
    DIFFERENCES.mkdir(exist_ok=True)
    path = DIFFERENCES / f"{case['name'].replace(' ', '-')}.json"
    path.write_text(json.dumps(case, indent=1, ensure_ascii=True) + "\n")
    return path


def _outcome(case: dict[str, Any]) -> tuple[Outcome, Witness]:
    """What the engine made of a case, even where that is an exception which it should not raise."""
    witness = Witness()
    try:
        return run_case(case, witness), witness
    except Exception as error:
        return Outcome(case["name"], status=f"RAISED {type(error).__name__}", thrown=str(error)), witness


def _batches(seeds: Iterable[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    for seed in seeds:
        batch.append(seed)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
