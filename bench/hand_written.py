"""The same work as plain Temporal workflows, written as one who knows Temporal would for this work alone.

Activities are named, plain and without heartbeats; workflows run in the SDK's sandbox, as they do by
default, and import nothing but the SDK, so that it has as little to load as it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import workflow

LIMIT = timedelta(seconds=60)


def call(name: str, value: Any, queue: str | None = None) -> workflow.ActivityHandle[Any]:
    """An activity on its way."""
    return workflow.start_activity(name, value, task_queue=queue, start_to_close_timeout=LIMIT)


@workflow.defn
class Chain:
    """`size` activities one after another."""

    @workflow.run
    async def run(self, size: int) -> Any:
        value: Any = {"n": 0}
        for _ in range(size):
            value = await call("step", value)
        return value


@workflow.defn
class Fan:
    """`size` activities at once, and one with all their results."""

    @workflow.run
    async def run(self, size: int) -> Any:
        results = await asyncio.gather(*(call("step", {"n": 0}) for _ in range(size)))
        return await call("collect", {"items": [each["n"] for each in results]})


@dataclass
class Window:
    """Rows and how many of them may be on their way; `done` are the results of those before `at`."""

    rows: list[int]
    width: int
    at: int = 0
    done: list[Any] = field(default_factory=list[Any])


@workflow.defn
class Map:
    """One activity for each row, `width` at once; continues in a new history when the server says so."""

    @workflow.run
    async def run(self, window: Window) -> Any:
        results: list[Any] = [None] * len(window.rows)
        results[: window.at] = window.done
        left = iter(range(window.at, len(window.rows)))
        await asyncio.gather(*(self._lane(window.rows, left, results) for _ in range(window.width)))
        begun = next(left, None)
        if begun is not None:
            workflow.continue_as_new(Window(window.rows, window.width, begun, results[:begun]))
        return results

    async def _lane(self, rows: list[int], left: Iterable[int], results: list[Any]) -> None:
        while not workflow.info().is_continue_as_new_suggested():
            index = next(iter(left), None)
            if index is None:
                return
            results[index] = await call("step", {"n": rows[index]})


@workflow.defn
class Ten:
    """The ten-node graph."""

    @workflow.run
    async def run(self) -> Any:
        a = await call("pause", {"source": 0})
        b, c, d = await asyncio.gather(*(call("pause", {"a": a["n"]}) for _ in range(3)))
        e = await call("pause", {"b": b["n"], "c": c["n"], "d": d["n"]})
        f, g, h = await asyncio.gather(*(call("pause", {"e": e["n"]}) for _ in range(3)))
        i = await call("pause", {"f": f["n"], "g": g["n"], "h": h["n"]})
        return await call("pause", {"i": i["n"]})


@workflow.defn
class Carry:
    """A string of `size` bytes through ten activities."""

    @workflow.run
    async def run(self, size: int) -> Any:
        value: Any = {"n": "x" * size}
        for _ in range(10):
            value = await call("keep", value)
        return value


@workflow.defn
class Elsewhere:
    """One activity that waits for a worker of another queue."""

    @workflow.run
    async def run(self, queue: str) -> Any:
        return await call("step", {"n": 0}, queue)


WORKFLOWS = [Chain, Fan, Map, Ten, Carry, Elsewhere]
