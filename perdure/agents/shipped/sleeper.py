"""Agents that wait."""

from __future__ import annotations

import math
from typing import Final

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.resting import rest
from perdure.agents.schema import anything, array, fields, flag, number
from perdure.agents.shipped.objects import deep_merge, option, require_list
from perdure.errors import AgentError
from perdure.graph.javascript import to_number
from perdure.graph.values import UNDEFINED, Value, js_truthy

INTENTIONAL: Final = "Intentional Error for Debugging"
"""The message of a failure that was asked for."""

_DURATION = number("milliseconds to wait")
_MERGE = fields(array=array("objects to merge in depth"))
_MERGED = anything("`value` merged with the objects")


async def pause(milliseconds: Value) -> None:
    """Waits as setTimeout does: 1 ms if the time is less than that, infinite or not a number."""
    duration = float(to_number(milliseconds))
    await rest((duration if 1 <= duration < math.inf else 1) / 1000)


@agent(
    "sleeperAgent",
    description="Waits, then returns its inputs",
    category="sleeper",
    inputs=anything(),
    params=fields(duration=_DURATION),
    output=anything("the inputs"),
    samples=[Sample(inputs={"tea": "green"}, params={"duration": 1}, result={"tea": "green"})],
)
async def sleeper(inputs: dict[str, Value], params: dict[str, Value]) -> Value:
    """The inputs, after `duration` (10 by default) milliseconds."""
    await pause(option(params, "duration", 10))
    return inputs


@agent(
    "sleepAndMergeAgent",
    description="Waits, then merges objects",
    category="sleeper",
    inputs=_MERGE,
    params=fields(duration=_DURATION, value=anything("what to merge them into")),
    output=_MERGED,
    samples=[
        Sample(
            inputs={"array": [{"x": [1]}, {"x": [2], "y": 3}]},
            params={"duration": 1, "value": {"z": 0}},
            result={"z": 0, "x": [1, 2], "y": 3},
        )
    ],
)
async def sleep_and_merge(inputs: dict[str, Value], params: dict[str, Value]) -> Value:
    """`value` merged with each of `array`, after `duration` (10 by default) milliseconds."""
    await pause(option(params, "duration", 10))
    return _merged("sleepAndMergeAgent", inputs, params)


@agent(
    "sleeperAgentDebug",
    description="Waits and merges like sleepAndMergeAgent, and fails twice if `fail` is true",
    category="sleeper",
    inputs=_MERGE,
    params=fields(
        "duration",
        duration=number("milliseconds to wait; a retry waits half, a third, ... of it"),
        value=anything("what to merge the objects into"),
        fail=flag("fail on the first call and on the first retry"),
    ),
    output=_MERGED,
    samples=[
        Sample(
            inputs={"array": [{"a": 1}]}, params={"duration": 1, "value": {"b": 2}}, result={"b": 2, "a": 1}
        )
    ],
)
async def sleeper_debug(inputs: dict[str, Value], params: dict[str, Value], context: AgentContext) -> Value:
    """`value` merged with each of `array`, unless this is a failure that was asked for."""
    await pause(float(to_number(params.get("duration", UNDEFINED))) / (context.retry + 1))
    if js_truthy(params.get("fail", UNDEFINED)) and context.retry < 2:
        raise AgentError(INTENTIONAL)
    return _merged("sleeperAgentDebug", inputs, params)


def _merged(name: str, inputs: dict[str, Value], params: dict[str, Value]) -> Value:
    parts = require_list(option(inputs, "array", []), f"{name}: namedInputs.array")
    return deep_merge(option(params, "value", {}), parts)
