"""Labels of agents in a policy: the operator's word on agents that declare none, or the wrong ones. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from perdure.policy.labels import EFFECTS, LABELS, TAG_MARK, AgentLabels, is_label
from perdure.policy.reader import Reader, inside, quoted

LABEL_KEYS: Final = ("gives", "effect", "trusted", "endorses")


def read_labels(reader: Reader, data: Any) -> Mapping[str, AgentLabels]:
    """The labels of the agents that a policy lists, by name; `reader` notes what is wrong."""
    hint = "write agents: {NAME: {gives: [untrusted]}}"
    return {
        str(name): _of_agent(reader, f"agents.{name}", labels)
        for name, labels in reader.mapping("agents", data, None, hint).items()
    }


def read_tags(reader: Reader, data: Any) -> Mapping[str, frozenset[str]]:
    """Where data of each tag may go, by its label; `reader` notes what is wrong."""
    tags = reader.mapping("tags", data, None, "write tags: {customer: ['@models', crm.example.com]}")
    return {
        f"{TAG_MARK}{name}": reader.names(f"tags.{name}", places, "private") for name, places in tags.items()
    }


def _of_agent(reader: Reader, place: str, data: Any) -> AgentLabels:
    data = reader.mapping(place, data, LABEL_KEYS, "write a mapping with gives, effect or trusted")
    gives = reader.names(inside(place, "gives"), data.get("gives", []), "labels")
    for name in sorted(gives):
        if not is_label(name):
            hint = f"there are {', '.join(LABELS)}, and tags such as {TAG_MARK}customer"
            reader.wrong(inside(place, "gives"), f"{quoted(name)} is not a label", hint)
    effect, endorses = data.get("effect", ""), data.get("endorses", False)
    if effect not in ("", *EFFECTS):
        finding = f"{quoted(effect)} is not an effect"
        reader.wrong(inside(place, "effect"), finding, f"there are {', '.join(EFFECTS)}")
        effect = ""
    if not isinstance(endorses, bool):
        reader.wrong(inside(place, "endorses"), "endorses is true or false", "write endorses: true")
    trusted = reader.names(inside(place, "trusted"), data.get("trusted", []), "inputs")
    return AgentLabels(
        gives=tuple(sorted(filter(is_label, gives))),
        effect=effect,
        trusted=tuple(sorted(trusted)),
        endorses=endorses is True,
    )
