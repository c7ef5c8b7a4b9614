"""What a case of the corpus is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue


@dataclass(frozen=True, kw_only=True)
class Case:
    """One attack. Either `document` is started by Perdure's client, or `start` by a plain one.

    In all strings of `document`, HOSTILE stands for the URL of the hostile server (hostile.py). `messages`
    go to the run while it waits for a person: (kind, name, argument), with "update" or "signal" for the
    kind; then the person answers, and the run must complete.
    """

    name: str
    kind: str
    document: dict[str, Any] = field(default_factory=dict[str, Any])
    start: Sequence[RawValue] | None = None
    messages: Sequence[tuple[str, str, Any]] = ()
    times: int = 1
    """How many runs of it there are at the same time."""
    may_wait: bool = False
    """Whether the run may still wait, visibly, when the time is up."""
    waits_outside: bool = False
    """Whether it then waits for events or people, of which the server knows nothing."""


def graph(**nodes: Any) -> dict[str, Any]:
    """A document of these nodes."""
    return {"version": 0.5, "nodes": nodes}


def one(agent: str, inputs: Any = None, **more: Any) -> dict[str, Any]:
    """A document of one node."""
    return graph(
        a={"agent": agent, "inputs": {"x": 1} if inputs is None else inputs, "isResult": True, **more}
    )


def raw(data: bytes, encoding: bytes = b"json/plain", **metadata: bytes) -> RawValue:
    """A payload as it is; underscores in the names of `metadata` stand for dashes."""
    named = {name.replace("_", "-"): value for name, value in metadata.items()}
    return RawValue(Payload(metadata={"encoding": encoding, **named}, data=data))


def request(document: Any = None, **fields: Any) -> RawValue:
    """The argument of a start, as a plain client sends it."""
    return raw(json.dumps({"document": document, **fields}).encode())
