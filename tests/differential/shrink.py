"""Makes a failing case small: whatever can go while it still fails, goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Place = tuple[str | int, ...]
KEPT = {("name",), ("category",), ("timeoutMs",), ("graph",)}


def shrink(
    case: dict[str, Any], fails: Callable[[dict[str, Any]], bool], attempts: int = 800
) -> dict[str, Any]:
    """The smallest case found that still fails, in at most that many attempts."""
    left = attempts
    progress = True
    while progress and left > 0:
        progress = False
        for candidate in _smaller(case):
            left -= 1
            if left <= 0:
                break
            if fails(candidate):
                case, progress = candidate, True
                break
    return case


def _smaller(case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    places = sorted(_places(case, ()), key=len)
    for place in places:
        if place not in KEPT:
            yield _edited(case, place, None, remove=True)
    for place in reversed(places):
        value = _at(case, place)
        if isinstance(value, dict | list) and value and place not in KEPT:
            yield _edited(case, place, {} if isinstance(value, dict) else [])
            yield _edited(case, place, 1)
        elif isinstance(value, str) and len(value) > 1 and "name" not in place and place[-1] != "category":
            yield _edited(case, place, value.rpartition(".")[0] or "a")


def _places(value: Any, place: Place) -> Iterator[Place]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*place, key)
        yield from _places(item, (*place, key))


def _at(value: Any, place: Place) -> Any:
    for key in place:
        value = value[key]
    return value


def _edited(value: Any, place: Place, new: Any, remove: bool = False) -> Any:
    """A copy of `value` in which the item at `place` is `new`, or gone."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(place) > 1:
        copy[place[0]] = _edited(value[place[0]], place[1:], new, remove)
    elif remove:
        del copy[place[0]]
    else:
        copy[place[0]] = new
    return copy
