"""perdure diff of graphs, and perdure replay-check of files: both need no server."""

import base64
import json
from pathlib import Path

from tests.support.cli import Cli
from tests.support.histories import FOLDER


def test_graphs_are_compared(perdure: Cli, tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text("nodes: {a: {agent: copyAgent, retry: 1}, b: {value: 1}}")
    new.write_text("nodes: {a: {agent: copyAgent, retry: 2}, c: {value: 1}}")
    done = perdure("diff", str(old), str(new))
    assert done.code == 1
    assert done.out.splitlines() == [
        "node  change   keys",
        "a     how      retry",
        "c     added",
        "b     removed",
    ]
    assert perdure("diff", str(old), str(old)).code == 0


def test_a_history_that_fits(perdure: Cli) -> None:
    done = perdure("replay-check", str(FOLDER / "hello.json"), str(FOLDER / "rerun.json"))
    assert (done.code, done.out) == (0, "2 replayed, 0 do not fit this version\n")


def test_a_history_that_does_not(perdure: Cli, tmp_path: Path) -> None:
    history = json.loads((FOLDER / "concurrent_profiles.json").read_text())
    for event in history["events"]:
        scheduled = event.get("activityTaskScheduledEventAttributes")
        if scheduled is not None:
            scheduled["activityId"] = "another"
    path = tmp_path / "altered.json"
    path.write_text(json.dumps(history))
    done = perdure("replay-check", str(path))
    assert (done.code, "1 replayed, 1 do not fit this version" in done.out) == (1, True)


def test_what_is_not_a_history(perdure: Cli, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("[1]")
    begun = json.loads((FOLDER / "hello.json").read_text())
    (payload,) = begun["events"][0]["workflowExecutionStartedEventAttributes"]["input"]["payloads"]
    payload["metadata"]["encoding"] = base64.b64encode(b"encrypted/perdure-aead").decode()
    for text, finding in {
        "[1]": "this is not a history",
        '{"events": [{"eventId": 1}]}': "it does not begin with the start of a run",
        json.dumps(begun): "this history is encrypted, and its key is not here\n  hint: set PERDURE_CODEC",
    }.items():
        path.write_text(text)
        done = perdure("replay-check", str(path))
        assert done.code == 2
        assert done.err.startswith(f"perdure: {path}: ")
        assert finding in done.err
    assert perdure("replay-check").code == 2
    assert perdure("replay-check", str(path), "--limit", "0").code == 2


def test_a_file_and_what_is_none(perdure: Cli, tmp_path: Path) -> None:
    path = tmp_path / "graph.yaml"
    path.write_text("nodes: {}")
    done = perdure("diff", str(path), "other.yaml")
    assert (done.code, done.err.splitlines()[0]) == (
        2,
        f"perdure: {path} is a file, and there is no file other.yaml",
    )
