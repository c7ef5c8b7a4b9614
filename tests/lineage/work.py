"""The agent of the random graphs, in memory and in a worker: its answer depends on what it is asked alone."""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32


def text_of(inputs: Any, params: Any) -> str:
    """What is asked, as a string: two calls with the same one ask the same."""
    return json.dumps([inputs, params], default=repr)


def chance_of(salt: int, text: str) -> int:
    """A number that stands for chance."""
    return crc32(f"{salt} {text}".encode())


def answer_to(inputs: Any, chance: int) -> Any:
    """The answer, which has what the conditions and references of the graphs look for."""
    return {"v": chance % 5, "flag": bool(chance % 3), "inputs": inputs} if chance % 7 else {"flag": 0}


def fails(salt: int, text: str, retry: int) -> bool:
    """Whether this try of a call fails, where some do."""
    return chance_of(salt, f"{text} {retry}") % 12 == 0
