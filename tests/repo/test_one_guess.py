"""Who wants to change something finds it at the first guess: in one file, of a name that says so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support import ROOT

PLACES = [
    ("what fetchAgent returns", "agents/shipped/fetch.py", "vanilla_fetch"),
    ("the heartbeat", "activities/heartbeat.py", "STREAM_BEAT_INTERVAL_S"),
    ("how many calls one workflow task sends", "workflows/task_budget.py", "MAX_TASK_CALL_COUNT"),
    ("how many calls are in flight", "workflows/activity_dispatcher.py", "MAX_PENDING_COUNT"),
    ("when a run continues as new", "workflows/continuation.py", "Continuation"),
    ("what a status says of a node", "protocol/progress.py", "RunProgress"),
    ("the retry of a model's 429", "agents/llm/failures.py", "explain"),
    ("what happens if an agent fails or times out", "engine/outcomes.py", "failure_of"),
    ("which states a node can have", "engine/state.py", "TRANSITIONS"),
    ("a function for references", "graph/functions.py", "bind"),
    ("the checks of `perdure doctor`", "cli/doctor/framework.py", "Finding"),
    ("live progress on a terminal", "cli/progress/progress_table.py", "ProgressTable"),
    ("what a person may answer", "engine/human_tasks.py", "HumanPrompt"),
    ("which hosts an agent may reach", "net/egress.py", "Guard"),
    ("which files an agent may read", "net/confined_files.py", "locate"),
    ("large values in the store", "storage/claim_check.py", "ClaimCheck"),
    ("which values are removed from the store", "garbage.py", "find_garbage"),
    ("what crosses Temporal", "protocol/payloads.py", "RunRequest"),
    ("the settings", "settings/__init__.py", "Settings"),
    ("the exceptions", "errors.py", "PerdureError"),
]
"""What is changed, the one file for it, and what is there and nowhere else."""


def defines(path: Path, name: str) -> bool:
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [getattr(statement, "name", "")]
        if isinstance(statement, ast.Assign):
            names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            names = [statement.target.id]
        if name in names:
            return True
    return False


@pytest.mark.parametrize(("what", "file", "name"), PLACES, ids=[place[0] for place in PLACES])
def test_one_file(what: str, file: str, name: str) -> None:
    package = ROOT / "perdure"
    files = [path.relative_to(package).as_posix() for path in package.rglob("*.py") if defines(path, name)]
    assert files == [file], what


def test_files_that_contributors_are_sent_to() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:[\w.]+/)+[\w.]*)`", text)
    folders = (ROOT, ROOT / "perdure", ROOT / "tests")
    assert [name for name in named if not any((folder / name).exists() for folder in folders)] == []
