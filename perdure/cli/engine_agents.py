"""What people may know of the agents that the engine itself carries out, in words like an Agent's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_SUPPRESS: Final = "true: a failure inside becomes the result {onError: {message}}"
_TALK: Final = {
    "messages": "the conversation so far",
    "userInput": "{text}: what the user says",
    "tools": "what the model may call, in OpenAI's form; the function `agent--func` calls that agent",
    "llmAgent": "the name of the agent that asks the model, such as openAIAgent",
    "passthrough": "values for the tools, by agent",
}

ENGINE_AGENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "nestedAgent": {
        "description": "Runs the graph of its node once",
        "inputs": "each becomes a static node of that graph; loopCount replaces its loop",
        "params": {"resultNodeId": "the result is that of this node", "supressError": _SUPPRESS},
        "output": "the results of the graph's isResult nodes, by id",
    },
    "mapAgent": {
        "description": "Runs the graph of its node for each item of a list",
        "inputs": {
            "rows": "the list; in the graph, its item is `:row` and its index `:__mapIndex`",
            "others": "each becomes a static node of the graph",
        },
        "params": {
            "rowKey": "another name than `row`",
            "limit": "at most so many rows",
            "expandKeys": "inputs that are lists too: each row gets its own item",
            "resultAll": "true: the results of all nodes, not only of isResult ones",
            "compositeResult": "true: a list per node, instead of an object per row",
            "compositeResultKey": "the list of this node alone",
            "supressError": _SUPPRESS,
        },
        "output": "a list with the results of the isResult nodes of each row",
    },
    "stringUpdateTextAgent": {
        "description": "Gives a new text, or the old one where the new one is empty",
        "inputs": {"newText": "a text", "oldText": "a text"},
        "output": "{text}",
    },
    "toolsAgent": {
        "description": "Asks a model that may call agents as tools, all at once, and lets it answer",
        "inputs": {**_TALK, "llmModel": "the model", "stream": "false: no events while it answers"},
        "output": "{messages, data}: what was said since, and what the tools gave",
    },
    "toolsSequentialAgent": {
        "description": "Asks a model that may call agents as tools, one after the other",
        "inputs": _TALK,
        "output": "{messages}: the conversation, with what was said since",
    },
}
