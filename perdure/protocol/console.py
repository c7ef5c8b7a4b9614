"""The console lines that fit where they are sent: the newest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

MAX_CONSOLE_LINE_CHARS: Final = 8_000
"""Characters of a console line."""
LOCAL_MODEL_NOTICE: Final = "no API key"
"""How the line begins that says that a local model answers; `perdure status` shows this line."""


def newest(lines: Sequence[str], count: int, size: int) -> list[str]:
    """The last `count` lines, each shortened, or as many of them as have at most `size` bytes as JSON."""
    kept: list[str] = []
    for line in reversed(lines[-count:]):
        shown = line[:MAX_CONSOLE_LINE_CHARS]
        size -= len(json.dumps(shown)) + 1
        if size < 0:
            break
        kept.append(shown)
    return kept[::-1]
