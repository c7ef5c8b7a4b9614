"""Warnings: what is legal, runs, and is hardly meant.

GraphAI accepts every graph that is warned about here, so none of these findings stops a run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from perdure.errors import Problem
from perdure.graph.fields import is_computed
from perdure.graph.nested import every_graph, every_node
from perdure.graph.reference import parse_reference
from perdure.graph.template_compiler import references_in
from perdure.graph.values import Value, is_dict, is_list, ordered_keys

_EMBEDDED: Final = re.compile(r"(?<![\w:$\\{/])(:([A-Za-z_]\w*)(?:\.\$?\w+)*)")
_KEY_NAMES: Final = frozenset(
    {"apikey", "authorization", "password", "secret", "clientsecret", "accesstoken", "authtoken", "xapikey"}
)
_KEY_TEXT: Final = re.compile(
    r"(sk-|gh[opsu]_|github_pat_|glpat-|gsk_|hf_|xox[abp]-|AKIA|AIza)[\w-]{8,}|(Bearer|Basic) \S{8,}"
    r"|eyJ[\w-]{8,}\.eyJ|-----BEGIN [A-Z ]*PRIVATE KEY|https?://[^\s/:@]+:[^\s/@]+@"
)
_SECRET_NAME: Final = re.compile(r"([A-Za-z]+ )?secret:[A-Za-z_]")
_SECRET_MIN_CHARACTERS: Final = 8
"""A shorter string under the name of a key is a placeholder."""


def warnings(data: Value, queues: Collection[str] | None = None) -> Iterator[Problem]:
    """Every warning about the graph `data` and the graphs inside it.

    `queues` are those that nodes may name, None for any.
    """
    for place, node in every_node(data):
        queue = node.get("queue")
        if queues is not None and _is_literal(queue) and not _is_allowed(queue, queues):
            finding = f"the settings here do not allow the task queue {queue!r}, so the node would fail"
            hint = f"start the run's worker with PERDURE_QUEUES={queue}, or with --queue {queue}"
            yield Problem("queue-not-allowed", f"{place}.queue", finding, hint)
        if "agentId" in node and "agent" not in node:
            yield Problem("old-agent-id", f"{place}.agentId", "agentId is the old spelling", "write agent")
    for prefix, nodes in every_graph(data):
        for node_id in ordered_keys(nodes):
            node = nodes[node_id]
            if is_dict(node):
                place = f"{prefix}nodes.{node_id}"
                yield from _embedded_references(place, node, nodes)
                yield from _literal_keys(place, node)


def _is_allowed(queue: Value, queues: Collection[str]) -> bool:
    return queue in queues or ("@*" in queues and isinstance(queue, str) and queue[:1] == "@")


def _is_literal(queue: Value) -> bool:
    """Whether a task queue is named, and does not come from data."""
    return isinstance(queue, str) and bool(queue) and not any(True for _ in references_in(queue))


def _embedded_references(place: str, node: dict[str, Value], nodes: Collection[str]) -> Iterator[Problem]:
    if not is_computed(node):
        return
    for key in ("inputs", "passThrough"):
        for where, _, text in _strings(f"{place}.{key}", key, node.get(key)):
            if parse_reference(text) is not None:
                continue
            for match in _EMBEDDED.finditer(_without_placeholders(text)):
                if match[2] in nodes:
                    finding = f"{match[1]!r} inside a longer string is plain text, not a reference"
                    yield Problem("plain-reference", where, finding, f"write ${{{match[1]}}}")


def _without_placeholders(text: str) -> str:
    """`text` without each ``${...}``. One pattern would need quadratic time for ``${${${``."""
    kept: list[str] = []
    done = 0
    while (start := text.find("${", done)) >= 0 and (end := text.find("}", start)) >= 0:
        kept.append(text[done:start])
        done = end + 1
    return "".join([*kept, text[done:]])


def _literal_keys(place: str, node: dict[str, Value]) -> Iterator[Problem]:
    for part in ("value", "inputs", "params", "filterParams", "defaultValue"):
        for where, name, text in _strings(f"{place}.{part}", part, node.get(part)):
            if parse_reference(text) is not None or "${" in text or _SECRET_NAME.match(text):
                continue
            named = re.sub(r"[-_]", "", name).lower() in _KEY_NAMES and len(text) >= _SECRET_MIN_CHARACTERS
            if (named and " " not in text) or _KEY_TEXT.match(text):
                finding = "this looks like a key; every history of a run will hold it"
                hint = "write secret:NAME, and list NAME under `secrets` in the policy of the worker"
                yield Problem("literal-key", where, finding, hint)


def _strings(place: str, name: str, value: Value) -> Iterator[tuple[str, str, str]]:
    """The strings of a value, at any depth, each with its place and its key."""
    rest = [(place, name, value)]
    while rest:
        where, key, item = rest.pop()
        if isinstance(item, str):
            yield where, key, item
        elif is_dict(item):
            rest += [(f"{where}.{name}", name, item[name]) for name in reversed(ordered_keys(item))]
        elif is_list(item):
            rest += [(f"{where}.{index}", key, element) for index, element in reversed(list(enumerate(item)))]
