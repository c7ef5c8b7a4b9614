"""What a change makes of the record of a run: the calls that are made again, and the names of the others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perdure.engine.messages import RunOptions
from perdure.errors import UsageError
from perdure.lineage.change import Change, rerun_of
from perdure.lineage.record import Entry, Record

OLD: dict[str, Any] = {
    "nodes": {
        "topic": {"value": "sea"},
        "plan": {"agent": "a", "inputs": {"x": ":topic"}},
        "rows": {
            "agent": "mapAgent",
            "inputs": {"rows": ":plan.rows"},
            "graph": {
                "nodes": {
                    "draft": {"agent": "a", "inputs": {"x": ":row"}},
                    "polish": {"agent": "a", "inputs": {"x": ":draft"}, "isResult": True},
                }
            },
        },
        "end": {"agent": "a", "inputs": {"x": ":rows"}},
        "aside": {"agent": "a"},
    }
}
CALLS = ("plan", "rows[0].draft", "rows[1].draft", "rows[0].polish", "rows[1].polish", "aside", "end")
LOOP: dict[str, Any] = {
    "loop": {"count": 3},
    "nodes": {
        "total": {"value": 0, "update": ":sum"},
        "said": {"agent": "a", "inputs": {"x": ":total"}},
        "sum": {"agent": "a", "inputs": {"x": ":said"}},
        "aside": {"agent": "a"},
    },
}
PASSES = ("said", "sum", "said@1", "sum@1", "said@2", "sum@2", "aside")


def kept(change: Change, document: Any = OLD, calls: tuple[str, ...] = CALLS) -> list[str]:
    """The positions of the calls that may be reused, by the names that they have in the rerun."""
    record = Record(tuple(Entry(position, "f", 1) for position in calls))
    return [entry.position for entry in rerun_of(change, document, RunOptions(), record).record.entries]


def edited(**nodes: Any) -> dict[str, Any]:
    """The graph with other members of some nodes; None removes a node."""
    old = OLD["nodes"]
    new = {name: {**old.get(name, {}), **more} for name, more in nodes.items() if more is not None}
    return {
        "nodes": {name: new.pop(name, node) for name, node in old.items() if name not in nodes or name in new}
        | new
    }


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (Change(), set()),
        (Change(begin_at=["plan"]), {"plan"}),
        (Change(begin_at=["rows[].draft"]), {"rows[0].draft", "rows[1].draft"}),
        (Change(begin_at=["rows[1].draft"]), {"rows[1].draft"}),
        (Change(begin_at=["rows[1]"]), {"rows[1].draft", "rows[1].polish"}),
        (Change(begin_at=["rows"]), {each for each in CALLS if each.startswith("rows")}),
        (Change(begin_at=["plan"], force=True), {*CALLS} - {"aside"}),
        (Change(begin_at=["rows[].polish"], force=True), {"rows[0].polish", "rows[1].polish", "end"}),
        (Change(values={"topic": "lake"}, force=True), {*CALLS} - {"aside"}),
        (Change(values={"plan": {"rows": []}}, force=True), {*CALLS} - {"aside", "plan"}),
        (Change(graph=edited(plan={"retry": 3}), force=True), set()),
        (Change(graph=edited(plan={"params": {"p": 1}}), force=True), {*CALLS} - {"aside", "plan"}),
    ],
)
def test_calls_that_are_made_again(change: Change, again: set[str]) -> None:
    assert kept(change) == [each for each in CALLS if each not in again]


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (Change(begin_at=["said@1"]), {"said@1"}),
        (Change(begin_at=["said"]), {"said", "said@1", "said@2"}),
        (Change(begin_at=["sum@1"], force=True), {*PASSES} - {"aside"}),
        (Change(values={"total": 5}, force=True), {*PASSES} - {"aside"}),
        (Change(begin_at=["aside"], force=True), {"aside"}),
    ],
)
def test_passes_of_a_loop_that_are_made_again(change: Change, again: set[str]) -> None:
    assert kept(change, LOOP, PASSES) == [each for each in PASSES if each not in again]


@pytest.mark.parametrize(
    ("renames", "position", "known_as"),
    [
        ({"plan": "outline"}, "plan", "outline"),
        ({"rows": "chapters"}, "rows[1].draft", "chapters[1].draft"),
        ({"rows[].draft": "rows[].text"}, "rows[1].draft", "rows[1].text"),
        ({"rows[].draft": "rows[].text"}, "rows[1].polish", "rows[1].polish"),
    ],
)
def test_another_name(renames: dict[str, str], position: str, known_as: str) -> None:
    graph = json.dumps(OLD)
    for old, new in renames.items():
        graph = graph.replace(f'"{old.split(".")[-1]}": {{', f'"{new.split(".")[-1]}": {{')
    assert kept(Change(renames=renames, graph=json.loads(graph)), OLD, (position,)) == [known_as]


def test_rows_and_passes_are_those_that_the_run_had() -> None:
    record = Record((Entry("rows[0].draft", "f", 1),))
    for change in (Change(begin_at=["rows[1].draft"]), Change(begin_at=["rows[1]"])):
        rerun = rerun_of(change, OLD, RunOptions(), record, ["rows", "rows[0].draft", "rows[1].draft"])
        assert rerun.record == record
        assert [*rerun.dropped] == [*change.begin_at]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (Change(begin_at=["plam"]), "there is no node 'plam'. hint: did you mean 'plan'?"),
        (Change(begin_at=["draft"]), "there is no node 'draft'. hint: did you mean 'rows[].draft'?"),
        (
            Change(begin_at=["topic"]),
            "node 'topic' has a value and no agent. hint: change it: --set topic=VALUE",
        ),
        (Change(values={"rows": 1}), "node 'rows' has a graph inside"),
        (Change(values={"tropic": 1}), "there is no node 'tropic'. hint: did you mean 'topic'?"),
        (Change(params={"b.p": 1}), "the graph has neither an agent nor a node 'b'"),
        (Change(params={"a": 1}), "the graph has neither an agent nor a node 'a'"),
        (
            Change(begin_at=["rows[2].draft"]),
            "the run has no 'rows[2].draft'. hint: rows and passes count from 0",
        ),
        (Change(begin_at=["plan@1"]), "the run has no 'plan@1'. hint: rows and passes count from 0"),
        (Change(asks_again=["who"]), "there is no node 'who'"),
        (Change(asks_again=["plan"]), "node 'plan' asks no person. hint: call it again: --from plan"),
        (Change(renames={"x": "y"}), "there is no node 'x'"),
        (Change(renames={"plan": "outline"}), "there is no node 'outline'"),
        (
            Change(renames={"plan": "rows[].plan"}),
            "'plan' cannot become 'rows[].plan': a node stays in its graph",
        ),
    ],
)
def test_what_fits_no_node_is_refused(change: Change, finding: str) -> None:
    with pytest.raises(UsageError) as refusal:
        kept(change)
    assert str(refusal.value).replace("\n  hint", ". hint").startswith(finding)
