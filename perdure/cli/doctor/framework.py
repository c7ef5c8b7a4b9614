"""What `perdure doctor` is made of: findings, and checks that neither hang nor stop each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from perdure.agents.threads import in_thread
from perdure.errors import PerdureError

CHECK_TIMEOUT_S = 10.0
"""Seconds for one check."""


class State(StrEnum):
    """How what was looked at is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NO_SERVER = "no-server"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table: what was looked at, how it is, and what to do about it."""

    check: str
    state: State
    finding: str
    hint: str = ""


def fine(check: str, finding: str) -> Finding:
    """There is nothing to do."""
    return Finding(check, State.OK, finding)


def warning(check: str, finding: str, hint: str) -> Finding:
    """Runs work, but not all that could be."""
    return Finding(check, State.WARNING, finding, hint)


def failed(check: str, finding: str, hint: str) -> Finding:
    """Something does not work."""
    return Finding(check, State.FAILED, finding, hint)


async def checked(
    name: str, check: Callable[[], Awaitable[list[Finding]]], limit: float = CHECK_TIMEOUT_S
) -> list[Finding]:
    """What the check finds, or that it came to no end within `limit` seconds, or how it failed itself."""
    try:
        async with asyncio.timeout(limit):
            return await check()
    except TimeoutError:
        return [failed(name, f"no answer within {limit:g} s", "look whether a disk or a network hangs")]
    except PerdureError as error:
        return [failed(name, error.finding, error.hint)]
    except Exception as error:
        problem = f"{type(error).__name__}: {error}".partition("\n")[0]
        return [failed(name, f"cannot be looked at: {problem}", "")]


async def looked_at(
    name: str, look: Callable[[], list[Finding]], limit: float = CHECK_TIMEOUT_S
) -> list[Finding]:
    """`checked` for a function that blocks."""

    async def check() -> list[Finding]:
        return await in_thread(f"doctor-{name}", look)

    return await checked(name, check, limit)
