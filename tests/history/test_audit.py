"""Who did what in a run: from its history alone, for runs that were recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from temporalio.client import WorkflowHistory

from perdure.history.audit import audit_of
from perdure.history.model import NodeModel, RunModel
from perdure.history.read import replayed
from perdure.plugin import data_converter
from tests.support.histories import FOLDER

pytestmark = pytest.mark.anyio

REFUSED = "not granted: that fetchAgent sends private data (from rows)"


async def entries(name: str) -> list[dict[str, Any]]:
    history = json.loads((FOLDER / f"{name}.json").read_text())
    model = await replayed([WorkflowHistory.from_json("recorded", history)], data_converter(None))
    return audit_of(model)


def without(entry: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("at", "sha256", *names)}


async def test_who_started_answered_and_how_it_ended() -> None:
    audit = await entries("approval")
    assert [entry["at"] for entry in audit] == sorted(entry["at"] for entry in audit)
    assert len(audit[0]["sha256"]) == 64
    published = {"node": "published", "agent": "stringTemplateAgent", "workers": [], "state": "completed"}
    assert [without(entry) for entry in audit] == [
        {"kind": "start", "by": "recorder", "principal": "", "graph": "approval", "policy": None},
        {"kind": "call", **published},
        {"kind": "answer", "node": "approve", "by": "anna", "how": "answer"},
        {"kind": "end", "state": "completed"},
    ]


async def test_what_was_refused() -> None:
    audit = [without(entry, "workers") for entry in await entries("labels")]
    refused = {"kind": "refusal", "node": "sent", "agent": "fetchAgent", "why": f"sent: {REFUSED}"}
    assert [{**entry, "why": f"sent: {REFUSED}"} for entry in audit if entry["kind"] == "refusal"] == [
        refused
    ]
    read = {"node": "notes", "agent": "fileReadAgent", "state": "fell-back", "files": [".notes"]}
    assert {"kind": "call", **read} in audit
    assert audit[-1] == {"kind": "end", "state": "failed", "why": f"sent: {REFUSED}"}


async def test_who_changed_a_run() -> None:
    changes = [without(entry) for entry in await entries("steered") if entry["kind"] == "change"]
    assert changes
    assert all(entry["what"] for entry in changes)


def test_what_a_call_reached_by_name() -> None:
    headers = {"Authorization": "Bearer secret:crm"}
    calls: dict[str, tuple[str, Any, Any]] = {
        "b": ("fetchAgent", {"url": "https://[bad"}, {}),
        "a": ("fetchAgent", {"url": "https://api.example.com/v1?q=1", "headers": headers, "to": "x"}, {}),
        "c": ("fileReadAgent", {"array": ["x", "y"]}, {}),
        "d": ("openAIAgent", {}, {"apiKey": "secret:model"}),
        "e": ("mine", {"url": "https://a.org"}, {}),
    }
    nodes = {
        name: NodeModel(address=name, node=name, agent=agent, inputs=inputs, params=params, started=at)
        for at, (name, (agent, inputs, params)) in enumerate(calls.items(), 1)
    }
    nodes["f"] = NodeModel(address="f", node="f", agent="copyAgent")
    model = RunModel(
        id="r", name="g", state="running", graph={}, chain=(), is_whole=True, started=0, nodes=nodes
    )
    audit = [without(entry, "kind", "agent", "workers", "state") for entry in audit_of(model)[1:]]
    assert audit == [
        {"node": "b"},
        {"node": "a", "secrets": ["crm"], "hosts": ["api.example.com"]},
        {"node": "c", "files": ["y", "x"]},
        {"node": "d", "secrets": ["model"]},
        {"node": "e"},
    ]


def test_an_audit_names_a_hundred_files() -> None:
    inputs = {"array": [str(number) for number in range(101)]}
    node = NodeModel(address="a", node="a", agent="fileReadAgent", started=1, inputs=inputs)
    about = {"id": "r", "name": "g", "state": "running", "graph": {}, "chain": (), "is_whole": True}
    (call,) = [
        entry for entry in audit_of(RunModel(**about, started=0, nodes={"a": node})) if "node" in entry
    ]
    assert len(call["files"]) == 100
