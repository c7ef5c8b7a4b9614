"""Agents on objects: copy, sum, merge, look up. The filter has a file of its own."""

from __future__ import annotations

from typing import Any

from perdure.agents.agent import Sample, agent
from perdure.agents.schema import anything, array, either, fields, flag, mapping, number, text
from perdure.agents.shipped.objects import (
    Sum,
    deep_merge,
    members,
    require_inputs,
    require_list,
    spread,
)
from perdure.errors import AgentError
from perdure.graph.javascript import to_string
from perdure.graph.values import UNDEFINED, Value, is_list, js_truthy

_SET_ARRAY = " Set inputs: { array: :arrayNodeId }"
_FLAT = fields(flatResponse=flag("return the result itself, not under a key"))


@agent(
    "copyAgent",
    pure=True,
    description="Returns its inputs, or one of them",
    category="data",
    inputs=anything("at least one input"),
    params=fields(namedKey=text("return only the input of this name")),
    output=anything(),
    samples=[
        Sample(inputs={"river": "Rhône", "km": 812}, result={"river": "Rhône", "km": 812}),
        Sample(inputs={"river": "Rhône", "km": 812}, params={"namedKey": "km"}, result=812),
    ],
)
def copy(inputs: dict[str, Value], params: dict[str, Value]) -> Value:
    """The inputs, or the one that `namedKey` names."""
    require_inputs("copyAgent", inputs)
    key = params.get("namedKey", UNDEFINED)
    return inputs.get(to_string(key), UNDEFINED) if js_truthy(key) else inputs


@agent(
    "totalAgent",
    pure=True,
    description="Adds up objects, key by key",
    category="data",
    inputs=fields("array", array=array("objects, or lists of objects")),
    params=_FLAT,
    output=either(fields(data=mapping("the sum of each key")), mapping("that, with flatResponse")),
    samples=[
        Sample(
            inputs={"array": [{"cats": 2, "dogs": 1}, [{"cats": 3}]]},
            result={"data": {"cats": 5, "dogs": 1}},
        ),
        Sample(
            inputs={"array": [{"log": "a"}, {"log": "b"}]},
            params={"flatResponse": True},
            result={"log": "ab"},
        ),
    ],
)
def total(inputs: dict[str, Value], params: dict[str, Value]) -> dict[str, Value]:
    """`+` over the values of each key; a falsy sum so far is replaced."""
    sums: dict[str, Sum] = {}
    for item in _addends("totalAgent", inputs):
        for part in item if is_list(item) else [item]:
            for key, value in members(part, "totalAgent: an element of namedInputs.array").items():
                if sums.get(key):
                    sums[key].add(value)
                else:
                    sums[key] = Sum(value)
    data: dict[str, Value] = {key: total.value() for key, total in sums.items()}
    return data if js_truthy(params.get("flatResponse", UNDEFINED)) else {"data": data}


@agent(
    "dataSumTemplateAgent",
    pure=True,
    description="Adds up the elements of a list",
    category="data",
    inputs=fields("array", array=array("numbers")),
    params=_FLAT,
    output=either(fields(result=anything("the sum")), anything("that, with flatResponse")),
    samples=[
        Sample(inputs={"array": [40, 2]}, result={"result": 42}),
        Sample(inputs={"array": [0.5, 0.25]}, params={"flatResponse": True}, result=0.75),
    ],
)
def data_sum(inputs: dict[str, Value], params: dict[str, Value]) -> Value:
    """0 `+` each element in turn: text concatenates."""
    added = Sum(0)
    for item in _addends("dataSumTemplateAgent", inputs):
        added.add(item)
    result = added.value()
    return result if js_truthy(params.get("flatResponse", UNDEFINED)) else {"result": result}


def _addends(name: str, inputs: dict[str, Value]) -> list[Value]:
    require_inputs(name, inputs, _SET_ARRAY)
    items = inputs.get("array", UNDEFINED)
    if not js_truthy(items):
        raise AgentError(f"{name}: namedInputs.array is UNDEFINED!{_SET_ARRAY}")
    return require_list(items, f"{name}: namedInputs.array")


@agent(
    "dataObjectMergeTemplateAgent",
    pure=True,
    description="Merges objects into one, with inner objects and lists",
    category="data",
    inputs=fields("array", array=array("the objects; of equal keys, the last wins; lists are joined")),
    params=_FLAT,
    output=either(fields(data=mapping("the merged object")), mapping("that, with flatResponse")),
    samples=[
        Sample(
            inputs={"array": [{"ui": {"dark": True, "tabs": [1]}}, {"ui": {"dark": False, "tabs": [2]}}]},
            result={"data": {"ui": {"dark": False, "tabs": [1, 2]}}},
        )
    ],
)
def data_object_merge(inputs: dict[str, Value], params: dict[str, Value]) -> Value:
    """The objects of `array` merged in depth, from the left."""
    place = "dataObjectMergeTemplateAgent: namedInputs.array"
    data = deep_merge({}, require_list(inputs.get("array", UNDEFINED), place))
    return data if js_truthy(params.get("flatResponse", UNDEFINED)) else {"data": data}


@agent(
    "mergeObjectAgent",
    pure=True,
    description="Merges objects into one, their own keys only",
    category="data",
    inputs=fields("items", items=array("the objects; of equal keys, the last wins")),
    output=mapping("the merged object"),
    samples=[
        Sample(
            inputs={"items": [{"size": {"w": 1}, "name": "box"}, {"size": {"h": 2}}]},
            result={"size": {"h": 2}, "name": "box"},
        )
    ],
)
def merge_object(inputs: dict[str, Value]) -> dict[str, Value]:
    """The keys of all items, the last value of each."""
    require_inputs("mergeObjectAgent", inputs)
    items: Any = inputs.get("items", UNDEFINED)
    if not is_list(items):
        raise AgentError("mergeObjectAgent: namedInputs.items is not array!")
    merged: dict[str, Value] = {}
    for item in items:
        merged.update(spread(item))
    return merged


@agent(
    "lookupDictionaryAgent",
    pure=True,
    description="Looks up a key in the params",
    category="data",
    inputs=fields("namedKey", namedKey=either(text("the key"), number())),
    params=fields(supressError=flag("return nothing, instead of failing, if the key is missing")),
    output=anything("the value of that key"),
    samples=[
        Sample(inputs={"namedKey": "fr"}, params={"fr": "bonjour", "de": "guten Tag"}, result="bonjour")
    ],
)
def lookup_dictionary(inputs: dict[str, Value], params: dict[str, Value]) -> Value:
    """`params[namedKey]`; raises AgentError where it is missing, unless `supressError`."""
    require_inputs("lookupDictionaryAgent", inputs)
    key = to_string(inputs.get("namedKey", UNDEFINED))
    value = params.get(key, UNDEFINED)
    if value is UNDEFINED and not js_truthy(params.get("supressError", UNDEFINED)):
        raise AgentError(f"lookupDictionaryAgent error: {key} is missing")
    return value
