"""How many bytes a call has exchanged with the store, and how long it has waited for them."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Traffic:
    """Bytes that were read (`got`) and written (`put`), and those that the cache had (`cached`).

    `got_s` and `put_s` are the seconds in which at least one value was read or written.
    """

    got: int = 0
    cached: int = 0
    put: int = 0
    got_s: float = 0.0
    put_s: float = 0.0
    _open: dict[str, int] = field(default_factory=dict[str, int])
    _since: dict[str, float] = field(default_factory=dict[str, float])

    def begin(self, kind: str) -> None:
        """A value is being read ("got") or written ("put")."""
        if not self._open.get(kind):
            self._since[kind] = time.perf_counter()
        self._open[kind] = self._open.get(kind, 0) + 1

    def end(self, kind: Literal["got", "put"]) -> None:
        """It has been."""
        self._open[kind] -= 1
        if self._open[kind]:
            return
        passed = time.perf_counter() - self._since[kind]
        if kind == "got":
            self.got_s += passed
        else:
            self.put_s += passed


TRAFFIC: ContextVar[Traffic | None] = ContextVar("perdure_traffic", default=None)
"""That of the call that runs in this task; None where nothing is counted."""


@contextmanager
def timed(kind: Literal["got", "put"]) -> Generator[None]:
    """Counts the time inside for the call that runs in this task."""
    traffic = TRAFFIC.get()
    if traffic is None:
        yield
        return
    traffic.begin(kind)
    try:
        yield
    finally:
        traffic.end(kind)


def count(kind: Literal["got", "cached", "put"], size: int) -> None:
    """Counts bytes for the call that runs in this task."""
    traffic = TRAFFIC.get()
    if traffic is not None:
        setattr(traffic, kind, getattr(traffic, kind) + size)
