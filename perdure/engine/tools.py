"""The graphs of toolsAgent and toolsSequentialAgent: a model, the tools it calls, the model again.

A tool is an agent: a call of the function ``agent--func`` calls `agent` with {arg, func, tool_call},
and toolsAgent adds `data`, what `passthrough` holds under the agent's name. Of its result, `content`
goes back to the model. Every call of a model and of a tool is a node, and so a call of its own.

The ids of the nodes are GraphAI's, as they show in paths and messages. Where its graph has functions,
this one has two small agents, ``toolsAgent.data`` and ``toolsAgent.merge``, which are not meant for
other graphs (perdure.agents.shipped.tools). Source: npm @graphai/tools_agent 1.0.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from perdure.graph.values import Value

RESULT_NODE: Final = "result"
"""The node of both graphs whose result is the agent's."""


def _tool(call: str, **more: Value) -> Value:
    """The node that calls the tool which `call`, a reference to {id, name, arguments}, asks for."""
    inputs = {"arg": f"{call}.arguments", "func": f"{call}.name.split(--).$1", "tool_call": call}
    return {"agent": f"{call}.name.split(--).$0", "inputs": {**inputs, **more}}


def _call_facts(call: str) -> dict[str, Value]:
    """What the message about a tool's answer keeps of the call."""
    name = f"{call}.name.split(--)"
    return {"agent": f"{name}.$0", "arg": f"{call}.arguments", "func": f"{name}.$1"}


def _model(inputs: Mapping[str, Value], params: Mapping[str, Value]) -> dict[str, Value]:
    """A node that asks the model."""
    return {"agent": ":llmAgent", "params": {"forWeb": True, **params}, "inputs": inputs}


def _pushed(array: Value, key: str | None = None, **inputs: Value) -> dict[str, Value]:
    """A node whose result is a list with more at its end, under `key`."""
    params = {"arrayKey": key} if key else {}
    return {"agent": "pushAgent", "params": params, "inputs": {"array": array, **inputs}}


def _first(*references: str) -> Value:
    """The result: whichever of these there is."""
    inputs = {"array": list(references)}
    return {"agent": "arrayFindFirstExistsAgent", "anyInput": True, "isResult": True, "inputs": inputs}


_SPOKEN: Final[list[Value]] = [{"role": "user", "content": ":userInput.text"}, ":llmCallWithTools.message"]
_ASKED: Final = {"messages": ":messages", "prompt": ":userInput.text", "tools": ":tools"}

# ---- All tools of an answer at once ------------------------------------------------------------------

_CHOSEN: Final = {"model": ":llmModel", "dataStream": ":stream"}

_ONE_CALL: Final[Mapping[str, Value]] = {
    "nodes": {
        "data": {
            "agent": "toolsAgent.data",
            "inputs": {"passthrough": ":passthrough", "agentName": ":llmToolCall.name.split(--).$0"},
        },
        "toolCallAgent": {**_tool(":llmToolCall", data=":data"), "isResult": True},
        "toolsAgentResponseMessage": {
            "agent": "copyAgent",
            "isResult": True,
            "inputs": {
                "role": "tool",
                "tool_call_id": ":llmToolCall.id",
                "content": ":toolCallAgent.content",
                "extra": _call_facts(":llmToolCall"),
            },
        },
    }
}

TOOLS: Final[Mapping[str, Value]] = {
    "nodes": {
        "passthrough": {"value": {}},
        "llmAgent": {},
        "llmModel": {"value": ""},
        "stream": {"value": True},
        "llmCallWithTools": {**_model({**_ASKED, "params": _CHOSEN}, {}), "isResult": True},
        "justTextMessagesResult": {
            **_pushed(":messages", "messages", items=_SPOKEN),
            "unless": ":llmCallWithTools.tool.id",
        },
        "llmToolAgentCallMap": {
            "agent": "mapAgent",
            "if": ":llmCallWithTools.tool.id",
            "params": {"compositeResult": True, "rowKey": "llmToolCall"},
            "inputs": {"rows": ":llmCallWithTools.tool_calls", "passthrough": ":passthrough"},
            "graph": _ONE_CALL,
        },
        "toolsMessage": _pushed(_SPOKEN, items=":llmToolAgentCallMap.toolsAgentResponseMessage"),
        "toolsResponseLLM": {
            **_model({"messages": ":toolsMessage.array", "params": _CHOSEN}, {}),
            "isResult": True,
        },
        "toolsResponseMessages": {
            **_pushed(":toolsMessage.array", item=":toolsResponseLLM.message"),
            "isResult": True,
        },
        "mergedData": {
            "agent": "toolsAgent.merge",
            "inputs": {
                "data": ":llmToolAgentCallMap.toolCallAgent",
                "llmToolCalls": ":llmCallWithTools.tool_calls",
            },
        },
        "toolsResult": _pushed(
            ":messages", "messages", items=":toolsResponseMessages.array", data=":mergedData"
        ),
        RESULT_NODE: _first(":justTextMessagesResult", ":toolsResult"),
    }
}
"""All calls of an answer in a map, then one answer to all of them. Result: {messages, data}."""

# ---- One tool after the other ------------------------------------------------------------------------

_STREAMED: Final = {"dataStream": True}

_ALL_CALLS: Final[Mapping[str, Value]] = {
    "loop": {"while": ":llmToolCalls"},
    "nodes": {
        "toolsResponseMessages": {"update": ":toolsResponseResultMessages.messages"},
        "llmToolCalls": {"value": [], "update": ":llmToolCall.array"},
        "llmToolCall": {"agent": "shiftAgent", "inputs": {"array": ":llmToolCalls"}},
        "toolCallAgent": _tool(":llmToolCall.item"),
        "toolCallMessagesResult": _pushed(
            ":toolsResponseMessages",
            "messages",
            item={
                "role": "tool",
                "tool_call_id": ":llmToolCall.item.id",
                "name": ":llmToolCall.item.name",
                "content": ":toolCallAgent.content",
                "extra": {**_call_facts(":llmToolCall.item"), "data": ":toolCallAgent.data"},
            },
        ),
        "toolsResponseLLM": _model({"messages": ":toolCallMessagesResult.messages"}, _STREAMED),
        "toolsResponseResultMessages": {
            **_pushed(":toolCallMessagesResult.messages", "messages", item=":toolsResponseLLM.message"),
            "isResult": True,
        },
    },
}

TOOLS_IN_SEQUENCE: Final[Mapping[str, Value]] = {
    "nodes": {
        "passthrough": {"value": {}},
        "llmAgent": {},
        "llmCallWithTools": {**_model(_ASKED, _STREAMED), "isResult": True},
        "textMessagesResult": _pushed(":messages", "messages", items=_SPOKEN),
        "justTextMessagesResult": {
            "agent": "copyAgent",
            "unless": ":llmCallWithTools.tool.id",
            "inputs": {"messages": ":textMessagesResult.messages"},
        },
        "llmToolAgentCallMap": {
            "agent": "nestedAgent",
            "if": ":llmCallWithTools.tool_calls",
            "inputs": {
                "llmToolCalls": ":llmCallWithTools.tool_calls",
                "passthrough": ":passthrough",
                "toolsResponseMessages": ":textMessagesResult.messages",
                "llmAgent": ":llmAgent",
            },
            "graph": _ALL_CALLS,
        },
        RESULT_NODE: _first(":justTextMessagesResult", ":llmToolAgentCallMap.toolsResponseResultMessages"),
    }
}
"""The calls of an answer in turn, the model speaking after each. Result: {messages}."""
