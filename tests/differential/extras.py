"""What any computed node may have: conditions, retries, labels, what becomes of its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.differential.draw import KEYS, Draw
from tests.differential.references import FUNCTIONS, References

LABELS = ("gpu", "net")


class Extras:
    """Adds keys to nodes; `has_labels` and `is_race` make labels and anyInput frequent."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.has_labels = draw.chance(0.2)
        self.is_race = draw.chance(0.15)

    def add(self, node: dict[str, Any], refs: References, example: Any) -> Any:
        draw = self.draw
        for key in ("if", "unless"):
            if draw.chance(0.09):
                node[key] = self._condition(refs)
                if draw.chance(0.35):
                    node["defaultValue"] = draw.value()
        fails = node["agent"] in ("mockTwice", "mockFail")
        for key, chance, values in (
            ("isResult", 0.4, (True,)),
            ("defaultValue", 0.03, (draw.value(),)),
            ("anyInput", 0.5 if self.is_race else 0.1, (True, True, True, False, 1)),
            ("retry", 0.5 if fails else 0.1, (1, 2, 1, 2, 3, "2", 0, -1, None, 0.5, True)),
            ("repeatUntil", 0.06, self._paths(example)),
            ("priority", 0.12, (1, 2, -1, 5, "3", None, 0.5)),
            ("timeout", 0.01, (0, None, -1, 100000)),
            ("filterParams", 0.02, ({"x": 1}, {}, None)),
            ("label", 0.5 if self.has_labels else 0.02, (*LABELS, "other", "")),
            ("console", 0.05, (console(draw),)),
        ):
            if draw.chance(chance):
                node[key] = draw.pick(values)
        return self._shape_result(node, refs, example)

    def _shape_result(self, node: dict[str, Any], refs: References, example: Any) -> Any:
        draw = self.draw
        if draw.chance(0.08):
            parts = {draw.pick(KEYS): refs.inputs(1) for _ in range(draw.count(1, 2))}
            node["passThrough"] = {key: text for key, (text, _) in parts.items()}
            if isinstance(example, dict):
                example = {**example, **{key: guess for key, (_, guess) in parts.items()}}
        if draw.chance(0.09):
            node["output"] = {draw.pick(KEYS): self._path(example) for _ in range(draw.count(1, 3))}
            example = dict.fromkeys(node["output"], "mapped")
        return example

    def _paths(self, example: Any) -> Sequence[Any]:
        keys = list(example) if isinstance(example, dict) and self.draw.chance(0.8) else []
        return [{"exists": f".{key}"} for key in keys] or ({"exists": ".zz.k"}, {"exists": "x"}, {}, "x")

    def _condition(self, refs: References) -> str:
        reference = refs.typed(self.draw.pick((bool, int, list, str)))
        return reference[0] if reference and self.draw.chance(0.4) else refs.any()[0]

    def _path(self, example: Any) -> Any:
        draw = self.draw
        if draw.chance(0.2):
            return draw.pick(
                (
                    "literal",
                    ":a",
                    "x ${:a} y",
                    "${@someone}",
                    1,
                    [".k", {"x": ".n"}],
                    "@loop",
                    "",
                    ".",
                    "${@loop}",
                )
            )
        keys = list(example) if isinstance(example, dict) and example else ["$0", "zz", "text"]
        path = f".{draw.pick(keys)}"
        if draw.chance(0.3):
            path += f".{draw.pick(FUNCTIONS[draw.pick((list, str, int))])}"
        return path


def console(draw: Draw) -> Any:
    """A `console` of any kind."""
    return draw.pick(
        (
            True,
            False,
            "shown",
            {"before": True},
            {"after": {"x": ".k"}},
            {"after": "done"},
            {"before": "go", "after": True},
        )
    )
