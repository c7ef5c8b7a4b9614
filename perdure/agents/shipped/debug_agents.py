"""Agents for trying out graphs: they echo, count, repeat and stream."""

from __future__ import annotations

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.schema import anything, array, fields, mapping, number, text
from perdure.agents.shipped.objects import (
    array_length,
    kind,
    option,
    require_array,
    require_inputs,
    spread,
)
from perdure.agents.shipped.sleeper import pause
from perdure.errors import AgentError
from perdure.graph.values import UNDEFINED, Value, js_truthy

_COUNT = number("how many")


@agent(
    "echoAgent",
    pure=True,
    description="Returns its params",
    category="test",
    params=anything("what to return; with `filterParams`, what the filters received, `***` for the worker's"),
    output=mapping(),
    samples=[Sample(params={"answer": 42}, result={"answer": 42})],
)
def echo(params: dict[str, Value], context: AgentContext) -> Value:
    """The params, or the filter params where `filterParams` is set.

    What the filters of the worker gave may be a key of the operator: of that, a graph sees the name.
    """
    if not js_truthy(params.get("filterParams", UNDEFINED)):
        return dict(params)
    if context.node_filter_params is None:
        return context.filter_params
    params_of_filters, own = spread(context.filter_params), spread(context.node_filter_params)
    return {
        name: value if name in own and own[name] is value else "***"
        for name, value in params_of_filters.items()
    }


@agent(
    "mergeNodeIdAgent",
    pure=True,
    description="Merges objects into one that has a greeting under the id of the node",
    category="test",
    inputs=fields("array", array=array("objects")),
    output=mapping(),
    samples=[Sample(inputs={"array": [{"a": 1}, {"b": 2}]}, result={"node": "hello", "a": 1, "b": 2})],
)
def merge_node_id(inputs: dict[str, Value], context: AgentContext) -> dict[str, Value]:
    """`hello` under the node's id, then the members of each element."""
    merged: dict[str, Value] = {context.node: "hello"}
    for item in require_array("mergeNodeIdAgent", inputs):
        merged.update(spread(item))
    return merged


@agent(
    "countingAgent",
    pure=True,
    description="Counts from 0",
    category="test",
    params=fields(count=_COUNT),
    output=fields(list=array("0, 1, 2, ...", items=number())),
    samples=[Sample(params={"count": 4}, result={"list": [0, 1, 2, 3]})],
)
def counting(params: dict[str, Value]) -> dict[str, Value]:
    """The integers below `count`."""
    return {"list": list(range(_count("countingAgent", params)))}


@agent(
    "copyMessageAgent",
    pure=True,
    description="Repeats a message",
    category="test",
    params=fields(count=_COUNT, message=anything("what to repeat")),
    output=fields(messages=array()),
    samples=[Sample(params={"count": 2, "message": "tick"}, result={"messages": ["tick", "tick"]})],
)
def copy_message(params: dict[str, Value]) -> dict[str, Value]:
    """`count` times the message."""
    return {"messages": [params.get("message", UNDEFINED)] * _count("copyMessageAgent", params)}


@agent(
    "copy2ArrayAgent",
    pure=True,
    description="Repeats an item",
    category="test",
    inputs=fields(item=anything("what to repeat; all inputs if it is falsy")),
    params=fields(count=_COUNT),
    output=array(),
    samples=[
        Sample(inputs={"item": {"seat": "A1"}}, params={"count": 2}, result=[{"seat": "A1"}, {"seat": "A1"}])
    ],
)
def copy_to_array(inputs: dict[str, Value], params: dict[str, Value]) -> list[Value]:
    """`count` times the item."""
    require_inputs("copy2ArrayAgent", inputs)
    item = inputs.get("item", UNDEFINED)
    return [item if js_truthy(item) else inputs] * _count("copy2ArrayAgent", params)


def _count(name: str, params: dict[str, Value]) -> int:
    return array_length(params.get("count", UNDEFINED), f"{name}: params.count")


@agent(
    "streamMockAgent",
    description="Streams a message character by character, as a language model would",
    category="test",
    inputs=fields(message=text("what to stream")),
    params=fields(
        message=text("what to stream, instead of the input"),
        sleep=number("milliseconds between characters, 100 by default"),
    ),
    output=fields(message=text()),
    samples=[Sample(inputs={"message": "hi"}, params={"sleep": 1}, result={"message": "hi"})],
)
async def stream_mock(
    inputs: dict[str, Value], params: dict[str, Value], context: AgentContext
) -> dict[str, Value]:
    """The message, after it has been emitted piece by piece."""
    message = option(params, "message", option(inputs, "message", ""))
    if not isinstance(message, str):
        raise AgentError(f"streamMockAgent: the message is {kind(message)}, not a string")
    delay = params.get("sleep", UNDEFINED)
    for character in message:
        await context.emit(character)
        await pause(delay if js_truthy(delay) else 100)
    return {"message": message}
