"""Agents on text: split, parse JSON, spell names, print. Templates have a file of their own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.schema import anything, array, fields, number, text
from perdure.agents.shipped.objects import array_length, kind, option, plus
from perdure.errors import AgentError
from perdure.graph.functions import code_block
from perdure.graph.javascript import WHITESPACE, parse, to_number, to_string, trim
from perdure.graph.sizes import MAX_VALUE_BYTES, Meter, indented
from perdure.graph.values import UNDEFINED, Value, js_truthy

_UTF_16 = ("utf-16-le", "surrogatepass")
_GAPS = re.compile(f"[{WHITESPACE}_-]+")
_SPACES = re.compile(f"[{WHITESPACE}]+")


@agent(
    "stringSplitterAgent",
    pure=True,
    description="Splits a string into overlapping chunks of equal size",
    category="string",
    inputs=fields("text", text=text("the text")),
    params=fields(
        chunkSize=number("UTF-16 units per chunk, 2048 by default"),
        overlap=number("units that a chunk shares with the next, an eighth of chunkSize by default"),
    ),
    output=fields(
        contents=array("the chunks", items=text()), count=number(), chunkSize=number(), overlap=number()
    ),
    samples=[
        Sample(
            inputs={"text": "the quick brown fox"},
            params={"chunkSize": 8, "overlap": 2},
            result={
                "contents": ["the quic", "ick brow", "own fox", "x"],
                "count": 4,
                "chunkSize": 8,
                "overlap": 2,
            },
        )
    ],
)
def string_splitter(inputs: dict[str, Value], params: dict[str, Value]) -> dict[str, Value]:
    """Chunks that start every chunkSize - overlap units; the last may be empty."""
    source = _text("stringSplitterAgent", inputs)
    plain = source.isascii()
    units = b"" if plain else source.encode(*_UTF_16)
    length = len(source) if plain else len(units) // 2
    size = option(params, "chunkSize", 2048)
    overlap = option(params, "overlap", _floor(float(to_number(size)) / 8))
    step = float(to_number(size)) - float(to_number(overlap))
    parts = _floor(length / step) + 1 if step else math.nan
    count = array_length(parts, "stringSplitterAgent: the number of chunks")
    is_plain = type(size) is int and size >= 0 and step >= 1 and step.is_integer()
    if is_plain and count * size <= MAX_VALUE_BYTES:
        ranges = ((start, start + size) for start in range(0, count * int(step), int(step)))
    else:
        ranges = _ranges(count, step, size, length)
    if plain:
        contents = [source[first:last] for first, last in ranges]
    else:
        contents = [units[2 * first : 2 * last].decode(*_UTF_16) for first, last in ranges]
    return {"contents": contents, "count": count, "chunkSize": size, "overlap": overlap}


def _ranges(count: int, step: float, size: Value, length: int) -> Iterator[tuple[int, int]]:
    """Where chunks begin and end, as JavaScript does it with any numbers. Raises SizeExceeded."""
    meter = Meter(MAX_VALUE_BYTES)
    for index in range(count):
        start = index * step
        first, last = sorted((_clamp(start, length), _clamp(to_number(plus(start, size)), length)))
        meter.add(last - first)
        yield first, last


def _floor(value: float) -> float:
    return math.floor(value) if math.isfinite(value) else value


def _clamp(index: float, length: int) -> int:
    """An argument of String.prototype.substring as an index."""
    return 0 if math.isnan(index) else int(min(max(index, 0), length))


@agent(
    "jsonParserAgent",
    pure=True,
    description="Parses JSON, from a string or the first code block in it, or writes it",
    category="string",
    inputs=fields(text=text("the text to read"), data=anything("the value to write")),
    output=fields(text=text("`data` as JSON, indented by 2"), data=anything("the parsed value")),
    samples=[
        Sample(
            inputs={"text": 'Here you are:\n```json\n{"ok": true}\n```\nBye'}, result={"data": {"ok": True}}
        ),
        Sample(inputs={"data": {"n": [1]}}, result={"text": '{\n  "n": [\n    1\n  ]\n}'}),
    ],
)
def json_parser(inputs: dict[str, Value]) -> dict[str, Value]:
    """`{text}` if there is data to write, else `{data}`. Raises AgentError if the text is not JSON."""
    data, text = inputs.get("data", UNDEFINED), inputs.get("text", UNDEFINED)
    if js_truthy(data):
        return {"text": indented(data)}
    block = code_block(to_string(text))
    source = to_string(option(inputs, "text", "")) if block is UNDEFINED else to_string(block)
    try:
        return {"data": parse(source)}
    except (ValueError, RecursionError) as error:
        raise AgentError(f"jsonParserAgent: {source[:60]!r} is not JSON: {error}") from error


@agent(
    "stringCaseVariantsAgent",
    pure=True,
    description="Writes a name in camel, snake and kebab case",
    category="string",
    inputs=fields("text", text=text("words between spaces, hyphens or underscores")),
    params=fields(suffix=text("a last word, added unless the name ends with it")),
    output=fields(lowerCamelCase=text(), snakeCase=text(), kebabCase=text(), normalized=text()),
    samples=[
        Sample(
            inputs={"text": "Night_Train  to-Lisbon"},
            params={"suffix": "graph"},
            result={
                "lowerCamelCase": "nightTrainToLisbonGraph",
                "snakeCase": "night_train_to_lisbon_graph",
                "kebabCase": "night-train-to-lisbon-graph",
                "normalized": "night train to lisbon graph",
            },
        )
    ],
)
def string_case_variants(inputs: dict[str, Value], params: dict[str, Value]) -> dict[str, Value]:
    """The words of `text` in lower case, joined in four ways."""
    words = _GAPS.sub(" ", trim(_text("stringCaseVariantsAgent", inputs))).lower().split(" ")
    suffix = params.get("suffix", UNDEFINED)
    if js_truthy(suffix) and words[-1] != suffix:
        if not isinstance(suffix, str):
            raise AgentError(f"stringCaseVariantsAgent: params.suffix is {kind(suffix)}, not a string")
        words.append(suffix)
    normalized = " ".join(words)
    return {
        "lowerCamelCase": "".join([words[0], *(_capitalize(word) for word in words[1:])]),
        "snakeCase": _SPACES.sub("_", normalized),
        "kebabCase": _SPACES.sub("-", normalized),
        "normalized": normalized,
    }


def _capitalize(word: str) -> str:
    """The first UTF-16 unit in upper case: half of a pair has none."""
    return word if word[:1] > "\uffff" else word[:1].upper() + word[1:]


@agent(
    "consoleAgent",
    description="Adds a line to the console output of the run",
    category="string",
    inputs=fields(text=anything("the line")),
    output=fields(text=anything("the same")),
    samples=[Sample(inputs={"text": "half way there"}, result={"text": "half way there"})],
)
def console(inputs: dict[str, Value], context: AgentContext) -> dict[str, Value]:
    """Prints `text` and returns it."""
    shown = inputs.get("text", UNDEFINED)
    context.log(shown if isinstance(shown, str) else to_string(indented(shown)))
    return {"text": shown}


def _text(name: str, inputs: dict[str, Any]) -> str:
    text = inputs.get("text", UNDEFINED)
    if isinstance(text, str):
        return text
    raise AgentError(f"{name}: namedInputs.text is {kind(text)}, not a string")
