"""What people may know of the agents that run graphs. The engine carries them out: nothing is called here."""

from __future__ import annotations

from typing import Any, Final

from perdure.agents.agent import Agent, Sample
from perdure.agents.schema import array, fields, flag, mapping, number, text

_SUPPRESS = flag("a failure inside gives {onError: {message, error}} instead of failing the node")
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
        inputs=mapping("values by the static node that they go into"),
        params=fields(
            resultNodeId=text("give the result of this node alone; it has to be an isResult node"),
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
        inputs=fields("rows", rows=array("one run of the graph each; other inputs are shared by all runs")),
        params=fields(
            rowKey=text(
                "the static node that holds the row, `row` by default; `__mapIndex` holds its number"
            ),
            expandKeys=array("inputs that are lists, of which each run gets its own element"),
            limit=number("how many rows to take at most"),
            resultAll=flag("the results of all nodes, not of isResult nodes only"),
            compositeResult=flag("one object of lists, instead of a list of objects"),
            compositeResultKey=text("of that object, this list alone"),
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
        description="Gives the new text, or the old one where the new one is empty",
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
            passthrough=mapping("by name of agent, what its calls find as the input `data`"),
            llmModel=text("the model to ask, instead of the default of llmAgent"),
            stream=flag("false: the answers are not shown as events while they grow"),
        ),
        params=fields(supressError=_SUPPRESS),
        output=fields(
            messages=array(
                "the conversation now; the second question was asked without the earlier messages"
            ),
            data=mapping("what the tools gave, by `agent--func`; nothing where none was called"),
        ),
    ),
    _described(
        "toolsSequentialAgent",
        description="Asks a model, calls the tools it wants one by one, and asks it again after each",
        inputs=fields("messages", "userInput", "tools", "llmAgent", **_MESSAGES),
        params=fields(supressError=_SUPPRESS),
        output=fields(messages=array("the conversation now")),
    ),
)
"""One for each of perdure.engine.graph_agents.GRAPH_AGENTS."""
