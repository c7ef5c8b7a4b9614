"""What architecture.md, limits.md and CONTRIBUTING.md say of the code: names, layers, limits, histories."""

import base64
import json
import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from perdure.activities.delivery import Delivery
from perdure.activities.heartbeat import Heartbeat
from perdure.agents.agent import AgentContext
from perdure.engine.messages import RunOptions
from perdure.protocol import wire
from perdure.protocol.names import FETCH, KEEP, SEGMENT
from tests.repo import documents
from tests.repo.documents import code, codes, tables
from tests.support import ROOT

NAME = "architecture.md"
LIMITS = "limits.md"
CONTRIBUTING = "../CONTRIBUTING.md"
TEXT = documents.text_of(NAME)
PACKAGE = ROOT / "perdure"
NAMED = sorted(set(re.findall(r"`(perdure(?:\.\w+)+)`", TEXT)) - {SEGMENT, FETCH, KEEP})


def member(name: str) -> Any:
    """The module, or what a module holds, under a dotted name."""
    module, *rest = longest_module(name)
    value = import_module(module)
    for part in rest:
        value = getattr(value, part)
    return value


def longest_module(name: str) -> tuple[str, ...]:
    parts = name.split(".")
    for count in range(len(parts), 1, -1):
        module = PACKAGE.joinpath(*parts[1:count])
        if module.with_suffix(".py").exists() or (module / "__init__.py").exists():
            return ".".join(parts[:count]), *parts[count:]
    raise AssertionError(f"{name}: there is no such module")


@pytest.mark.parametrize("name", NAMED)
def test_name(name: str) -> None:
    if name == "perdure.__main__":
        assert find_spec(name)
    else:
        member(name)


def test_every_part_has_a_layer() -> None:
    assert parts() == {f"perdure.{name}" for layer in layers() for name in layer} | {"perdure.__init__"}


def parts() -> set[str]:
    files = {path.stem for path in PACKAGE.glob("*.py")}
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return {f"perdure.{name}" for name in files | folders}


def test_files_that_are_named_for_additions() -> None:
    rows = tables(CONTRIBUTING, "Where things are added")[0]
    named = {path for row in rows for path in codes(row["touch"]) if re.fullmatch(r"[\w/]+(\.py|/)", path)}
    assert named
    assert {path for path in named if not (PACKAGE / path).exists()} == set()


def test_table_of_the_layers() -> None:
    assert [codes(row["layer"]) for row in tables(CONTRIBUTING, "Layers")[0]] == list(layers())


def layers() -> Iterator[list[str]]:
    """The layers of the contract, those left out that are only foreseen."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = [item for item in linter["contracts"] if item["name"] == "Layers import downwards only"]
    for layer in contract["layers"]:
        names = [name for name in re.findall(r"\w+", layer) if f"perdure.{name}" in parts()]
        if names:
            yield names


def test_limits() -> None:
    headings = [title for level, title in documents.headings(LIMITS) if level == 2]
    *counts, times = [tables(LIMITS, heading)[0] for heading in headings]
    for row in (row for table in counts for row in table):
        name = code(row["limit"])
        value = RunOptions().events if name.endswith(".RunOptions.events") else member(name)
        assert value == float(row["value"]), row
    for row in times:
        assert member(code(row["time"])) == timedelta(seconds=int(row["value"].removesuffix(" s"))), row


def test_metadata() -> None:
    with_result = {
        f"perdure-{name}" for name in Delivery(Heartbeat(attempt=1), False, AgentContext()).metadata()
    }
    listed = {code(row["metadata"]) for row in tables(NAME, "What is in a history")[0]}
    assert listed == {wire.PLACES, *with_result}
    assert set(wire.pack(None, console=["x"]).payload.metadata) == {"encoding", "perdure-console"}


def test_failure_types() -> None:
    from perdure.workflows.activity_options import FINAL_ERROR_TYPES

    rows = tables(NAME, "Failures")[0]
    unrepeated = {
        name for row in rows if row["Temporal"] == "does not repeat" for name in row["type"].split(", ")
    }
    assert unrepeated == set(FINAL_ERROR_TYPES)


HISTORIES = [block for block in documents.blocks(NAME) if block.kind.startswith("history ")]


@pytest.mark.parametrize("block", HISTORIES, ids=str)
def test_history(block: documents.Block) -> None:
    assert "".join(f"{line}\n" for line in activities(block.kind.split()[1])) == block.text


def test_there_is_a_history() -> None:
    assert HISTORIES
    marked = [line for name in ("loop", "retried") for line in activities(name)]
    assert any(line.endswith("@1") for line in marked)
    assert any(line.endswith("#1") for line in marked)


def activities(name: str) -> Iterator[str]:
    """A line for each activity of a recorded history, in the order in which they are recorded."""
    history = json.loads((ROOT / f"tests/replay/histories/{name}.json").read_text())
    for event in history["events"]:
        scheduled = event.get("activityTaskScheduledEventAttributes")
        marker = event.get("markerRecordedEventAttributes")
        if scheduled:
            yield f"activity        {scheduled['activityType']['name']:18}{scheduled['activityId']}"
        elif marker:
            data = json.loads(base64.b64decode(marker["details"]["data"]["payloads"][0]["data"]))
            yield f"local activity  {data['activity_type']:18}{data['activity_id']}"
