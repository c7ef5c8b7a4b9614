"""A model that is carried on by changes is that of a replay, at every moment of every recorded history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory

from perdure.history.live import LiveModel
from perdure.history.model import NodeModel, RunModel
from perdure.history.read import replayed
from perdure.history.replay import replay
from perdure.plugin import data_converter
from perdure.protocol.payloads import RunChanges
from perdure.protocol.trail import TrailPosition
from tests.support.histories import HISTORIES

pytestmark = pytest.mark.anyio

SHOWN = (
    *(
        "address",
        "node",
        "parent",
        "row",
        "iteration",
        "agent",
        "state",
        "phase",
        "ready",
        "started",
        "ended",
    ),
    *("retries", "failure", "console", "rows", "label", "condition"),
)
STEP_COUNTS = {"pauses": 7}
"""Moments at which a history is compared, if its replay takes long."""

LAST_EVENTS = {"foreseen_rows": 10, "open_rows": 10}
"""Where a history is no longer compared: a quota ends this run within a step, which has no changes."""


TIMES = {"started", "ended"}
RETRIED = {"EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT", "EVENT_TYPE_WORKFLOW_TASK_FAILED"}
"""What happened in such a workflow task happens again in the next one, and later."""


def shown(node: NodeModel) -> dict[str, Any]:
    """What a page shows of a node."""
    values = {name: getattr(node, name) for name in SHOWN}
    values["failure"] = node.failure is not None  # the end of a replay words one of its own
    return values | {"activity": node.attempts[-1].activity if node.attempts and node.ended is None else ""}


def shown_run(model: RunModel, *, timed: bool = True) -> dict[str, Any]:
    nodes = {address: shown(node) for address, node in model.nodes.items()}
    if not timed:
        nodes = {
            address: {name: value for name, value in node.items() if name not in TIMES}
            for address, node in nodes.items()
        }
    parts = {name: getattr(model, name) for name in ("counts", "questions", "console", "position")}
    parts["errors"] = sorted(model.errors)
    return parts | {"nodes": nodes}


def beginning(history: dict[str, Any], count: int) -> list[WorkflowHistory]:
    return [WorkflowHistory.from_json("recorded", {**history, "events": history["events"][:count]})]


async def changes(histories: list[WorkflowHistory], since: TrailPosition) -> RunChanges:
    """What the run would answer at the end of these histories."""
    workflow = (await replay(histories, data_converter(None))).workflow
    assert workflow is not None
    return workflow.changes(since.count, since.lines)


async def followed(history: dict[str, Any], counts: list[int]) -> tuple[int, int]:
    """Compares at each of these numbers of events; how many times it was carried on, and how many not."""
    live: LiveModel | None = None
    taken, refused = 0, 0
    timed = not any(event["eventType"] in RETRIED for event in history["events"])
    for count in counts:
        histories = beginning(history, count)
        model = await replayed(histories, data_converter(None))
        position = live.position if live is not None else None
        if live is not None and position is not None:
            if live.apply(await changes(histories, position)):
                assert shown_run(live.model(), timed=timed) == shown_run(model, timed=timed)
                taken += 1
                continue
            refused += 1
        live = LiveModel(model)
    return taken, refused


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_it_is_that_of_a_replay(path: Path) -> None:
    history = json.loads(path.read_text())
    last = LAST_EVENTS.get(path.stem, len(history["events"]))
    step = max(1, last // STEP_COUNTS.get(path.stem, 12))
    taken, refused = await followed(history, list(range(5, last, step)))
    assert taken > refused or taken + refused == 0  # a history of one workflow task
