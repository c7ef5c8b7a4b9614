"""Random choices and random values: what graphs are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, TypeVar

Item = TypeVar("Item")

SCALARS: Sequence[Any] = (
    *(None, True, False, 0, 1, 2, 3, -1, 0.5, -2.25, 1e21, 1e-7, 9007199254740993, 123456789012345680000),
    *("", "a", "abc", "hello world", "2", "0", "-3.5", "0x1F", "true", " pad ", "x,y,z", "a-b-c", "a b c"),
    *("日本語", "😀x", "ÄÖ", "line\nbreak", "[1, 2]", '{"k": 1, "items": [1]}', "null", "bad {json"),
    *('```json\n{"a": 1}\n```', "copyAgent", "mockOk", "k", "one two_three-four"),
)
WEIRD: Sequence[Any] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2.5,
    "",
    "2",
    "x",
    "a b",
    [],
    {},
    [1, "a"],
    {"x": 1},
    [[]],
)
"""What may be in a key that wants something else."""

KEYS = ("k", "name", "items", "n", "text", "flag", "1", "10", "02", "a b", "é", "deep", "list")
REWRITTEN = ("cost $& more", "${:a}", "$$", "a $` b $' c", "${@loop}", "x${:zz}y")
"""Values that GraphAI expands once more where they meet a template."""


class Draw:
    """Choices from one source of chance."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        return items[self.random.randrange(len(items))]

    def weighted(self, weights: Mapping[Item, float]) -> Item:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def count(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        return self.random.sample(items, len(items))

    def scalar(self) -> Any:
        if self.chance(0.01):
            return self.pick(REWRITTEN)
        return self.pick(SCALARS)

    def weird(self) -> Any:
        return self.pick(WEIRD)

    def value(self, depth: int = 2) -> Any:
        """Any JSON value; small, and the more often flat."""
        kind = self.weighted({"scalar": 5, "list": 3, "dict": 3}) if depth else "scalar"
        if kind == "list":
            return self.list(depth - 1)
        if kind == "dict":
            return {self.pick(KEYS): self.value(depth - 1) for _ in range(self.count(0, 3))}
        return self.scalar()

    def list(self, depth: int = 1) -> list[Any]:
        kind = self.weighted({"numbers": 3, "strings": 3, "any": 3, "dicts": 2, "empty": 0.6})
        size = self.count(1, 4)
        if kind == "empty":
            return []
        if kind == "numbers":
            return [self.count(-2, 5) for _ in range(size)]
        if kind == "strings":
            return [self.pick(("a", "bc", "d e", "x", "10")) for _ in range(size)]
        if kind == "dicts" and depth:
            return [{"k": self.scalar(), "n": self.count(0, 3)} for _ in range(size)]
        return [self.value(depth) for _ in range(size)]
