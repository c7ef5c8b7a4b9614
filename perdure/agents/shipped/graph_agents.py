"""What people may know of the agents that run graphs. The engine carries them out: nothing is called here."""

from __future__ import annotations

from typing import Any, Final

from perdure.agents.agent import Agent, Sample
from perdure.agents.schema import array, fields, flag, mapping, number, one_of, text
from perdure.graph.fields import LATE_ROWS

_SUPPRESS = flag("a failure inside returns {onError: {message, error}} instead of failing the node")
_RESULTS = "by node id"

_MESSAGES: dict[str, Any] = {
    "messages": array("the conversation so far"),
    "userInput": fields("text", text=text("what the person says now")),
    "tools": array(
        "functions that the model may call: `agent--func` calls that agent with {arg, func, tool_call}; "
        "a call of any other is answered with an error"
    ),
    "llmAgent": text("the agent that asks the model, such as openAIAgent"),
}

_SUM: dict[str, Any] = {
    "version": 0.5,
    "nodes": {
        "total": {"agent": "totalAgent", "inputs": {"array": [{"pay": ":wage"}, {"pay": ":bonus"}]}},
        "paid": {"agent": "copyAgent", "inputs": {"sum": ":total.data.pay"}, "isResult": True},
    },
}
_GREET: dict[str, Any] = {
    "version": 0.5,
    "nodes": {
        "hello": {
            "agent": "stringTemplateAgent",
            "params": {"template": "${word}, ${name}!"},
            "inputs": {"word": ":word", "name": ":row"},
            "isResult": True,
        }
    },
}


def _by_the_engine() -> None:
    raise NotImplementedError("the engine carries out graph agents")


def _described(name: str, **facts: Any) -> Agent:
    return Agent(name=name, function=_by_the_engine, category=("graph",), **facts)


DESCRIBED_GRAPH_AGENTS: Final[tuple[Agent, ...]] = (
    _described(
        "nestedAgent",
        description="Runs the graph of its node once; each input becomes a static node of that graph",
        inputs=mapping("a value for each static node to set"),
        params=fields(
            resultNodeId=text("return only the result of this node, which must be an isResult node"),
            supressError=_SUPPRESS,
        ),
        output=mapping(f"the results of the graph's isResult nodes, {_RESULTS}"),
        samples=(
            Sample(inputs={"wage": 1200, "bonus": 34}, graph=_SUM, result={"paid": {"sum": 1234}}),
            Sample(
                inputs={"wage": 5, "bonus": 6},
                params={"resultNodeId": "paid"},
                graph=_SUM,
                result={"sum": 11},
            ),
        ),
    ),
    _described(
        "mapAgent",
        description="Runs the graph of its node once for each row, all rows at once",
        inputs=fields("rows", rows=array("the graph runs once for each; all runs share the other inputs")),
        params=fields(
            rowKey=text(
                "the static node that holds the row, `row` by default; `__mapIndex` holds its number"
            ),
            expandKeys=array("inputs that are lists; each run receives its own element"),
            limit=number("the maximum number of rows"),
            resultAll=flag("return the results of all nodes, not only of isResult nodes"),
            compositeResult=flag("return one object of lists instead of a list of objects"),
            compositeResultKey=text("return only this list of that object"),
            quorum=number(
                "this many rows are enough, a share of them below 1: the result is {rows, index, missing}"
            ),
            deadline=number("with quorum: milliseconds until the map ends with the rows that have a result"),
            grace=number("with quorum: milliseconds for the other rows once enough have a result"),
            late={
                **one_of(*LATE_ROWS),
                "description": "with quorum: cancel late rows, or let them count in a later pass of the loop",
            },
            supressError=_SUPPRESS,
        ),
        output=array(f"the results of each run in the order of the rows, {_RESULTS}"),
        samples=(
            Sample(
                inputs={"rows": ["Ada", "Bo"], "word": "Hello"},
                graph=_GREET,
                result=[{"hello": "Hello, Ada!"}, {"hello": "Hello, Bo!"}],
            ),
            Sample(
                inputs={"rows": ["Ada", "Bo"], "word": ["Hello", "Bye"]},
                params={"expandKeys": ["word"], "compositeResult": True},
                graph=_GREET,
                result={"hello": ["Hello, Ada!", "Bye, Bo!"]},
            ),
        ),
    ),
    _described(
        "stringUpdateTextAgent",
        description="Returns the new text, or the old one if the new one is empty",
        inputs=fields(newText=text("the new text"), oldText=text("the old text")),
        output=fields(text=text("one of them")),
        samples=(
            Sample(inputs={"newText": "draft 2", "oldText": "draft 1"}, result={"text": "draft 2"}),
            Sample(inputs={"newText": "", "oldText": "draft 1"}, result={"text": "draft 1"}),
        ),
    ),
    _described(
        "toolsAgent",
        description="Asks a model, calls all tools it wants at once, and asks it again with their `content`",
        inputs=fields(
            "messages",
            "userInput",
            "tools",
            "llmAgent",
            **_MESSAGES,
            passthrough=mapping("by name of agent: what its calls receive as the input `data`"),
            llmModel=text("the model to ask, instead of the default of llmAgent"),
            stream=flag("false: do not stream the answers"),
        ),
        params=fields(supressError=_SUPPRESS),
        output=fields(
            messages=array(
                "the updated conversation; the second request was sent without the earlier messages"
            ),
            data=mapping("what the tools returned, by `agent--func`; nothing if none was called"),
        ),
    ),
    _described(
        "toolsSequentialAgent",
        description="Asks a model, calls the tools it wants one by one, and asks it again after each",
        inputs=fields("messages", "userInput", "tools", "llmAgent", **_MESSAGES),
        params=fields(supressError=_SUPPRESS),
        output=fields(messages=array("the updated conversation")),
    ),
)
"""One for each of perdure.engine.graph_agents.GRAPH_AGENTS."""
