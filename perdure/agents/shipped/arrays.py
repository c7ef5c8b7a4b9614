"""Agents on lists: push, pop, shift, flat, join, look-up."""

from __future__ import annotations

from typing import Any

from perdure.agents.agent import Sample, agent
from perdure.agents.schema import anything, array, fields, mapping, number, text
from perdure.agents.shipped.objects import (
    flat,
    is_null,
    member,
    option,
    require_array,
    require_inputs,
)
from perdure.errors import AgentError
from perdure.graph.javascript import join, to_string
from perdure.graph.values import UNDEFINED, Value, is_list, js_truthy

_ARRAY = fields("array", array=array("the list"))


@agent(
    "pushAgent",
    pure=True,
    description="Appends an item, or several items, to a copy of a list",
    category="array",
    inputs=fields(
        "array",
        array=array("the list to append to"),
        item=anything("one more element"),
        items=array("several more elements, after `item`"),
    ),
    params=fields(arrayKey=text("name of the list in the result, instead of `array`")),
    output=fields(array=array("the longer list; other inputs are passed on unchanged")),
    samples=[
        Sample(inputs={"array": ["oak"], "item": "elm"}, result={"array": ["oak", "elm"]}),
        Sample(
            inputs={"array": [1], "items": [2, 3], "owner": "Ada"},
            params={"arrayKey": "counts"},
            result={"owner": "Ada", "counts": [1, 2, 3]},
        ),
    ],
)
def push(inputs: dict[str, Value], params: dict[str, Value]) -> dict[str, Value]:
    """A copy of `array` with `item` and `items` at its end."""
    hint = " Set inputs: { array: :arrayNodeId, item: :itemNodeId }"
    longer = list(require_array("pushAgent", inputs, hint))
    item, items = inputs.get("item", UNDEFINED), inputs.get("items", UNDEFINED)
    if item is UNDEFINED and items is UNDEFINED:
        raise AgentError(f"pushAgent: namedInputs.item and namedInputs.items are UNDEFINED!{hint}")
    if items is not UNDEFINED and not is_list(items):
        raise AgentError("pushAgent: namedInputs.items is not array!")
    if item is not UNDEFINED:
        longer.append(item)
    longer.extend(items or ())
    rest = {key: value for key, value in inputs.items() if key not in ("array", "item", "items")}
    key = params.get("arrayKey", UNDEFINED)
    return {**rest, to_string(key) if js_truthy(key) else "array": longer}


@agent(
    "popAgent",
    pure=True,
    description="Removes the last element from a copy of a list",
    category="array",
    inputs=_ARRAY,
    output=fields(array=array("the list without it"), item=anything("the last element")),
    samples=[Sample(inputs={"array": ["oak", "elm"]}, result={"array": ["oak"], "item": "elm"})],
)
def pop(inputs: dict[str, Value]) -> dict[str, Value]:
    """The list without its last element, and that element: UNDEFINED if the list is empty."""
    items = require_array("popAgent", inputs)
    return {"array": items[:-1], "item": items[-1] if items else UNDEFINED}


@agent(
    "shiftAgent",
    pure=True,
    description="Removes the first element from a copy of a list",
    category="array",
    inputs=_ARRAY,
    output=fields(array=array("the list without it"), item=anything("the first element")),
    samples=[Sample(inputs={"array": ["oak", "elm"]}, result={"array": ["elm"], "item": "oak"})],
)
def shift(inputs: dict[str, Value]) -> dict[str, Value]:
    """The list without its first element, and that element: UNDEFINED if the list is empty."""
    items = require_array("shiftAgent", inputs)
    return {"array": items[1:], "item": items[0] if items else UNDEFINED}


@agent(
    "arrayFlatAgent",
    pure=True,
    description="Flattens a list: replaces inner lists by their elements",
    category="array",
    inputs=_ARRAY,
    params=fields(depth=number("how many levels of inner lists to flatten, 1 by default")),
    output=fields(array=array("the flat list")),
    samples=[
        Sample(inputs={"array": [["a"], ["b", ["c"]]]}, result={"array": ["a", "b", ["c"]]}),
        Sample(inputs={"array": [["a", [["b"]]]]}, params={"depth": 3}, result={"array": ["a", "b"]}),
    ],
)
def array_flat(inputs: dict[str, Value], params: dict[str, Value]) -> dict[str, Value]:
    """The list with its inner lists opened, `depth` levels down."""
    return {"array": flat(require_array("arrayFlatAgent", inputs), option(params, "depth", 1))}


@agent(
    "arrayJoinAgent",
    pure=True,
    description="Joins the elements of a list into one string",
    category="array",
    inputs=_ARRAY,
    params=fields(
        separator=text("what to put between two elements, nothing by default"),
        flat=number("how many levels of inner lists to flatten first"),
    ),
    output=fields(text=text()),
    samples=[
        Sample(inputs={"array": ["red", 7, None]}, params={"separator": "/"}, result={"text": "red/7/"}),
        Sample(
            inputs={"array": [["a", "b"], ["c"]]},
            params={"separator": "; ", "flat": 1},
            result={"text": "a; b; c"},
        ),
    ],
)
def array_join(inputs: dict[str, Value], params: dict[str, Value]) -> dict[str, Value]:
    """The elements as one text, null and UNDEFINED as nothing."""
    items = require_array("arrayJoinAgent", inputs)
    depth = params.get("flat", UNDEFINED)
    items = flat(items, depth) if js_truthy(depth) else items
    separator = to_string(option(params, "separator", ""))
    return {"text": join(items, separator)}


@agent(
    "arrayToObjectAgent",
    pure=True,
    description="Turns a list of objects into an object whose keys are the values of one property",
    category="array",
    inputs=fields("items", items=array("objects")),
    params=fields("key", key=text("the property whose value becomes the key; the last object wins")),
    output=mapping("the objects by the value of that property"),
    samples=[
        Sample(
            inputs={"items": [{"code": "fr", "city": "Paris"}, {"code": "jp", "city": "Tokyo"}]},
            params={"key": "code"},
            result={"fr": {"code": "fr", "city": "Paris"}, "jp": {"code": "jp", "city": "Tokyo"}},
        )
    ],
)
def array_to_object(inputs: dict[str, Value], params: dict[str, Value]) -> dict[str, Value]:
    """The items by the text of their property `key`."""
    require_inputs("arrayToObjectAgent", inputs)
    items: Any = inputs.get("items", UNDEFINED)
    if not is_list(items):
        raise AgentError("arrayToObjectAgent: namedInputs.items is not array!")
    key = params.get("key", UNDEFINED)
    if is_null(key):
        raise AgentError("arrayToObjectAgent: params.key is UNDEFINED!")
    place = "arrayToObjectAgent: an element of namedInputs.items"
    return {to_string(member(item, key, place)): item for item in items}


@agent(
    "arrayFindFirstExistsAgent",
    pure=True,
    description="Returns the first element that is neither null nor undefined",
    category="array",
    inputs=_ARRAY,
    output=anything("that element; nothing if there is none"),
    samples=[Sample(inputs={"array": [None, False, "later"]}, result=False)],
)
def array_find_first_exists(inputs: dict[str, Value]) -> Value:
    """The first element that is not null, else UNDEFINED."""
    items = require_array("arrayFindFirstExistsAgent", inputs)
    return next((item for item in items if not is_null(item)), UNDEFINED)
