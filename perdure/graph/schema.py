"""The language as a JSON Schema (draft 2020-12), for editors and other tools.

It accepts every graph that runs; which nodes there are, and what waits for what, only
perdure.graph.check can decide. The keys are those of perdure.graph.fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from perdure.graph.bounds import MAX_SESSION_CALL_COUNT
from perdure.graph.fields import (
    COMPUTED_KEYS,
    DEFAULT_CONCURRENCY,
    GRAPH_KEYS,
    GRAPH_RUNNERS,
    PLACEMENTS,
    STATIC_KEYS,
    VERSION,
)

Schema = dict[str, Any]

SCHEMA_ID: Final = "https://json-schema.org/draft/2020-12/schema"
_EMPTY: Final = (None, False, 0, "")
_COUNT: Final[Schema] = {"type": "integer", "minimum": 1}


def _any(description: str, **more: Any) -> Schema:
    return {"description": description, **more}


def _reference(description: str, **more: Any) -> Schema:
    """A reference, or one of the values that count as none."""
    written = {"type": "string", "pattern": "^:", "examples": [":node", ":node.list.$0.name"]}
    return {"description": description, "anyOf": [written, {"enum": list(_EMPTY)}], **more}


_GRAPH: Final[dict[str, Schema]] = {
    "nodes": {
        "description": "The nodes by id. An id is any text; one with a dot in it cannot be referred to.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"$ref": "#/$defs/node"},
    },
    "concurrency": {
        "description": "How many nodes may run at once, in the whole run; nested graphs share it.",
        "default": DEFAULT_CONCURRENCY,
        "anyOf": [
            _COUNT,
            {
                "type": "object",
                "required": ["global"],
                "additionalProperties": False,
                "properties": {
                    "global": {**_COUNT, "description": "How many nodes may run at once."},
                    "labels": {
                        "description": "How many nodes of each label may run at once.",
                        "type": "object",
                        "additionalProperties": _COUNT,
                    },
                },
            },
        ],
    },
    "agentId": _any("Accepted and ignored.", deprecated=True),
    "loop": {
        "description": "Runs the graph again and again: a number of times, or while a value is true.",
        "anyOf": [
            {"enum": list(_EMPTY)},
            {
                "type": "object",
                "oneOf": [{"required": ["count"]}, {"required": ["while"]}],
                "properties": {
                    "count": _any("How often the graph runs.", type=["integer", "number", "string", "null"]),
                    "while": _any(
                        "Runs again while this is true. An empty list counts as false.",
                        type=["string", "boolean", "null"],
                        examples=[":people"],
                    ),
                },
            },
        ],
    },
    "verbose": _any("True makes agents log more.", default=False),
    "version": _any("The version of the format. Has no effect.", default=VERSION),
    "metadata": _any("Anything; not read."),
}

_STATIC: Final[dict[str, Schema]] = {
    "value": _any("The value. Without one, the run needs it as an input."),
    "update": _reference("Where the value of the next iteration of the loop comes from."),
    "isResult": _any("Whether the value belongs to the results of the run.", default=False),
    "console": _any("Shown when a loop updates the value: true, or {after: true}."),
}

_COMPUTED: Final[dict[str, Schema]] = {
    "inputs": _any(
        "What the agent receives, by name. References and ${:templates} at any depth are filled in.",
        type=["object", "string", "boolean", "null"],
        examples=[{"text": ":prompt", "prompt": "Summarize: ${:article.body}"}],
    ),
    "output": _any(
        "Replaces the result: strings that begin with a dot are read from it.",
        examples=[{"first": ".items.$0", "count": ".items.length()"}],
    ),
    "anyInput": _any("Runs as soon as one of its inputs is there, instead of all.", default=False),
    "params": _any("Settings of the agent, passed on as they are: references are not filled in."),
    "retry": _any("How often an agent that failed is called again.", default=0),
    "repeatUntil": _any(
        "The result must have something at this path, otherwise the attempt has failed.",
        examples=[{"exists": ".text"}],
    ),
    "timeout": _any("Milliseconds after which an attempt has failed.", type=["number", "string", "null"]),
    "agent": _any(
        "The agent that computes the node, or a reference to its name.", type="string", minLength=1
    ),
    "graph": {
        "description": "The graph that nestedAgent or mapAgent runs, or a reference to one.",
        "anyOf": [{"not": {"type": "string"}}, {"type": "string", "pattern": "^(:|$)"}],
    },
    "graphLoader": _any("Names a graph that was passed with the run.", examples=[{"fileName": "child.yaml"}]),
    "isResult": _any("Whether the result belongs to the results of the run.", default=False),
    "priority": _any("Of the nodes that are ready, those with a higher number run first.", default=0),
    "label": _any("Limits how many such nodes run at once: see concurrency.labels.", type="string"),
    "if": _reference("Runs only if this is true. An empty list counts as false."),
    "unless": _reference("Runs only if this is not true."),
    "defaultValue": _any("The result where `if` or `unless` skips the node."),
    "filterParams": _any("Passed to the agent's context as it is."),
    "console": _any("Shows inputs or results: true, or {before: …, after: …} with true, a string or paths."),
    "passThrough": _any("Values that are added to the result; filled in like inputs."),
    "queue": _any(
        "Perdure: the task queue whose workers call the agent, or a reference to its name. The node waits "
        "until one serves it.",
        type="string",
        minLength=1,
        examples=["gpu", ":row.queue"],
    ),
    "heartbeat": _any(
        "Perdure: a worker that gives no sign of life for this many seconds counts as lost, and its calls "
        "are repeated elsewhere.",
        type="number",
        minimum=1,
        default=10,
    ),
    "fallback": _any(
        "Perdure: the result of the node if it fails or is too late, once no attempt is left. Filled in like "
        "inputs.",
        examples=[{"text": "not available"}],
    ),
    "hedge": {
        "description": "Perdure: a call without an answer is made a second time, and the first answer "
        "counts.",
        "type": "object",
        "required": ["after"],
        "properties": {
            "after": _any("Milliseconds until the second call.", type="number", exclusiveMinimum=0),
            "queue": _any("The task queue of the second call.", type="string", minLength=1),
        },
        "additionalProperties": False,
    },
    "session": {
        "description": "Perdure: the calls of this id go to one worker, one after another, to an agent that "
        "keeps state. The state is kept after every `checkpoint` calls.",
        "anyOf": [
            {"type": ["string", "number"]},
            {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": _any("The session, or a reference to its id.", type=["string", "number"]),
                    "checkpoint": _any(
                        "Calls between two checkpoints; those since the last one are repeated where a "
                        "worker is lost.",
                        type="integer",
                        minimum=1,
                        maximum=MAX_SESSION_CALL_COUNT,
                        default=1,
                    ),
                    "lossy": _any(
                        "Whether the state may be lost with its worker: no checkpoints then.",
                        type="boolean",
                        default=False,
                    ),
                },
                "additionalProperties": False,
            },
        ],
    },
    "allow": _any(
        "Perdure: all that the call, or the graph inside the node, may use: a list of names for each of "
        "agents, queues, dynamic, hosts, reads and writes. What is not said is refused.",
        type="object",
        examples=[{"agents": ["@pure", "fetchAgent"], "hosts": ["api.example.com"]}],
    ),
    "placement": {
        "description": "Perdure: `local` calls the agent in the worker that advances the run, which is quick "
        "and for pure agents only; `activity` makes the call an activity of its own.",
        "enum": list(PLACEMENTS),
    },
    "backoff": _any(
        "Perdure: seconds before the first repetition after a transient failure, such as a rate limit. "
        "Each further one waits twice as long.",
        type="number",
        exclusiveMinimum=0,
        default=1,
    ),
    "deadline": _any(
        "Perdure: milliseconds for the node as a whole, all attempts and pauses included.",
        type="number",
        exclusiveMinimum=0,
        examples=[60000],
    ),
    "batch": _any(
        "Perdure: calls that are ready together share one activity, up to this many. On a map, those of "
        "its rows do.",
        type="number",
        minimum=1,
        maximum=1000,
        examples=[100],
    ),
}

_RUNS_GRAPH: Final[Schema] = {
    "if": {"properties": {"agent": {"pattern": f"^(:|({'|'.join(GRAPH_RUNNERS)})$)"}}},
    "then": {
        "properties": {
            "graph": {
                "anyOf": [{"$ref": "#/$defs/graph"}, {"type": "string"}, {"enum": list(_EMPTY)}],
            }
        }
    },
}
"""Other agents do not look at the graph of their node."""


def schema() -> Schema:
    """The JSON Schema of a graph."""
    graph: Schema = {
        "description": "A graph: nodes that compute, and values that flow between them.",
        "type": "object",
        "required": ["nodes"],
        **_members(GRAPH_KEYS, _GRAPH),
    }
    computed = _members(COMPUTED_KEYS, _COMPUTED)
    computed["properties"]["agentId"] = _any("The old spelling of `agent`.", type="string", deprecated=True)
    return {
        "$schema": SCHEMA_ID,
        "title": "Perdure graph",
        "$ref": "#/$defs/graph",
        "$defs": {
            "graph": graph,
            "node": {
                "type": "object",
                "if": {"anyOf": [{"required": ["agent"]}, {"required": ["agentId"]}]},
                "then": {"$ref": "#/$defs/computed"},
                "else": {"$ref": "#/$defs/static"},
            },
            "static": {"description": "A node that holds a value.", **_members(STATIC_KEYS, _STATIC)},
            "computed": {"description": "A node that an agent computes.", **computed, **_RUNS_GRAPH},
        },
    }


def _members(keys: Iterable[str], described: dict[str, Schema]) -> Schema:
    return {"properties": {key: described[key] for key in keys}, "additionalProperties": False}
