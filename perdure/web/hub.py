"""What viewers of a run are shown, worked out once however many they are.

Why
    A look at a run costs its server and this process time that grows with the run. Twenty open pages must
    cost about what one does, and a page of a run on which nothing happens must cost nothing.

Invariants
    One Watch for each run that is being viewed. It asks the server for the run's description, which costs
    milliseconds, and only if there are new events a worker for the changes. Without a worker it replays the
    history, and spends at most a fifth of its time on that. It adds nothing to the history. It ends when its
    last viewer is gone.
    A server that does not answer for a while is asked again, and viewers are notified of it.
    A viewer who is slow is sent the newest state, not every one in between.

Rejected
    A query for every viewer: the worker would pay for each of them.
    Deltas with numbers that a viewer can resume from: the whole state is small, since a map is one box.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from perdure.client import GraphClient
from perdure.engine.granting.prices import Prices
from perdure.errors import ConnectionFailed, PerdureError
from perdure.history.follow import RunFollower
from perdure.history.model import RunModel
from perdure.runs import Run
from perdure.web import views

MIN_READ_INTERVAL_S: Final = 0.3
"""Seconds between two looks at a run that changes."""

MAX_READ_INTERVAL_S: Final = 2.0
"""Seconds between two looks at a run that does not."""

READ_TIME_FACTOR: Final = 4
"""A run is not read again before this many times the time that the last read took."""

GLANCE_DELAY_S: Final = 0.3
"""Seconds of a first read after which viewers see what can be known without it."""

MAX_WATCH_COUNT: Final = 100
"""Runs that one server watches at a time."""

STREAM_INTERVAL_S: Final = 0.5

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Viewer:
    """What one viewer has not been sent yet: the newest boxes and pieces of streams."""

    changed: asyncio.Event = field(default_factory=asyncio.Event)
    seen: dict[str, Any] = field(default_factory=dict[str, Any])
    streams: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class Watch:
    """A run that is being viewed."""

    def __init__(self, run: Run, prices: Prices) -> None:
        self._run, self._prices = run, prices
        self._viewers: set[_Viewer] = set()
        self._state: dict[str, Any] = {}
        self._model: RunModel | None = None
        self._is_read = asyncio.Event()
        self._problem: dict[str, Any] | None = None
        self._is_over = False
        self._tasks = [asyncio.ensure_future(self._follow()), asyncio.ensure_future(self._stream())]

    async def model(self) -> RunModel | None:
        """The run as its viewers see it, as soon as it was read; None when it cannot be."""
        await self._is_read.wait()
        return self._model if self._problem is None else None

    @property
    def is_watched(self) -> bool:
        """Whether a viewer is left."""
        return bool(self._viewers)

    def close(self) -> None:
        """Stops to read."""
        for task in self._tasks:
            task.cancel()

    async def events(self) -> AsyncGenerator[tuple[str, Any]]:
        """For one viewer: ``state`` with what differs from what it has seen; stream, end, error."""
        viewer = _Viewer()
        self._viewers.add(viewer)
        viewer.changed.set()
        try:
            while True:
                await viewer.changed.wait()
                viewer.changed.clear()
                pieces, viewer.streams = viewer.streams, []
                for piece in pieces:
                    yield "stream", piece
                difference = _difference(viewer.seen, self._state)
                if difference:
                    viewer.seen = self._state
                    yield "state", difference
                if self._problem is not None:
                    yield "error", self._problem
                    return
                if self._is_over:
                    yield "end", None
                    return
        finally:
            self._viewers.discard(viewer)

    async def _follow(self) -> None:
        try:
            follower, interval = self._run.follow(), MIN_READ_INTERVAL_S
            while not self._is_over:
                began = time.monotonic()
                try:
                    model = await (follower.model() if self._is_read.is_set() else self._first(follower))
                    is_changed = self._show(model)
                except ConnectionFailed as error:
                    is_changed = self._change({**self._state, "trouble": error.finding})
                self._is_read.set()
                interval = MIN_READ_INTERVAL_S if is_changed else min(interval * 1.5, MAX_READ_INTERVAL_S)
                await asyncio.sleep(max(interval, (time.monotonic() - began) * READ_TIME_FACTOR))
        except PerdureError as error:
            self._problem = {"finding": error.finding, "hint": error.hint}
        except Exception as error:
            logger.exception("run %r cannot be shown any more", self._run.id)
            self._problem = {"finding": f"{type(error).__name__}: {error}", "hint": "reload the page"}
        finally:
            self._is_read.set()
        self._notify()

    async def _first(self, follower: RunFollower) -> RunModel:
        """The first model. Where it takes long, viewers see before it what can be known at once."""
        glancing = asyncio.ensure_future(self._glance(follower))
        try:
            return await follower.model()
        finally:
            glancing.cancel()
            await asyncio.wait([glancing])

    async def _glance(self, follower: RunFollower) -> None:
        await asyncio.sleep(GLANCE_DELAY_S)
        with suppress(PerdureError):  # the read itself will say so
            model = await follower.glance()
            if model is not None:
                self._change(views.state(model, self._prices))

    async def _stream(self) -> None:
        with suppress(PerdureError):
            async for piece in self._run.stream(STREAM_INTERVAL_S):
                for viewer in self._viewers:
                    viewer.streams.append(asdict(piece))
                self._notify()

    def _show(self, model: RunModel) -> bool:
        """Hands the viewers what is new; returns whether anything is."""
        self._model, self._is_over = model, not model.is_open
        return self._change(views.state(model, self._prices))

    def _change(self, state: dict[str, Any]) -> bool:
        is_changed = state != self._state
        self._state = state
        self._notify()
        return is_changed

    def _notify(self) -> None:
        for viewer in self._viewers:
            viewer.changed.set()


def _difference(seen: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """What of `state` is different: whole parts, of the boxes those that are."""
    changed = {key: value for key, value in state.items() if seen.get(key) != value}
    if "boxes" in changed and "boxes" in seen:
        before = seen["boxes"]
        changed["boxes"] = {key: box for key, box in state["boxes"].items() if before.get(key) != box}
    return changed


class Hub:
    """The watches of one server."""

    def __init__(self, client: GraphClient, prices: Prices | None = None) -> None:
        self._client, self._prices = client, prices or Prices()
        self._watches: dict[str, Watch] = {}

    async def events(self, id: str) -> AsyncGenerator[tuple[str, Any]]:
        """What a viewer of this run is sent, until the run or the viewer is gone."""
        watch = self._watches.get(id)
        if watch is None:
            if len(self._watches) >= MAX_WATCH_COUNT:
                text = f"{MAX_WATCH_COUNT} runs are being watched, which is as many as may be"
                yield "error", {"finding": text, "hint": "close a page of another run"}
                return
            watch = self._watches[id] = Watch(self._client.get(id), self._prices)
        try:
            async with aclosing(watch.events()) as events:
                async for event in events:
                    yield event
        finally:
            if not watch.is_watched and self._watches.get(id) is watch:
                del self._watches[id]
                watch.close()

    async def model(self, id: str) -> RunModel:
        """The run as it is shown: that of its viewers, if it has any. Raises UsageError."""
        watch = self._watches.get(id)
        model = None if watch is None else await watch.model()
        return model or await self._client.get(id).history()

    def close(self) -> None:
        """Ends all watches."""
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()
