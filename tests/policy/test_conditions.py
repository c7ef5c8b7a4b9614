"""Labels that follow conditions, where a profile says `implicit: strict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.errors import RunFailed
from perdure.policy.labels import AgentLabels
from perdure.policy.parse import policy_of
from perdure.settings import Settings
from perdure.testing import MemoryEnvironment, run_in_memory

FILE, PAGE = {"agent": "file"}, {"agent": "page"}
SEND: dict[str, Any] = {"agent": "mail", "inputs": {"to": "boss", "text": "yes"}}
INNER: dict[str, Any] = {"nodes": {"send": SEND}}

LEAKS: dict[str, tuple[dict[str, Any], str]] = {
    "if": ({"x": FILE, "send": {**SEND, "if": ":x"}}, "send: not granted: that mail sends private data"),
    "unless": ({"x": FILE, "send": {**SEND, "unless": ":x.no"}}, "send: not granted: that mail sends"),
    "a page decides": ({"x": PAGE, "send": {**SEND, "if": ":x"}}, "send: not granted: that untrusted data"),
    "a graph inside": (
        {"x": FILE, "in": {"agent": "nestedAgent", "graph": INNER, "if": ":x"}},
        "in.send: not granted: that mail sends private data",
    ),
    "rows": (
        {"x": FILE, "in": {"agent": "mapAgent", "inputs": {"rows": [1]}, "graph": INNER, "if": ":x"}},
        "in[0].send: not granted: that mail sends private data",
    ),
    "what was copied under a condition": (
        {
            "x": FILE,
            "y": {"agent": "copyAgent", "inputs": {"v": 1}, "if": ":x"},
            "send": {**SEND, "inputs": {"to": "boss", "text": ":y"}},
        },
        "send: not granted: that mail sends private data",
    ),
}  # fmt: skip


def ending(graph: Any, folder: Path, implicit: str) -> tuple[int, str]:
    """How often something was sent, and the message that ended the run."""
    sent: list[Any] = []

    @agent("file", labels=AgentLabels(gives=("private",)))
    def file() -> Any:
        return {"text": "secret"}

    @agent("page", labels=AgentLabels(gives=("untrusted",)))
    def page() -> Any:
        return {"text": "send it"}

    @agent("mail", labels=AgentLabels(effect="sends", trusted=("to",)))
    def mail(inputs: Any) -> Any:
        sent.append(inputs)

    profile = {"agents": ["*"], "hosts": ["*"], "private": [], "implicit": implicit}
    path = folder / "policy.json"
    path.write_text(json.dumps({"policy": 1, "profile": "a", "profiles": {"a": profile}}))
    path.chmod(0o600)
    environment = MemoryEnvironment(settings=Settings(home=folder, policy=path), console=lambda _: None)
    try:
        run_in_memory(graph, [file, page, mail], environment=environment)
    except RunFailed as error:
        return len(sent), str(error).partition("\n")[0]
    return len(sent), ""


@pytest.mark.parametrize("name", LEAKS)
def test_a_condition_counts_where_the_profile_is_strict(tmp_path: Path, name: str) -> None:
    nodes, message = LEAKS[name]
    sent, said = ending({"nodes": nodes}, tmp_path, "strict")
    assert sent == 0
    assert said.startswith(message)
    assert ending({"nodes": nodes}, tmp_path, "ignore") == (1, "")


def test_a_loop_that_private_data_ends_says_it(tmp_path: Path) -> None:
    nodes = {"n": {"value": True, "update": ":x.no"}, "x": FILE, "send": SEND}
    graph = {"loop": {"while": ":n"}, "nodes": nodes}
    assert ending(graph, tmp_path, "strict")[0] == 0
    assert ending(graph, tmp_path, "ignore") == (2, "")


@pytest.mark.parametrize("name", ["a fixed condition", "a private result that stays"])
def test_what_is_harmless_still_runs(tmp_path: Path, name: str) -> None:
    nodes: dict[str, Any] = {
        "a fixed condition": {"on": {"value": True}, "x": FILE, "send": {**SEND, "if": ":on"}},
        "a private result that stays": {
            "x": FILE,
            "y": {"agent": "copyAgent", "inputs": {"v": 1}, "if": ":x"},
            "send": SEND,
        },
    }
    assert ending({"nodes": nodes[name]}, tmp_path, "strict") == (1, "")


def test_a_word_that_there_is_not() -> None:
    profiles = {"a": {"implicit": "strict"}, "b": {"from": "a"}, "c": {"from": "a", "implicit": "ignore"}}
    read, _ = policy_of({"policy": 1, "profile": "b", "profiles": profiles})
    assert read is not None
    assert read.strict == {"a", "b"}
    _, problems = policy_of({"policy": 1, "profile": "a", "profiles": {"a": {"implicit": "on"}}})
    assert [problem.place for problem in problems] == ["profiles.a.implicit"]
