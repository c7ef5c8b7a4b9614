"""What no recording shows: limits of Perdure's own, and keys named like members of prototypes."""

from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import AgentContext
from perdure.agents.catalog import catalog
from perdure.agents.shipped.objects import MAX_LIST_LENGTH_COUNT
from perdure.errors import AgentError
from perdure.graph.values import UNDEFINED
from perdure.settings import Settings

AGENTS = catalog()


@pytest.mark.parametrize(
    ("name", "inputs", "params"),
    [
        ("countingAgent", {}, {"count": MAX_LIST_LENGTH_COUNT + 1}),
        ("countingAgent", {}, {"count": float("inf")}),
        ("copyMessageAgent", {}, {"count": 2**32 - 1}),
        ("copy2ArrayAgent", {"item": 1}, {"count": 1e15}),
        ("stringSplitterAgent", {"text": "abc"}, {"chunkSize": 1e-9, "overlap": 0}),
        ("stringSplitterAgent", {"text": "abc"}, {"chunkSize": 1, "overlap": 1}),
    ],
)
def test_lists_too_long_to_make(name: str, inputs: Any, params: Any) -> None:
    with pytest.raises(
        AgentError, match=f"{name}: .* is .*: (at most {MAX_LIST_LENGTH_COUNT}|the length of a list)"
    ):
        AGENTS[name].call(inputs, params, AgentContext())


@pytest.mark.parametrize(
    ("name", "inputs", "params", "expected"),
    [
        ("lookupDictionaryAgent", {"namedKey": "toString"}, {"supressError": True}, UNDEFINED),
        ("totalAgent", {"array": [{"constructor": 1}, {"constructor": 2}]}, {}, {"data": {"constructor": 3}}),
        ("mergeObjectAgent", {"items": [{"__proto__": {"a": 1}}]}, {}, {"__proto__": {"a": 1}}),
        (
            "dataObjectMergeTemplateAgent",
            {"array": [{"a": {"constructor": 1}}, {"__proto__": 2}]},
            {"flatResponse": True},
            {"a": {"constructor": 1}, "__proto__": 2},
        ),
        ("propertyFilterAgent", {"item": {"a": 1}}, {"include": ["valueOf"]}, {"valueOf": UNDEFINED}),
    ],
)
def test_prototypes_have_no_members(name: str, inputs: Any, params: Any, expected: Any) -> None:
    assert AGENTS[name].call(inputs, params, AgentContext()) == expected


@pytest.mark.parametrize(
    ("name", "inputs", "params", "expected"),
    [
        ("popAgent", {"array": [1, UNDEFINED]}, {}, {"array": [1], "item": UNDEFINED}),
        ("pushAgent", {"array": [], "item": UNDEFINED, "items": [UNDEFINED]}, {}, {"array": [UNDEFINED]}),
        ("arrayFindFirstExistsAgent", {"array": [None, UNDEFINED]}, {}, UNDEFINED),
        ("arrayJoinAgent", {"array": [1, UNDEFINED, None]}, {"separator": UNDEFINED}, {"text": "1"}),
        ("copyAgent", {"a": UNDEFINED}, {}, {"a": UNDEFINED}),
        ("copyAgent", {"a": 1}, {"namedKey": "b"}, UNDEFINED),
        ("compareAgent", {"array": [UNDEFINED, "==", None]}, {}, {"result": False}),
        ("pathUtilsAgent", {"path": "/a//b"}, {"method": "normalize", "path": "/c"}, {"path": "/a/b"}),
    ],
)
def test_undefined_is_not_null(name: str, inputs: Any, params: Any, expected: Any) -> None:
    assert AGENTS[name].call(inputs, params, AgentContext()) == expected


@pytest.mark.parametrize(("root", "expected"), [("/data", "/data/x"), ("/data/../srv", "/srv/x")])
def test_relative_paths_start_at_the_file_root(root: str, expected: str) -> None:
    context = AgentContext(settings=Settings(file_root=Path(root)))
    assert AGENTS["pathUtilsAgent"].call({"dirs": ["x"]}, {"method": "resolve"}, context) == {
        "path": expected
    }
