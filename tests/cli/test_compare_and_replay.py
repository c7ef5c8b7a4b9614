"""perdure diff of graphs, and perdure replay-check of files: both need no server."""

import json
from pathlib import Path

import pytest

from perdure.cli.main import run
from tests.support.histories import FOLDER


def test_graphs_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text("nodes: {a: {agent: copyAgent, retry: 1}, b: {value: 1}}")
    new.write_text("nodes: {a: {agent: copyAgent, retry: 2}, c: {value: 1}}")
    assert run(["diff", str(old), str(new)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "node  change   keys",
        "a     how      retry",
        "c     added",
        "b     removed",
    ]
    assert run(["diff", str(old), str(old)]) == 0


def test_a_history_that_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay-check", str(FOLDER / "hello.json"), str(FOLDER / "rerun.json")]) == 0
    assert capsys.readouterr().out == "2 replayed, 0 do not fit this version\n"


def test_a_history_that_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = json.loads((FOLDER / "concurrent_profiles.json").read_text())
    for event in history["events"]:
        scheduled = event.get("activityTaskScheduledEventAttributes")
        if scheduled is not None:
            scheduled["activityId"] = "another"
    path = tmp_path / "altered.json"
    path.write_text(json.dumps(history))
    assert run(["replay-check", str(path)]) == 1
    assert "1 replayed, 1 do not fit this version" in capsys.readouterr().out


def test_what_is_not_a_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.json"
    path.write_text("[1]")
    assert run(["replay-check", str(path)]) == 2
    assert "this is not a history" in capsys.readouterr().err
    assert run(["replay-check"]) == 2
