"""stringTemplateAgent: fills a string, or every string of a structure, with inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from perdure.agents.agent import Sample, agent
from perdure.agents.schema import anything, fields
from perdure.errors import AgentError
from perdure.graph.javascript import pair_surrogates, to_string
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, js_truthy, ordered_keys

STRANGE_KEYS_COUNT: Final = 20
"""Inputs whose names hold a closing brace: each costs a search of its own through every text."""

_BRACE = re.compile(r"\$\{|\}")


@agent(
    "stringTemplateAgent",
    pure=True,
    description="Replaces ${key} by the input `key`, in a string or in all strings of a structure",
    category="string",
    inputs=anything("a value per key; `text` is the result if there is no template"),
    params=fields(template=anything("a string, or lists and objects that hold strings")),
    output=anything("the template, filled"),
    samples=[
        Sample(
            inputs={"who": "Noor", "n": 3},
            params={"template": "Dear ${who}, you have ${n} letters. ${bye}"},
            result="Dear Noor, you have 3 letters. ${bye}",
        ),
        Sample(
            inputs={"tags": ["a", "b"], "who": "${tags}"},
            params={"template": {"labels": "${tags}", "note": ["by ${who}"]}},
            result={"labels": ["a", "b"], "note": ["by ${tags}"]},
        ),
    ],
)
def string_template(inputs: dict[str, Value], params: dict[str, Value]) -> Value:
    """The template with the first `${key}` of each key replaced.

    A string that is nothing but `${key}` becomes the value itself. All placeholders are located before any
    is filled: inserted values are never searched for further placeholders.
    """
    template = params.get("template", UNDEFINED)
    if template is UNDEFINED and js_truthy(inputs.get("text", UNDEFINED)):
        return inputs["text"]
    return _Filling({f"${{{key}}}": inputs[key] for key in ordered_keys(inputs)}).fill(template)


class _Filling:
    """What fills templates: a value for each mark ``${key}``.

    To search for each mark would take the product of keys and text. Instead one pass over the text stops
    at each brace and looks up what ends there. A key with a brace of its own is searched for: of those
    there may be STRANGE_KEYS_COUNT.
    """

    def __init__(self, values: dict[str, Value]) -> None:
        self._values = values
        self._rank = {mark: rank for rank, mark in enumerate(values)}
        self._lengths = {len(mark) for mark in values}
        self._strange = [mark for mark in values if mark.find("}") < len(mark) - 1]
        if len(self._strange) > STRANGE_KEYS_COUNT:
            raise AgentError(
                f"stringTemplateAgent: {len(self._strange):,} inputs have a closing brace in their names, "
                f"and {STRANGE_KEYS_COUNT} may"
            )

    def fill(self, template: Value) -> Value:
        """The template, each text in it filled."""
        if isinstance(template, str):
            return self._values[template] if template in self._values else self._fill_text(template)
        if is_list(template):
            return [self.fill(item) for item in template]
        if is_dict(template):
            return {key: self.fill(template[key]) for key in ordered_keys(template)}
        return template

    def _fill_text(self, template: str) -> str:
        """The text with the first place of each key filled; where places overlap, the first key has it."""
        used = bytearray(len(template))
        taken: list[tuple[int, int, str]] = []
        places = self._places(template)
        for mark in sorted({*places, *self._strange}, key=self._rank.__getitem__):
            listed = places.get(mark)
            starts = _places_of(mark, template, used) if listed is None else listed
            start = next((start for start in starts if used.find(1, start, start + len(mark)) < 0), None)
            if start is not None:
                used[start : start + len(mark)] = b"\1" * len(mark)
                taken.append((start, start + len(mark), to_string(self._values[mark])))
        pieces: list[str] = []
        done = 0
        for start, end, shown in sorted(taken):
            pieces += template[done:start], shown
            done = end
        return pair_surrogates("".join([*pieces, template[done:]]))

    def _places(self, template: str) -> dict[str, list[int]]:
        """Where each mark without an inner brace begins, in order; only those that occur."""
        places: dict[str, list[int]] = {}
        openings: list[int] = []
        for brace in _BRACE.finditer(template):
            if brace[0] != "}":
                openings.append(brace.start())
                continue
            for start in openings:
                if brace.end() - start in self._lengths:
                    mark = template[start : brace.end()]
                    if mark in self._values:
                        places.setdefault(mark, []).append(start)
            openings.clear()
        return places


def _places_of(mark: str, template: str, used: bytearray) -> Iterator[int]:
    """Where `mark` begins, one after the other, without what overlaps with a place that is used."""
    start = template.find(mark)
    while start >= 0:
        yield start
        start = template.find(mark, used.rfind(1, start, start + len(mark)) + 1)
