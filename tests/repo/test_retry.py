"""`./check` tries the few tests that failed again, and what fails twice stays failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

TESTS = """\
from pathlib import Path
import pytest

AGAIN = Path("again")
AGAIN_NOW = AGAIN.exists()

@pytest.fixture(scope="session", autouse=True)
def again():
    yield
    AGAIN.touch()

def test_passes():
    pass

"""
ONCE = "def test_{}():\n    assert AGAIN_NOW\n"
TWICE = "def test_{}():\n    assert False\n"
SKIPPED = "def test_{}():\n    if AGAIN_NOW:\n        pytest.skip('gone')\n    assert False\n"
MISSING = "if not AGAIN_NOW:\n    def test_{}():\n        assert False\n"
TEARDOWN = """\
@pytest.fixture
def broken():
    yield
    assert AGAIN_NOW

def test_{}(broken):
    pass
"""


@pytest.mark.parametrize(
    ("tests", "passes"),
    [
        pytest.param([ONCE], True, id="once"),
        pytest.param([TEARDOWN], True, id="once, in its teardown"),
        pytest.param([ONCE] * 5, True, id="few"),
        pytest.param([ONCE] * 6, False, id="many"),
        pytest.param([TWICE], False, id="twice"),
        pytest.param([ONCE, TWICE], False, id="one of two"),
        pytest.param([SKIPPED], False, id="skipped"),
        pytest.param([ONCE, SKIPPED], False, id="one skipped"),
        pytest.param([ONCE, MISSING], False, id="one missing"),
        pytest.param([], False, id="none"),
    ],
)
def test_what_failed_runs_again(tests: list[str], passes: bool, tmp_path: Path) -> None:
    text = TESTS + "\n".join(test.format(number) for number, test in enumerate(tests))
    (tmp_path / "test_it.py").write_text(text)

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *words]
        env = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)

    first = call("pytest", "-q")
    assert first.returncode == bool(tests)
    again = call("tests.retry")
    assert again.returncode == (0 if passes else 1), again.stdout
    listed = again.stdout.partition("look for a race:")[2].split()
    assert listed == ([f"test_it.py::test_{number}" for number in range(len(tests))] if passes else [])
