"""The keys of the language: one list that the checks, the plan and the JSON Schema share."""

from __future__ import annotations

from typing import Final

from perdure.graph.values import Value, is_dict

GRAPH_KEYS: Final = ("nodes", "concurrency", "agentId", "loop", "verbose", "version", "metadata")
STATIC_KEYS: Final = ("value", "update", "isResult", "console")
GRAPHAI_COMPUTED_KEYS: Final = (
    "inputs",
    "output",
    "anyInput",
    "params",
    "retry",
    "repeatUntil",
    "timeout",
    "agent",
    "graph",
    "graphLoader",
    "isResult",
    "priority",
    "label",
    "if",
    "unless",
    "defaultValue",
    "filterParams",
    "console",
    "passThrough",
)
PERDURE_COMPUTED_KEYS: Final = (
    "queue",
    "placement",
    "backoff",
    "deadline",
    "batch",
    "heartbeat",
    "fallback",
    "hedge",
    "session",
    "allow",
)
"""What a computed node may say beyond GraphAI; documented in docs/language.md."""

COMPUTED_KEYS: Final = GRAPHAI_COMPUTED_KEYS + PERDURE_COMPUTED_KEYS

OWN_NAMES_PREFIX: Final = "perdure."
"""With this begin the names of Perdure's own activities; no node may call one as an agent."""

GRAPH_RUNNERS: Final = ("nestedAgent", "mapAgent")
"""The agents that run the graph of their node; others do not look at it."""
MODEL_AGENTS: Final = (
    "stringEmbeddingsAgent",
    "openAIAgent",
    "openAIFetchAgent",
    "openAIImageAgent",
    "anthropicAgent",
    "geminiAgent",
    "groqAgent",
)
"""The shipped agents that call a model: a call costs something, and changes nothing."""

PERSON_AGENTS: Final = ("textInputAgent", "humanInputAgent")
"""The shipped agents that wait for a person."""

SUCCESSORS: Final = {
    "bypassAgent": "copyAgent",
    "httpAgent": "fetchAgent",
    "webAgent": "fetchAgent",
    "llmAgent": "openAIAgent",
    "chatAgent": "openAIAgent",
    "gptAgent": "openAIAgent",
    "slashGPTAgent": "openAIAgent",
    "claudeAgent": "anthropicAgent",
    "loopAgent": "nestedAgent",
    "forEachAgent": "mapAgent",
    "inputAgent": "textInputAgent",
    "humanAgent": "textInputAgent",
    "templateAgent": "stringTemplateAgent",
}
"""Names that people expect, or that GraphAI once had, and the agents that do this."""

PLACEMENTS: Final = ("activity", "local")
LATE_ROWS: Final = ("drop", "carry")
"""What a map with `quorum` does with rows that are late."""
VERSION: Final = 0.5
"""The one version of the graph format that GraphAI 2.0.18 knows."""
DEFAULT_CONCURRENCY: Final = 8

LOOP_INDEX: Final = "__loopIndex"
"""The hidden static node that every graph has; `@loop` reads it."""

MAP_INDEX: Final = "__mapIndex"
"""The static node that each row of a map has: the number of the row."""


def needs_of(document: Value) -> Value:
    """What a graph says in `metadata.needs`, None where that is not a mapping and so means something else."""
    metadata = document.get("metadata") if is_dict(document) else None
    needs = metadata.get("needs") if is_dict(metadata) else None
    return needs if is_dict(needs) else None


def is_computed(node: Value) -> bool:
    """A node is computed when it has the key `agent`, even with null."""
    return is_dict(node) and "agent" in node
