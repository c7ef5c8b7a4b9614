"""The benchmarks: each runs in its tiny size, and the document shows the results that are kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import report
from bench.__main__ import COMPARISONS
from bench.harness import Claim, Comparison, Curve, Series
from bench.processes import ROOT, environment


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("bench") / "results.json"
    words = [sys.executable, "-m", "bench", "--quick", "--json", str(file)]
    ended = subprocess.run(words, env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert ended.returncode == 0, ended.stderr
    return json.loads(file.read_text())["comparisons"]


@pytest.mark.parametrize("name", COMPARISONS)
def test_quick(name: str, results: dict[str, Any]) -> None:
    compared = results[name]
    broken = {each["name"]: each["error"] for each in compared["series"] if each["error"]}
    missing = {each["name"] for each in compared["series"] if each["missing"]}
    assert {side: error for side, error in broken.items() if side not in missing} == {}
    assert not [note for note in compared["notes"] if note.startswith("stopped")]
    measured = [each for each in compared["series"] if each["taken"].get("seconds")]
    # what did not grow at these sizes, such as memory, has no curve
    assert measured or missing or any(each["points"] for each in compared["curves"])


def test_the_document_shows_the_results() -> None:
    text = report.DOCUMENT.read_text()
    assert report.filled(text, json.loads(report.RESULTS.read_text())) == text
    assert sorted(report.places(text)) == sorted([*COMPARISONS, "machine", "summary"])


def test_plots_are_of_comparisons() -> None:
    assert {path.stem for path in report.PLOTS.glob("*")} <= set(COMPARISONS)


def side(name: str, *seconds: float) -> Series:
    return Series(name=name, taken={"seconds": list(seconds)})


def test_ratio_of_medians() -> None:
    compared = Comparison(name="c", title="C", unit="node", size=10)
    compared.series = [side("a", 2.0, 9.0, 3.0), side("b", 1.0, 3.0, 2.0), Series(name="c", error="gone")]
    compared.compare("a", "b", 1.2)
    compared.compare("a", "c")
    expected = Claim(what="wall time, a / b", value=1.5, low=1.5, high=3.0, bound=1.2)
    assert (compared.claims, expected.met) == ([expected], False)


@pytest.mark.parametrize(
    ("points", "slope"),
    [
        ([(1, 7), (10, 10), (100, 100), (1000, 1000)], 1.0),
        ([(10, 5), (100, 500)], 2.0),
        ([(10, 5)], None),
        ([], None),
    ],
)
def test_slope(points: list[tuple[float, float]], slope: float | None) -> None:
    actual = Curve(name="c", x="nodes", y="seconds", points=points).slope
    assert actual == (None if slope is None else pytest.approx(slope))


def test_unknown_name() -> None:
    words = [sys.executable, "-m", "bench", "chian"]
    ended = subprocess.run(words, env=environment(), cwd=Path(ROOT), capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no comparison 'chian'" in ended.stderr
