"""The last models that were read: a replay of 10,000 nodes takes seconds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

from perdure.history.model import RunModel

CACHED_MODEL_COUNT: Final = 8
"""Models that are kept in a process; one of 10,000 nodes takes some 50 MB."""


@dataclass(slots=True)
class ModelCache:
    """Models by Temporal's run id of the last execution, each until its run has new events."""

    _models: OrderedDict[str, RunModel] = field(default_factory=OrderedDict[str, RunModel])
    _locks: WeakValueDictionary[tuple[int, str], asyncio.Lock] = field(
        default_factory=WeakValueDictionary[tuple[int, str], asyncio.Lock]
    )

    async def read(
        self, execution: str, last_event: int, read: Callable[[], Awaitable[RunModel]]
    ) -> RunModel:
        """The model of a run whose history ends with this event: read once, however many ask for it."""
        loop = id(asyncio.get_running_loop())
        lock = self._locks.setdefault((loop, execution), asyncio.Lock())
        async with lock:
            model = self.get(execution, last_event)
            if model is None:
                model = await read()
                self.add(model)
        return model

    def get(self, execution: str, last_event: int) -> RunModel | None:
        """The model of a run whose history ends with this event."""
        model = self._models.get(execution)
        return model if model is not None and model.chain[-1].last_event == last_event else None

    def add(self, model: RunModel) -> None:
        """Keeps a model, instead of the one that was used least lately."""
        execution = model.chain[-1].execution
        self._models[execution] = model
        self._models.move_to_end(execution)
        while len(self._models) > CACHED_MODEL_COUNT:
            self._models.popitem(last=False)
