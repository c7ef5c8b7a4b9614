"""Builds values piece by piece, under limits: what the readers of YAML and JSON have in common.

Iterative: the depth of a document costs heap, never Python's stack.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Final, NoReturn

from perdure.errors import GraphError, Problem
from perdure.graph.text.document import Limits, Position, Spot
from perdure.graph.values import Value

_HALF_PAIR: Final = re.compile("[\0\ud800-\udfff]")


@dataclass(slots=True)
class Size:
    """What a value costs: values and characters in it, and how many levels it is deep."""

    values: int
    chars: int
    depth: int


@dataclass(slots=True)
class _Frame:
    """A list or object that is not closed yet. `key` is that of the item to come."""

    value: list[Value] | dict[str, Value]
    spot: Spot
    anchor: str | None
    size: Size
    key: str | None = None
    key_position: Position = (0, 0)


@dataclass(slots=True)
class _Anchor:
    value: Value
    spot: Spot
    size: Size | None = None  # None while the anchored value is still open


@dataclass
class Tree:
    """A value under construction: feed it `open`, `key`, `scalar`, `alias` and `close` in order.

    Every method raises GraphError with the place, line and column where a limit is passed.
    """

    limits: Limits
    source: str = ""
    root: Value = None
    spots: Spot | None = None
    _frames: list[_Frame] = field(default_factory=list[_Frame])
    _anchors: dict[str, _Anchor] = field(default_factory=dict[str, _Anchor])
    _values: int = 0
    _chars: int = 0
    _aliased: int = 0

    @property
    def wants_key(self) -> bool:
        """Whether the next scalar is a key of the innermost object."""
        frames = self._frames
        return bool(frames) and frames[-1].key is None and isinstance(frames[-1].value, dict)

    def open(self, value: list[Value] | dict[str, Value], at: Position, anchor: str | None = None) -> None:
        """Starts a list or an object: `value` is an empty one."""
        if len(self._frames) >= self.limits.depth:
            self.fail_depth(at)
        spot = Spot(at, {} if isinstance(value, dict) else [])
        self._count(1, 0, at)
        if anchor is not None:
            self._anchors[anchor] = _Anchor(value, spot)
        self._frames.append(_Frame(value, spot, anchor, Size(1, 0, 1)))

    def close(self) -> None:
        """Ends the innermost list or object and puts it where it belongs."""
        frame = self._frames.pop()
        if frame.anchor is not None and self._anchors[frame.anchor].value is frame.value:
            self._anchors[frame.anchor].size = frame.size
        self._place(frame.value, frame.spot, frame.size)

    def key(self, text: str, at: Position, anchor: str | None = None) -> None:
        """Names the next item of the innermost object."""
        if anchor is not None:
            self._anchors[anchor] = _Anchor(text, Spot(at), Size(1, len(text), 0))
        self._check_text(text, at)
        frame = self._frames[-1]
        if text in frame.value:
            first = frame.spot.child(text)
            line = first.position[0] if first else 0
            self.fail(
                "duplicate-key",
                at,
                f"the key {short(text)} is already set on line {line}",
                "remove or rename one of the two",
            )
        self._count(0, len(text), at)
        frame.size.chars += len(text)
        frame.key, frame.key_position = text, at

    def scalar(self, value: Value, at: Position, anchor: str | None = None) -> None:
        """Adds null, a boolean, a number or a string."""
        chars = 0
        if isinstance(value, str):
            self._check_text(value, at)
            chars = len(value)
        else:
            self.check_finite(value, at)
        self._count(1, chars, at)
        spot, size = Spot(at), Size(1, chars, 0)
        if anchor is not None:
            self._anchors[anchor] = _Anchor(value, spot, size)
        self._place(value, spot, size)

    def alias(self, name: str, at: Position) -> None:
        """Adds a copy of what is anchored under `name`."""
        anchor = self.anchored(name, at)
        size = anchor.size
        assert size is not None
        self._aliased += size.values
        if self._aliased > self.limits.aliased:
            self.fail(
                "alias-bomb",
                at,
                f"the aliases of this document stand for more than {self.limits.aliased:,} values",
                "write out the few values that are needed, or pass them as inputs",
            )
        if len(self._frames) + size.depth > self.limits.depth:
            self.fail_depth(at)
        self._count(size.values, size.chars, at)
        self._place(_copy(anchor.value), Spot(at, anchor.spot.items), size)

    def anchored(self, name: str, at: Position) -> _Anchor:
        """The finished value under `name`."""
        anchor = self._anchors.get(name)
        if anchor is None:
            self.fail(
                "unknown-alias",
                at,
                f"*{name} refers to no anchor above it",
                f"write &{name} before the value meant, or put the text in quotes",
            )
        if anchor.size is None:
            self.fail(
                "alias-cycle",
                at,
                f"*{name} is inside the value that it refers to",
                "a graph is a finite value: repeat with `loop`, or copy the part that is meant",
            )
        return anchor

    def anchored_key(self, name: str, at: Position) -> Value:
        """The scalar under `name`, to be used as a key."""
        value = self.anchored(name, at).value
        if isinstance(value, dict | list):
            self.fail_key(at)
        return value

    def check_finite(self, value: Value, at: Position) -> None:
        """Refuses NaN and the infinities, and numbers that became one."""
        if isinstance(value, float) and not math.isfinite(value):
            self.fail(
                "not-json-value",
                at,
                "the number is not finite or beyond 1.8e308, which JSON cannot hold",
                "write a finite number, or put it in quotes",
            )

    def fail(self, code: str, at: Position | None, finding: str, hint: str) -> NoReturn:
        """Raises GraphError with one problem at the place that is being built."""
        place = ".".join(filter(None, map(_key_of, self._frames)))
        line, column = at or (None, None)
        raise GraphError([Problem(code, place, finding, hint, line, column)], self.source)

    def fail_depth(self, at: Position) -> NoReturn:
        """Raises GraphError for a value nested too deep."""
        self.fail(
            "too-deep",
            at,
            f"more than {self.limits.depth} lists and objects inside each other",
            "move the inner part into a graph of its own",
        )

    def fail_key(self, at: Position) -> NoReturn:
        """Raises GraphError for a list or an object in place of a key."""
        self.fail(
            "key-not-text",
            at,
            "a list or an object is where a key is expected",
            'put it in quotes if it is meant literally, as in "{{name}}"',
        )

    def _place(self, value: Value, spot: Spot, size: Size) -> None:
        if not self._frames:
            self.root, self.spots = value, spot
            return
        frame = self._frames[-1]
        frame.size.values += size.values
        frame.size.chars += size.chars
        frame.size.depth = max(frame.size.depth, size.depth + 1)
        if isinstance(frame.value, list):
            assert isinstance(frame.spot.items, list)
            frame.value.append(value)
            frame.spot.items.append(spot)
        else:
            assert isinstance(frame.spot.items, dict)
            assert frame.key is not None
            spot.position = frame.key_position
            frame.value[frame.key] = value
            frame.spot.items[frame.key] = spot
            frame.key = None

    def _count(self, values: int, chars: int, at: Position) -> None:
        self._values += values
        self._chars += chars
        if self._values > self.limits.values:
            self.fail(
                "too-many-values",
                at,
                f"the document holds more than {self.limits.values:,} values",
                "keep data in files or inputs, not in the graph",
            )
        if self._chars > self.limits.size:
            self.fail(
                "too-large",
                at,
                f"its strings, with aliases written out, exceed {self.limits.size:,} characters",
                "keep data in files or inputs, not in the graph",
            )

    def _check_text(self, text: str, at: Position) -> None:
        if len(text) > self.limits.scalar:
            self.fail(
                "too-long",
                at,
                f"one text of {len(text):,} characters; at most {self.limits.scalar:,} are read",
                "keep it in a file or pass it as an input",
            )
        bad = _HALF_PAIR.search(text)
        if bad:
            self.fail(
                "bad-character",
                at,
                f"the text holds U+{ord(bad[0]):04X}, which is not a character",
                "remove it; an emoji is written as it is or as a pair of escapes",
            )


def short(text: str) -> str:
    """`text` quoted for a message, cut where it is long."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _key_of(frame: _Frame) -> str:
    if isinstance(frame.value, list):
        return str(len(frame.value))
    key = frame.key or ""
    return key if len(key) <= 40 and key.isprintable() else short(key)


def _copy(value: Value) -> Value:
    """A copy that shares no list and no object. Iterative, for values within the limits."""
    holder: list[Value] = [value]
    todo: list[list[Value] | dict[str, Value]] = [holder]
    while todo:
        into = todo.pop()
        for key, item in list(into.items() if isinstance(into, dict) else enumerate(into)):
            if isinstance(item, dict | list):
                into[key] = item.copy()  # type: ignore[index] -- a key of either kind
                todo.append(into[key])  # type: ignore[index] -- likewise
    return holder[0]
