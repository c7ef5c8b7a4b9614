"""The loop of a process that is measured from outside: a line of JSON in, one out.

It is shared by the peers in Python, whose environment need not hold Perdure: only the standard
library is imported here.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Work = Callable[..., Any]
"""Takes the fields of a request and prepares the work; what it returns is then called and timed."""


@dataclass(frozen=True)
class Timed:
    """What work gave and how long it took; work that returns one has taken its time by itself."""

    result: Any
    seconds: float


def serve(versions: Mapping[str, str], durability: str, works: Mapping[str, Work]) -> None:
    """Answers until stdin ends: {"work": name, …} gives {"seconds": …, "result": …} or {"error": …}.

    What is prepared for a request is kept for the next like it.
    """
    prepared: dict[str, Callable[[], Any]] = {}
    with asyncio.Runner() as runner:
        _say({"versions": versions, "durability": durability})
        for line in sys.stdin:
            request = json.loads(line)
            try:
                if line not in prepared:
                    prepared[line] = works[request.pop("work")](**request)
                _say(_timed(runner, prepared[line]))
            except Exception as error:  # whatever a peer raises is an answer
                _say({"error": f"{type(error).__name__}: {error}"[:500]})


def _timed(runner: asyncio.Runner, work: Callable[[], Any]) -> Mapping[str, Any]:
    if inspect.iscoroutinefunction(work):
        timed = runner.run(_timed_async(work))
    else:
        begin = time.perf_counter()
        result = work()
        timed = Timed(result, time.perf_counter() - begin)
    if isinstance(timed.result, Timed):
        timed = timed.result
    return {"seconds": timed.seconds, "result": timed.result}


async def _timed_async(work: Callable[[], Any]) -> Timed:
    begin = time.perf_counter()
    result = await work()
    return Timed(result, time.perf_counter() - begin)


def refuse(reason: str) -> None:
    """Says that it cannot serve."""
    _say({"error": reason})


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)
