"""The graphs of toolsAgent and toolsSequentialAgent: a model, the tools it calls, the model again.

A tool is an agent: a call of the function ``agent--func`` calls `agent` with {arg, func, tool_call},
and toolsAgent adds `data`, what `passthrough` holds under the agent's name. Of its result, `content`
goes back to the model. Every call of a model and of a tool is a node, and so a call of its own.

The ids of the nodes are GraphAI's, as they show in paths and messages. Where its graph has functions,
this one has small agents such as ``toolsAgent.data``, which are not meant for other graphs
(perdure.agents.shipped.tools). Source: npm @graphai/tools_agent 1.0.5.

Only offered tools are called
    GraphAI calls any agent that the model names, and what a model says may come from a page that it
    read. Here ``toolsAgent.offered`` decides: a name that is not in `tools` becomes a call of
    ``toolsAgent.refusal``, whose `content` says so to the model. A run whose worker did not have
    that agent, which its history shows, keeps the graphs of then.

    Rejected: a check of `tools` before the model is asked. The model decides after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from perdure.graph.values import Value

RESULT_NODE: Final = "result"
"""The node of both graphs whose result is the agent's."""

OFFERED_AGENT: Final = "toolsAgent.offered"
"""The agent that decides which agent a call of the model goes to."""


def _tool(call: str, offered_only: bool, **more: Value) -> dict[str, Value]:
    """The nodes that call the tool which `call`, a reference to {id, name, arguments}, asks for."""
    inputs = {"arg": f"{call}.arguments", "func": f"{call}.name.split(--).$1", "tool_call": call}
    tool = {"agent": f"{call}.name.split(--).$0", "inputs": {**inputs, **more}}
    if not offered_only:
        return {"toolCallAgent": tool}
    decision = {"agent": OFFERED_AGENT, "inputs": {"tools": ":tools", "tool_call": call}}
    return {"offered": decision, "toolCallAgent": {**tool, "agent": ":offered.agent"}}


def _offers(offered_only: bool) -> dict[str, Value]:
    """The input of a graph of calls by which it knows the tools."""
    return {"tools": ":tools"} if offered_only else {}


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


def _one_call(offered_only: bool) -> dict[str, Value]:
    """The graph of one call."""
    tool = _tool(":llmToolCall", offered_only, data=":data")
    return {
        "nodes": {
            "data": {
                "agent": "toolsAgent.data",
                "inputs": {"passthrough": ":passthrough", "agentName": ":llmToolCall.name.split(--).$0"},
            },
            **tool,
            "toolCallAgent": {**tool["toolCallAgent"], "isResult": True},
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


def _calls(offered_only: bool) -> Value:
    """The node that makes all calls of an answer."""
    return {
        "agent": "mapAgent",
        "if": ":llmCallWithTools.tool.id",
        "params": {"compositeResult": True, "rowKey": "llmToolCall"},
        "inputs": {
            "rows": ":llmCallWithTools.tool_calls",
            "passthrough": ":passthrough",
            **_offers(offered_only),
        },
        "graph": _one_call(offered_only),
    }


def _at_once(offered_only: bool) -> Mapping[str, Value]:
    """All calls of an answer in a map, then one answer to all of them. Result: {messages, data}."""
    return {
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
            "llmToolAgentCallMap": _calls(offered_only),
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


# ---- One tool after the other ------------------------------------------------------------------------

_STREAMED: Final = {"dataStream": True}


def _all_calls(offered_only: bool) -> dict[str, Value]:
    """The graph of all calls, in a loop."""
    return {
        "loop": {"while": ":llmToolCalls"},
        "nodes": {
            "toolsResponseMessages": {"update": ":toolsResponseResultMessages.messages"},
            "llmToolCalls": {"value": [], "update": ":llmToolCall.array"},
            "llmToolCall": {"agent": "shiftAgent", "inputs": {"array": ":llmToolCalls"}},
            **_tool(":llmToolCall.item", offered_only),
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


def _in_sequence(offered_only: bool) -> Mapping[str, Value]:
    """The calls of an answer in turn, the model speaking after each. Result: {messages}."""
    return {
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
                    **_offers(offered_only),
                },
                "graph": _all_calls(offered_only),
            },
            RESULT_NODE: _first(
                ":justTextMessagesResult", ":llmToolAgentCallMap.toolsResponseResultMessages"
            ),
        }
    }


TOOLS: Final = _at_once(offered_only=True)
TOOLS_IN_SEQUENCE: Final = _in_sequence(offered_only=True)
EARLIER_TOOLS: Final = _at_once(offered_only=False)
EARLIER_TOOLS_IN_SEQUENCE: Final = _in_sequence(offered_only=False)
