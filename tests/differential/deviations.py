"""Where Perdure differs from GraphAI on purpose: each with its reason, and how a case shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.differential.references import PROTOTYPE


@dataclass(frozen=True)
class Deviation:
    """`explains` tells whether a case that differs does so for this reason."""

    name: str
    reason: str
    explains: Callable[[dict[str, Any], dict[str, Any]], bool]


def explanation(case: dict[str, Any], answer: dict[str, Any]) -> Deviation | None:
    """The deviation by which a case may differ, if any."""
    return next((deviation for deviation in DEVIATIONS if deviation.explains(case, answer)), None)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)


def _rewritten(case: dict[str, Any], answer: dict[str, Any]) -> bool:
    del answer
    texts = list(_texts(case))
    return any("${:" in text for text in texts) and any(re.search(r"\$[$&`']|\$\{[:@]", text) for text in texts)


def _misplaced(case: dict[str, Any], answer: dict[str, Any]) -> bool:
    del answer
    return any(re.search(r"\$\{@[^}]+\}.*\$\{:", text, re.DOTALL) for text in _texts(case))


def _prototype(case: dict[str, Any], answer: dict[str, Any]) -> bool:
    del answer
    words = "|".join(PROTOTYPE)
    return re.search(rf'[.:"]({words})\b', json.dumps(case)) is not None


DEVIATIONS = (
    Deviation(
        "index of utilities",
        "GraphAI gives `${:ref}` the value of another one where a `${@utility}` stands before it.",
        _misplaced,
    ),
    Deviation(
        "one pass",
        "Templates are filled in one pass; GraphAI expands inserted text again, `$&` and its kin too.",
        _rewritten,
    ),
    Deviation(
        "only data",
        "A reference reaches data only; GraphAI reaches the members of JavaScript's prototypes.",
        _prototype,
    ),
)
