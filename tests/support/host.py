"""A host for the parts of a run: tests set its time and history, and answer its activities.

host = FakeHost()
outbox = ...                        # a part that receives the host
outbox.pump()
host.answer("a", {"n": 1})          # the activity of path "a" has a result
await host.settle()                 # what follows from it has happened
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio.common import RawValue

from perdure.protocol.wire import pack, unpack


@dataclass
class Started:
    """An activity that a part has started; its id is the path of its call."""

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    is_local: bool
    task: asyncio.Task[RawValue]
    result: asyncio.Future[RawValue]

    @property
    def path(self) -> str:
        return self.options.get("activity_id", self.name)

    @property
    def argument(self) -> Any:
        return unpack(self.arguments[0])


@dataclass
class FakeHost:
    now: float = 1_000.0
    events: int = 10
    bytes: int = 0
    suggests: bool = False
    audience: list[str] = field(default_factory=list[str])
    started: list[Started] = field(default_factory=list[Started])
    timers: list[tuple[float, str, asyncio.Future[None]]] = field(
        default_factory=list[tuple[float, str, asyncio.Future[None]]]
    )

    def now_s(self) -> float:
        return self.now

    def run_id(self) -> str:
        return "run"

    def workflow_id(self) -> str:
        return "r1"

    def hold_history(self) -> None:
        pass

    def take_in_turn(self, notify: Callable[[], None]) -> None:
        del notify

    def admit(self) -> bool:
        return False

    def has_arrivals(self) -> bool:
        return False

    def history_events(self) -> int:
        return self.events

    def history_bytes(self) -> int:
        return self.bytes

    def is_patched(self, name: str) -> bool:
        del name
        return True

    def suggests_continuing(self) -> bool:
        return self.suggests

    async def sleep(self, seconds: float, summary: str) -> None:
        timer = (self.now + seconds, summary, asyncio.get_running_loop().create_future())
        self.timers.append(timer)
        try:
            await timer[2]
        finally:
            self.timers.remove(timer)

    async def pause(self, seconds: float, summary: str) -> None:
        await self.sleep(seconds, summary)

    def index_audience(self, names: list[str]) -> None:
        self.audience = names

    def start_apart(self, name: str, argument: RawValue, id: str, summary: str) -> asyncio.Task[Any]:
        return self._start(name, (argument,), {"activity_id": id, "summary": summary}, False)

    def start_activity(self, name: str, *arguments: Any, **options: Any) -> asyncio.Task[RawValue]:
        return self._start(name, arguments, options, False)

    def start_local_activity(self, name: str, *arguments: Any, **options: Any) -> asyncio.Task[RawValue]:
        return self._start(name, arguments, options, True)

    def _start(
        self, name: str, arguments: tuple[Any, ...], options: dict[str, Any], is_local: bool
    ) -> asyncio.Task[RawValue]:
        result = asyncio.get_running_loop().create_future()

        async def wait() -> RawValue:
            return await result

        task = asyncio.create_task(wait())
        self.started.append(Started(name, arguments, options, is_local, task, result))
        return task

    def find(self, path: str) -> Started:
        """The activity at `path` that was started last."""
        return [each for each in self.started if each.path == path][-1]

    def answer(self, path: str, result: Any) -> None:
        self.find(path).result.set_result(result if isinstance(result, RawValue) else pack(result))

    def fail(self, path: str, error: BaseException) -> None:
        self.find(path).result.set_exception(error)

    async def advance(self, seconds: float) -> None:
        """Time passes; timers fire."""
        await self.settle()
        self.now += seconds
        for due, _, fired in list(self.timers):
            if due <= self.now and not fired.done():
                fired.set_result(None)
        await self.settle()

    async def settle(self) -> None:
        """Everything that can happen now has happened."""
        for _ in range(10):
            await asyncio.sleep(0)
