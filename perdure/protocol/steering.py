"""What crosses Temporal when a person changes a run that is under way: the update `steer` and its reply."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from perdure.engine.steering.request import NodeChange, Steering
from perdure.graph.text.json_dump import dump
from perdure.graph.values import Value
from perdure.protocol.interventions import Intervention
from perdure.protocol.records import INLINE

HASH_CHARS: Final = 16
"""Characters of the hash of a graph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeringOrder:
    """A change of a run, and who asks for it and why.

    With `if_hash`, it is refused if the graph of the run has another hash by then. On the wire the fields of
    the change are inlined among the others.
    """

    change: Steering = field(default_factory=Steering, metadata=INLINE)
    if_hash: str = ""
    who: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeringReceipt:
    """What became of a change, or would: `nodes` are those that it concerns.

    `hash` is that of the graph of the run, afterwards where it was changed. `refusal` is why it is refused.
    """

    hash: str = ""
    nodes: tuple[NodeChange, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGraph:
    """The graph of a run as it is now, and its hash; `paused` are the places of nodes that do not start."""

    document: Mapping[str, Value] = field(default_factory=dict[str, Value])
    hash: str = ""
    paused: tuple[str, ...] = ()
    interventions: tuple[Intervention, ...] = ()


def graph_hash(document: Mapping[str, Value]) -> str:
    """A short hash of a graph, by which two changes of it notice each other."""
    return hashlib.sha256(dump([document])).hexdigest()[:HASH_CHARS]
