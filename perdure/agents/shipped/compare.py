"""compareAgent: comparisons and logic, nested as lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from perdure.agents.agent import Sample, agent
from perdure.agents.schema import anything, array, fields, mapping, one_of
from perdure.agents.shipped.objects import is_null, member, option, require_list
from perdure.errors import AgentError
from perdure.graph.javascript import to_number
from perdure.graph.values import UNDEFINED, Value, is_list, js_truthy, strict_equal

OPERATORS: Final[Mapping[str, Callable[[Value, Value], bool]]] = MappingProxyType(
    {
        "==": strict_equal,
        "!=": lambda left, right: not strict_equal(left, right),
        ">": lambda left, right: to_number(left) > to_number(right),
        ">=": lambda left, right: to_number(left) >= to_number(right),
        "<": lambda left, right: to_number(left) < to_number(right),
        "<=": lambda left, right: to_number(left) <= to_number(right),
        "||": lambda left, right: js_truthy(left) or js_truthy(right),
        "&&": lambda left, right: js_truthy(left) and js_truthy(right),
        "XOR": lambda left, right: js_truthy(left) != js_truthy(right),
    }
)


@agent(
    "compareAgent",
    pure=True,
    description="Compares two values, or combines comparisons",
    category="compare",
    inputs=fields(
        array=array(
            "[left, operator, right], or [left, right] with params.operator; sides may be such lists"
        ),
        leftValue=anything("the left side, instead of `array`"),
        rightValue=anything("the right side, instead of `array`"),
    ),
    params=fields(
        operator=one_of(*OPERATORS),
        value=mapping("the results to return for the outcomes `true` and `false`"),
    ),
    output=fields(result=anything("the outcome")),
    samples=[
        Sample(inputs={"array": [[3, "<", 4], "&&", ["a", "!=", "b"]]}, result={"result": True}),
        Sample(
            inputs={"leftValue": "7", "rightValue": 7},
            params={"operator": "==", "value": {"true": "same", "false": "different"}},
            result={"result": "different"},
        ),
    ],
)
def compare(inputs: dict[str, Value], params: dict[str, Value]) -> dict[str, Value]:
    """The outcome, or what `params.value` gives for it."""
    outcome = _outcome(_terms(inputs, params))
    words = params.get("value", UNDEFINED)
    if not js_truthy(words):
        return {"result": outcome}
    word = member(words, "true" if outcome else "false", "compareAgent: params.value")
    return {"result": outcome if is_null(word) else word}


def _terms(inputs: dict[str, Value], params: dict[str, Value]) -> list[Value]:
    terms = option(inputs, "array", [])
    operator = params.get("operator", UNDEFINED)
    left, right = inputs.get("leftValue", UNDEFINED), inputs.get("rightValue", UNDEFINED)
    count = member(terms, "length", "compareAgent: namedInputs.array")
    if js_truthy(operator):
        if count == 2:
            return [terms[0], operator, terms[1]]
        if count == 0 and not is_null(left) and not is_null(right):
            return [left, operator, right]
    if count == 3:
        return require_list(terms, "compareAgent: namedInputs.array")
    raise AgentError("compare inputs is wrong.")


def _outcome(terms: list[Any]) -> bool:
    sides: list[Any] = [_outcome(term) if is_list(term) else term for term in terms]
    left, operator, right = (*sides, UNDEFINED, UNDEFINED, UNDEFINED)[:3]
    if not isinstance(operator, str) or operator not in OPERATORS:
        raise AgentError("unknown compare operator")
    return OPERATORS[operator](left, right)
