"""Labels: what is known of data by where it comes from, and what agents do with data. Pure.

Two labels follow values along the wiring of a graph: "untrusted" for what strangers may have written (models,
pages, events), "private" for what not everybody may read (files). An agent gives labels to its result, keeps
those of its inputs, and has an effect that decides where labels matter (perdure.engine.labelling.flows).

Rejected: labels inside values. Agents and functions of references would lose them, and every value would pay
for them. Where a node's data comes from is in the text of the graph.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

UNTRUSTED_DATA: Final = "untrusted"
"""The label of data that strangers may have written."""

PRIVATE_DATA: Final = "private"
"""The label of data that not everybody may read."""

LABELS: Final = (UNTRUSTED_DATA, PRIVATE_DATA)

_TAG: Final = re.compile(r"tag:[A-Za-z_][\w.-]*", re.ASCII)

TAG_MARK: Final = "tag:"
"""What the labels of an operator begin with, such as tag:customer: private data with places of its own."""

SENDS: Final = "sends"
"""The effect of an agent that sends its inputs to a host."""

ASKS_MODEL: Final = "asks"
"""The effect of one that sends them to a model."""

READS: Final = "reads"
"""The effect of one that reads files."""

WRITES: Final = "writes"
"""The effect of one that writes files."""

EFFECTS: Final = (SENDS, ASKS_MODEL, READS, WRITES)

REACHING: Final = frozenset({SENDS, READS, WRITES})
"""The effects of agents that reach hosts and files, which data does not name."""

MODELS: Final = "@models"
"""Among the places where private data may go: the models of the worker."""


def is_label(name: str) -> bool:
    """Whether it is a label, or a tag."""
    return name in LABELS or _TAG.fullmatch(name) is not None


@dataclass(frozen=True, kw_only=True)
class AgentLabels:
    """What a policy needs to know of an agent.

    `gives` are the labels of its results, besides those of its inputs: "untrusted", "private", tags such as
    "tag:customer". `effect` is "sends", "asks" (a model), "reads" or "writes" (files), "" for none that
    matters here. `trusted` names the inputs that untrusted data may not set, such as the recipient of a
    letter. One that `endorses` gives results without the labels of its inputs, as a person does who answers.
    """

    gives: tuple[str, ...] = ()
    effect: str = ""
    trusted: tuple[str, ...] = ()
    endorses: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for a label or an effect that there is not."""
        if not all(map(is_label, self.gives)) or self.effect not in ("", *EFFECTS):
            raise ValueError(f"labels are {', '.join(LABELS)}, and effects are {', '.join(EFFECTS)}: {self}")

    def written(self) -> dict[str, Any]:
        """The same as plain data, without what is empty."""
        plain = {
            "gives": list(self.gives),
            "effect": self.effect,
            "trusted": list(self.trusted),
            "endorses": self.endorses,
        }
        return {key: value for key, value in plain.items() if value}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> AgentLabels:
        """What `written` wrote."""
        return cls(
            gives=tuple(data.get("gives", ())),
            effect=data.get("effect", ""),
            trusted=tuple(data.get("trusted", ())),
            endorses=data.get("endorses") is True,
        )


_MODEL: Final = AgentLabels(gives=(UNTRUSTED_DATA,), effect=ASKS_MODEL)
_PAGE: Final = AgentLabels(gives=(UNTRUSTED_DATA,), effect=SENDS)
_FILE: Final = AgentLabels(gives=(PRIVATE_DATA,), effect=READS)
_EVENT: Final = AgentLabels(gives=(UNTRUSTED_DATA,))

PERSON: Final = AgentLabels(endorses=True)
"""Those of an agent that asks a person."""

SHIPPED_LABELS: Final[Mapping[str, AgentLabels]] = {
    "anthropicAgent": _MODEL,
    "eventAgent": _EVENT,
    "examplesAgent": _FILE,
    "fetchAgent": _PAGE,
    "fileReadAgent": _FILE,
    "fileWriteAgent": AgentLabels(effect=WRITES, trusted=("file",)),
    "geminiAgent": _MODEL,
    "groqAgent": _MODEL,
    "openAIAgent": _MODEL,
    "openAIFetchAgent": _MODEL,
    "openAIImageAgent": _MODEL,
    "outboxAgent": AgentLabels(effect=SENDS),
    "stringEmbeddingsAgent": AgentLabels(effect=ASKS_MODEL),
    "vanillaFetchAgent": _PAGE,
    "wikipediaAgent": _PAGE,
}
"""Those of agents that come with Perdure: an agent that takes the place of one has its labels, unless it
declares others."""
