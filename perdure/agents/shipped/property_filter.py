"""propertyFilterAgent: choose, replace, add and swap the properties of objects."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

from perdure.agents.agent import Sample, agent
from perdure.agents.schema import anything, array, either, fields, mapping, number, text
from perdure.agents.shipped.objects import first, member, members, option, require_list
from perdure.errors import AgentError
from perdure.graph.javascript import to_string
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, is_object, js_truthy, strict_equal

_PLACE = "propertyFilterAgent"

MAX_RULE_USES_COUNT: Final = 1_000_000
"""Objects times rules of one call: some seconds of work."""

_FROM = number("index in `array` of the value")


@agent(
    "propertyFilterAgent",
    pure=True,
    description="Selects, replaces, adds and swaps properties of an object or of each object in a list",
    category="data",
    inputs=fields(
        array=array("first the object, or list of objects; then the values for `inject` and `inspect`"),
        item=mapping("the object, instead of `array`"),
    ),
    params=fields(
        include=array("the properties to keep, all by default", items=text()),
        exclude=array("the properties to drop", items=text()),
        alter=mapping("property -> {value: its replacement}"),
        inject=array(
            "values to add: under `propId`, to the object at `index` or to all",
            items=fields("propId", "from", **{"propId": text(), "from": _FROM, "index": number()}),
        ),
        inspect=array(
            "tests whose outcomes to add under `propId`",
            items=fields(
                "propId", **{"propId": text(), "from": _FROM, "equal": anything(), "notEqual": anything()}
            ),
        ),
        swap=mapping("property -> the property to swap values with"),
    ),
    output=either(mapping("the object"), array("the objects"), {"const": False}),
    samples=[
        Sample(
            inputs={"item": {"name": "Ida", "age": 9, "pin": "1234"}},
            params={"exclude": ["pin"], "alter": {"age": {"9": "nine"}}},
            result={"name": "Ida", "age": "nine"},
        ),
        Sample(
            inputs={"array": [[{"role": "user"}, {"role": "bot"}], "hello"]},
            params={
                "inject": [{"propId": "content", "from": 1, "index": 0}],
                "inspect": [{"propId": "greets", "equal": "hello"}],
                "swap": {"role": "greets"},
            },
            result=[
                {"role": True, "content": "hello", "greets": "user"},
                {"role": True, "greets": "bot"},
            ],
        ),
    ],
)
def property_filter(inputs: dict[str, Value], params: dict[str, Value]) -> Value:
    """The filtered object or objects; False if there is neither `array` nor `item`."""
    data, item = inputs.get("array", UNDEFINED), inputs.get("item", UNDEFINED)
    if js_truthy(data):
        target = first(data, f"{_PLACE}: namedInputs.array")
        if is_list(target):
            _check_work(len(target), params)
            return [_filtered(element, index, data, params) for index, element in enumerate(target)]
        return _filtered(target, 0, data, params)
    return _filtered(item, 0, [], params) if js_truthy(item) else False


def _check_work(objects: int, params: dict[str, Value]) -> None:
    """Raises AgentError where the product of objects and rules is beyond MAX_RULE_USES_COUNT."""
    rule_params: list[Any] = [params.get(key) for key in ("include", "exclude", "inject", "inspect", "swap")]
    rules = sum(len(rule) for rule in rule_params if is_object(rule) or isinstance(rule, str))
    if objects * rules > MAX_RULE_USES_COUNT:
        finding = (
            f"{rules:,} rules for {objects:,} objects are more than {MAX_RULE_USES_COUNT:,} uses of a rule"
        )
        raise AgentError(f"{_PLACE}: {finding}", hint="map the list in parts")


def _filtered(target: Value, index: int, data: Value, params: dict[str, Value]) -> dict[str, Value]:
    """One object: include and exclude, alter, then inject, inspect and swap."""
    result = _kept(target, params)
    for rule in _rules("inject", params):
        at = member(rule, "index", f"{_PLACE}: a rule of params.inject")
        if at is UNDEFINED or strict_equal(at, index):
            result[to_string(rule.get("propId", UNDEFINED))] = _datum(data, rule.get("from", UNDEFINED))
    for rule in _rules("inspect", params):
        outcome = _inspected(rule, data)
        if outcome is not None:
            result[to_string(rule.get("propId", UNDEFINED))] = outcome
    swap = params.get("swap", UNDEFINED)
    for key, other in members(swap, f"{_PLACE}: params.swap").items() if js_truthy(swap) else ():
        name = to_string(other)
        result[key], result[name] = result.get(name, UNDEFINED), result.get(key, UNDEFINED)
    return result


def _kept(target: Value, params: dict[str, Value]) -> dict[str, Value]:
    include = params.get("include", UNDEFINED)
    place = f"{_PLACE}: what to filter"
    names: list[Any] = (
        require_list(include, f"{_PLACE}: params.include")
        if js_truthy(include)
        else list(members(target, place))
    )
    dropped = _dropped(option(params, "exclude", []))
    alter = params.get("alter", UNDEFINED)
    result: dict[str, Value] = {}
    for name in names:
        if _identity(name) in dropped:
            continue
        value = member(target, name, place)
        mapping = member(alter, name, "") if js_truthy(alter) else UNDEFINED
        replacement = member(mapping, value, "") if js_truthy(mapping) else UNDEFINED
        result[to_string(name)] = replacement if js_truthy(replacement) else value
    return result


def _dropped(exclude: Value) -> set[Hashable]:
    place = f"{_PLACE}: params.exclude"
    names = list(exclude) if isinstance(exclude, str) else require_list(exclude, place)
    return {_identity(name) for name in names}


def _identity(name: Value) -> Hashable:
    """What makes names distinct in a JavaScript Set: true is not 1, and an object only equals itself."""
    return ("object", id(name)) if is_object(name) else (isinstance(name, bool), name)


def _rules(key: str, params: dict[str, Value]) -> list[Any]:
    rules = params.get(key, UNDEFINED)
    if not js_truthy(rules):
        return []
    place = f"{_PLACE}: params.{key}"
    # What has no members of its own (a number, a string) acts as a rule without any.
    return [rule if is_dict(rule) else members(rule, place) for rule in require_list(rules, place)]


def _datum(data: Value, at: Value) -> Value:
    return member(data, at, f"{_PLACE}: namedInputs.array")


def _inspected(rule: dict[str, Value], data: Value) -> bool | None:
    """Whether the rule holds, or None where it tests nothing: a falsy value cannot be tested for."""
    value = _datum(data, option(rule, "from", 1))
    equal, unequal = rule.get("equal", UNDEFINED), rule.get("notEqual", UNDEFINED)
    if js_truthy(equal):
        return strict_equal(equal, value)
    return not strict_equal(unequal, value) if js_truthy(unequal) else None
