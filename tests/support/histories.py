"""The recorded histories: where they are, and what they may not reveal."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tests.support import TESTS

FOLDER = TESTS / "replay" / "histories"
GRAPHS = sorted((TESTS / "replay" / "graphs").glob("*.yaml"))
HISTORIES = sorted(FOLDER.glob("*.json"))

_PATHS = re.compile(r"""(?:/(?:home|root|tmp|Users|var|opt|mnt|work|srv)/|[A-Z]:\\)[^\s"']*""")


def private_texts(history: str, names: Iterable[str] = ()) -> list[str]:
    """What `history` reveals about the machine it was recorded on: paths, and any of `names`."""
    texts = list(_texts(json.loads(history)))
    private = {match for text in texts for match in _PATHS.findall(text)}
    private |= {name for name in names for text in texts if name in text}
    return sorted(private)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a history, payloads decoded."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            is_payload = key == "data" and isinstance(item, str)
            yield from _texts(base64.b64decode(item).decode(errors="replace") if is_payload else item)
