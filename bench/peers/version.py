"""One version of Perdure as a side of `python -m bench.versions`: makes runs, and says how long they took.

It is executed by its path, with PYTHONPATH at the tree of the version: what it imports is that tree's. So it
uses only what all versions since d8841e9 have, and reads requests by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from bench import agents, graphs
from bench.session import PERDURE, Session, durable
from perdure.testing import run_in_memory

LINE_BYTES = 1 << 20


class Version:
    """Answers requests. The server and its worker start when the first durable run is asked for."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._session: Session | None = None

    async def open(self) -> dict[str, Any]:
        """The number of the process that makes the durable runs."""
        session = await self._opened()
        return {"worker": session.workers[PERDURE].pid}

    async def run(self, shape: str, arguments: list[Any], expect: Any, runs: int) -> dict[str, Any]:
        """Makes `runs` durable runs, one after another."""
        session, document = await self._opened(), getattr(graphs, shape)(*arguments)
        begin = time.perf_counter()
        for _ in range(runs):
            await session.run(document, expect)
        return {"seconds": time.perf_counter() - begin}

    async def memory(self, shape: str, arguments: list[Any], expect: Any, runs: int) -> dict[str, Any]:
        """The same in memory."""
        document = getattr(graphs, shape)(*arguments)
        begin = time.perf_counter()
        results = [await asyncio.to_thread(_in_memory, document) for _ in range(runs)]
        seconds = time.perf_counter() - begin
        if any(result != expect for result in results):
            raise ValueError(f"gave {str(results)[:60]} instead of {str(expect)[:60]}")
        return {"seconds": seconds}

    async def _opened(self) -> Session:
        if self._session is None:
            self._session = await self._stack.enter_async_context(durable(PERDURE))
        return self._session


def _in_memory(document: Any) -> Mapping[str, Any]:
    return run_in_memory(document, [agents.add, agents.count]).results


async def main() -> None:
    """Answers each line of JSON on stdin with one on stdout, until stdin ends."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(LINE_BYTES)
    task = asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with AsyncExitStack() as stack:
        stack.callback(transport.close)
        side = Version(stack)
        _say({"versions": {}, "durability": "", "worker": os.getpid()})
        while line := await reader.readline():
            request = json.loads(line)
            try:
                _say(await getattr(side, request.pop("work"))(**request))
            except Exception as error:  # whatever it raises is an answer
                _say({"error": f"{type(error).__name__}: {error}"[:500]})


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
