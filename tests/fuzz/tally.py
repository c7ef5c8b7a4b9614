"""Counts what becomes of mutated payloads."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from random import Random
from typing import Any

from perdure.errors import PerdureError
from perdure.graph.binary import Array
from perdure.graph.deferred import Deferred
from perdure.graph.values import Undefined
from tests.fuzz.mutate import hostile
from tests.fuzz.readers import KINDS

LEAVES = (type(None), bool, int, float, str, bytes, Undefined, Deferred, Array)
MAX_SHOWN = 5


@dataclass
class Tally:
    """Payloads that were `read`, refused with a `typed` error, or ended otherwise.

    `impure` ones were read, and brought objects that are not values of the language. `longest_s` is the
    processor time of the one that took longest.
    """

    read: int = 0
    typed: int = 0
    untyped: int = 0
    impure: int = 0
    longest_s: float = 0.0
    shown: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def is_clean(self) -> bool:
        return self.untyped == self.impure == 0


def tally(name: str, count: int, seed: int) -> Tally:
    """Reads `count` mutations; the same ones for the same seed."""
    kind, random, counts = KINDS[name], Random(f"{name} {seed}"), Tally()
    payloads = kind.seeds()
    for _ in range(count):
        payload = hostile(random.choice(payloads), random)
        began = time.process_time()
        try:
            values = kind.read(payload)
        except PerdureError:
            counts.typed += 1
        except Exception as error:
            counts.untyped += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            _show(counts, f"{type(error).__name__} in {place.name}: {error}"[:200], payload)
        else:
            counts.read += 1
            if not is_pure(values):
                counts.impure += 1
                _show(counts, "impure", payload)
        counts.longest_s = max(counts.longest_s, time.process_time() - began)
    return counts


def _show(counts: Tally, finding: str, payload: Any) -> None:
    if len(counts.shown) < MAX_SHOWN:
        counts.shown.setdefault(finding, repr(payload)[:400])


def is_pure(value: Any) -> bool:
    """Whether there is nothing in `value` but JSON types, undefined, bytes, arrays and deferred values."""
    todo = [value]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            if not all(type(key) is str for key in part):
                return False
            todo += part.values()
        elif isinstance(part, list | tuple):
            todo += part
        elif not isinstance(part, LEAVES):
            return False
    return True
