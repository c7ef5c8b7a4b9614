"""The idempotency key of a call: by it a service recognises that the same work arrives again.

A delivery may be repeated: its worker may die after the work and before the answer. Each repetition has the
same key. Other work has another one: another attempt that the node's `retry` counts, or the same place in the
graph with other inputs, as after a reset of the run. The key covers the inputs as they crossed, where a
large value is its hash.

Runs that began under earlier versions keep their rule, by which the key was that of the place: a key that
changes during a run would let a service do again what it has done.
"""

from __future__ import annotations

import hashlib

from perdure.graph.values import Value
from perdure.protocol.encoding import encode
from perdure.protocol.payloads import AgentCall


def place_key(run: str, key: str) -> str:
    """By the rule of earlier versions: `key` is the place in the run whose first execution is `run`."""
    return hashlib.sha256(f"{run}/{key}".encode()).hexdigest()


def work_key(run: str, key: str, retry: int, inputs: Value, params: Value) -> str:
    """The key of the work that a call asks for; `retry` counts the attempts that have failed."""
    data, places = encode([inputs, params])
    digest = hashlib.sha256(f"{run}/{key}/{retry}/{len(data)}/".encode())
    digest.update(data)
    if places:
        digest.update(repr(places).encode())
    return digest.hexdigest()


def key_of(call: AgentCall) -> str:
    """The key of a call, by the rule of its run."""
    if call.keyed_by_work:
        return work_key(call.run, call.key, call.retry, call.inputs, call.params)
    return place_key(call.run, call.key)
