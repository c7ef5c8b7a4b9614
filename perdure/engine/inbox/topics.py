"""The topics that the nodes of a graph may wait for, as far as its document says."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.graph.nested import every_node
from perdure.graph.params.waiting import EVENT_WAIT
from perdure.graph.values import Value, is_dict


def awaited_topics(document: Mapping[str, Value]) -> frozenset[str] | None:
    """The topics of all eventAgents; None for any, where data decides on an agent, a graph or a topic."""
    topics: set[str] = set()
    for _, node in every_node(document):
        agent: Value = node.get("agent")
        graph: Value = node.get("graph")
        if isinstance(agent, str) and agent.startswith(":"):
            return None
        if isinstance(graph, str) or "graphLoader" in node:
            return None
        if agent != EVENT_WAIT:
            continue
        params, inputs = node.get("params"), node.get("inputs")
        topic: Value = params.get("topic") if is_dict(params) else None
        is_fixed = isinstance(topic, str) and not topic.startswith(":") and "${" not in topic
        if not is_fixed or (is_dict(inputs) and "topic" in inputs):
            return None
        topics.add(str(topic))
    return frozenset(topics)
