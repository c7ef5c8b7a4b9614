"""What agents are called with: inputs and params that most calls accept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perdure.agents.agent import AgentContext
from perdure.agents.catalog import catalog
from perdure.graph.values import UNDEFINED
from tests.differential.draw import KEYS, Draw
from tests.differential.references import References

AGENTS = catalog()
Call = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
"""Inputs, what they may become, params."""

WEIGHTS = {
    "copyAgent": 30,
    "echoAgent": 3,
    "stringTemplateAgent": 3,
    "jsonParserAgent": 1.5,
    "pushAgent": 2,
    "popAgent": 1,
    "shiftAgent": 1,
    "arrayJoinAgent": 1.5,
    "arrayFlatAgent": 1,
    "arrayToObjectAgent": 0.5,
    "arrayFindFirstExistsAgent": 1,
    "compareAgent": 3,
    "dataSumTemplateAgent": 1.5,
    "totalAgent": 0.7,
    "propertyFilterAgent": 0.7,
    "lookupDictionaryAgent": 0.7,
    "mergeObjectAgent": 0.7,
    "mergeNodeIdAgent": 1,
    "countingAgent": 1,
    "copyMessageAgent": 0.5,
    "copy2ArrayAgent": 0.5,
    "stringSplitterAgent": 0.5,
    "stringCaseVariantsAgent": 0.5,
    "sortByValuesAgent": 0.5,
}


def call(agent: str, draw: Draw, refs: References) -> Call:
    """A call of a shipped agent."""
    makers: dict[str, Callable[[Draw, References], Call]] = {
        "copyAgent": _copy,
        "echoAgent": _echo,
        "stringTemplateAgent": _template,
        "compareAgent": _compare,
        "pushAgent": _push,
        "jsonParserAgent": _parse,
        "lookupDictionaryAgent": _look_up,
        "arrayToObjectAgent": _objects,
        "mergeObjectAgent": _objects,
        "sortByValuesAgent": _sort,
        "countingAgent": _count,
        "copyMessageAgent": _count,
        "copy2ArrayAgent": _count,
        "stringSplitterAgent": _text,
        "stringCaseVariantsAgent": _text,
    }
    return makers.get(agent, _array)(draw, refs)


def foreseen(agent: str, inputs: dict[str, Any], params: dict[str, Any]) -> Any:
    """The agent's result for these inputs; UNDEFINED where it fails."""
    try:
        return AGENTS[agent].call(inputs, params, AgentContext())
    except Exception:
        return UNDEFINED


def _copy(draw: Draw, refs: References) -> Call:
    keys = [draw.pick(KEYS) for _ in range(draw.count(1, 3))]
    parts = {key: refs.inputs() for key in keys}
    params = {"namedKey": draw.pick(keys)} if draw.chance(0.35) else {}
    if draw.chance(0.05):
        parts["params"] = refs.inputs(1)
    return _split(parts, params)


def _echo(draw: Draw, refs: References) -> Call:
    params = {draw.pick(KEYS): draw.value(1) for _ in range(draw.count(0, 3))}
    if draw.chance(0.2):
        params["x"] = draw.pick((":a", "${:a}", "@loop"))  # never resolved
    parts = {"params": refs.inputs()} if draw.chance(0.6) else {}
    if draw.chance(0.1):
        params["filterParams"] = True
    return _split(parts, params)


def _template(draw: Draw, refs: References) -> Call:
    parts = {key: refs.inputs(1) for key in ("text", "name", "k")[: draw.count(1, 3)]}
    template = draw.pick(
        ("${text}", "<${text}|${name}>", {"a": "${text}", "b": ["x ${k}"]}, "${k} ${k}", "", None)
    )
    return _split(parts, {"template": template})


def _compare(draw: Draw, refs: References) -> Call:
    operator = draw.pick(("==", "!=", ">", ">=", "<", "<=", "||", "&&", "XOR", "=~"))
    left, right = _scalar(draw, refs), _scalar(draw, refs)
    if draw.chance(0.7):
        array = [left[0], operator, right[0]], [left[1], operator, right[1]]
        return _split({"array": array}, {"value": {"true": "yes", "false": 0}} if draw.chance(0.2) else {})
    parts = {"leftValue": left, "rightValue": right}
    return _split(parts, {"operator": operator})


def _scalar(draw: Draw, refs: References) -> tuple[Any, Any]:
    reference = refs.typed(draw.pick((int, str, bool)))
    if reference and draw.chance(0.8):
        return reference
    value = draw.scalar()
    return value, value


def _push(draw: Draw, refs: References) -> Call:
    parts = {"array": list_of(draw, refs)}
    if draw.chance(0.6):
        parts["item"] = refs.inputs(1)
    if draw.chance(0.4):
        parts["items"] = list_of(draw, refs)
    return _split(parts, {"arrayKey": "list"} if draw.chance(0.1) else {})


def _parse(draw: Draw, refs: References) -> Call:
    if draw.chance(0.5):
        return _split({"data": refs.inputs(1)}, {})
    texts = ('{"a": [1]}', "[1, 2]", "```json\n[3]\n```", "{no json")
    chosen = draw.pick(texts)
    return _split({"text": (chosen, chosen)}, {})


def _look_up(draw: Draw, refs: References) -> Call:
    del refs
    key = draw.pick(("a", "b", "zz"))
    return _split(
        {"namedKey": (key, key)}, {"supressError": True} if draw.chance(0.3) else {}, a=1, b={"k": 2}
    )


def _objects(draw: Draw, refs: References) -> Call:
    reference = refs.typed(dict)
    items = [
        reference if reference and draw.chance(0.5) else ({"k": 1}, {"k": 1}) for _ in range(draw.count(1, 3))
    ]
    return _split({"items": ([text for text, _ in items], [example for _, example in items])}, {"key": "k"})


def _sort(draw: Draw, refs: References) -> Call:
    values = [draw.count(0, 5) for _ in range(3)]
    parts = {"array": list_of(draw, refs), "values": (values, values)}
    return _split(parts, {"assendant": True} if draw.chance(0.3) else {})


def _count(draw: Draw, refs: References) -> Call:
    params = {"count": draw.pick((0, 1, 2, 3)), "message": draw.scalar()}
    return _split({"item": refs.inputs(1)} if draw.chance(0.7) else {}, params)


def _text(draw: Draw, refs: References) -> Call:
    reference = refs.typed(str)
    if not reference or draw.chance(0.3):
        value = draw.pick(("hello world", "foo Bar-baz", ""))
        reference = value, value
    return _split({"text": reference}, {"chunkSize": 4, "overlap": 1} if draw.chance(0.5) else {})


def _array(draw: Draw, refs: References) -> Call:
    return _split({"array": list_of(draw, refs)}, {"flatResponse": True} if draw.chance(0.4) else {})


def list_of(draw: Draw, refs: References) -> tuple[Any, Any]:
    """A list: mostly a reference to one, else one of references, now and then none."""
    reference = refs.typed(list)
    if reference and draw.chance(0.6):
        return reference
    if draw.chance(0.05):
        return refs.inputs()
    leaves = [refs.leaf() for _ in range(draw.count(1, 3))]
    if draw.chance(0.3):
        value = draw.list()
        return value, value
    return [text for text, _ in leaves], [example for _, example in leaves]


def _split(parts: dict[str, tuple[Any, Any]], params: dict[str, Any], **dictionary: Any) -> Call:
    if dictionary:
        params = {**params, "dictionary": dictionary, **dictionary}
    texts = {key: text for key, (text, _) in parts.items()}
    return texts, {key: example for key, (_, example) in parts.items()}, params
