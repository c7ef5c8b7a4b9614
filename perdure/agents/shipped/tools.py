"""The agents inside the graphs of toolsAgent (perdure.engine.tools), where GraphAI's have functions."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.agents.agent import Sample, agent
from perdure.agents.schema import anything, array, fields, mapping, text
from perdure.agents.shipped.objects import is_null, kind, member
from perdure.errors import AgentError
from perdure.graph.javascript import to_string
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, js_truthy


@agent(
    "toolsAgent.offered",
    pure=True,
    description="Internal to toolsAgent: the agent that a call of the model goes to",
    category="graph",
    inputs=fields(tools=array("what was offered to the model"), tool_call=anything("{name}")),
    output=fields(agent=text("the tool's agent; toolsAgent.refusal where the tool was not offered")),
    samples=[
        Sample(
            inputs={"tools": [{"function": {"name": "lamp--on"}}], "tool_call": {"name": "lamp--on"}},
            result={"agent": "lamp"},
        ),
        Sample(
            inputs={"tools": [{"function": {"name": "lamp--on"}}], "tool_call": {"name": "oven--on"}},
            result={"agent": "toolsAgent.refusal"},
        ),
    ],
)
def offered(inputs: Mapping[str, Value]) -> Value:
    """The agent in the name of the tool, if there is such a tool; nothing for a call without a name."""
    call, tools = inputs.get("tool_call"), inputs.get("tools")
    name = call.get("name") if is_dict(call) else None
    if not isinstance(name, str):
        return {}
    functions = [tool.get("function") for tool in tools if is_dict(tool)] if is_list(tools) else []
    is_offered = any(is_dict(function) and function.get("name") == name for function in functions)
    return {"agent": name.partition("--")[0] if is_offered else "toolsAgent.refusal"}


@agent(
    "toolsAgent.refusal",
    pure=True,
    description="Internal to toolsAgent: what the model reads where it called a tool that it was not offered",
    category="graph",
    output=fields(content=text("says so")),
    samples=[
        Sample(result={"content": "Error: there is no such tool, and nothing was called."}),
    ],
)
def refusal(inputs: Mapping[str, Value]) -> Value:
    """A message to the model, in place of the tool's."""
    del inputs
    return {"content": "Error: there is no such tool, and nothing was called."}


@agent(
    "toolsAgent.data",
    pure=True,
    description="Internal to toolsAgent: what its passthrough holds for one tool",
    category="graph",
    inputs=fields(passthrough=anything("by name of agent"), agentName=text("whose part is the result")),
    output=anything("that part; an empty dictionary where it is missing or falsy"),
    samples=[
        Sample(
            inputs={"passthrough": {"lamp": {"room": "hall"}}, "agentName": "lamp"}, result={"room": "hall"}
        ),
        Sample(inputs={"passthrough": {}, "agentName": "lamp"}, result={}),
    ],
)
def data(inputs: Mapping[str, Value]) -> Value:
    """`passthrough[agentName]`, an empty dictionary for what is falsy."""
    passed = inputs.get("passthrough", UNDEFINED)
    if is_null(passed):
        return {}
    tool_data = member(passed, inputs.get("agentName", UNDEFINED), "toolsAgent: passthrough")
    return tool_data if js_truthy(tool_data) else {}


@agent(
    "toolsAgent.merge",
    pure=True,
    description="Internal to toolsAgent: the results of its tools by the names they were called by",
    category="graph",
    inputs=fields(
        "llmToolCalls",
        "data",
        llmToolCalls=array("{id, name, arguments} of each call"),
        data=array("the results in the same order"),
    ),
    output=mapping("of two calls of one name, the later result"),
    samples=[
        Sample(
            inputs={"llmToolCalls": [{"name": "lamp--on"}, {"name": "oven--off"}], "data": [{"ok": True}, 7]},
            result={"lamp--on": {"ok": True}, "oven--off": 7},
        )
    ],
)
def merge(inputs: Mapping[str, Value]) -> Value:
    """The results by name. Raises AgentError where the first tool gave none, as GraphAI fails there."""
    calls, results = inputs.get("llmToolCalls", UNDEFINED), inputs.get("data", UNDEFINED)
    if not is_list(calls):
        raise AgentError(f"toolsAgent: the model's tool_calls is {kind(calls)}, not a list")
    if not is_list(results):
        raise AgentError("toolsAgent: the first tool gave no result; return {content: ...} from it")
    names = [to_string(member(call, "name", "toolsAgent: a call of a tool")) for call in calls]
    return {name: member(results, index, "") for index, name in enumerate(names)}
