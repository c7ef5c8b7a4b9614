"""Agents that divide a problem, judge partial solutions and put them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field

from perdure.agents.agent import Sample, agent
from perdure.agents.distributed.values import count_of, number_of, rows_of
from perdure.agents.schema import anything, array, fields, flag, mapping, number, text
from perdure.errors import FinalError
from perdure.graph.javascript import stringify, to_string
from perdure.graph.values import Value, is_dict, is_list


@dataclass(frozen=True, kw_only=True)
class SplitParams:
    """How to divide."""

    parts: Annotated[int, Field(ge=1, description="how many; fewer if there are fewer items")] = 2
    by: Annotated[
        Literal["order", "size"],
        Field(description="runs of neighbours, or the largest item to the smallest part so far"),
    ] = "order"
    size: Annotated[
        str, Field(description="the member of an item that is its size; each counts 1 without")
    ] = ""


@agent(
    "splitAgent",
    pure=True,
    description="Divides a list into parts, the same for the same list",
    category="solving",
    inputs=fields("items", items=array("what to divide")),
    output=fields(
        parts=array("{id, items, size}", mapping()),
        skew=number("the largest part over the mean: 1 is even"),
    ),
    samples=[
        Sample(
            inputs={"items": [{"h": 5}, {"h": 3}, {"h": 2}]},
            params={"parts": 2, "by": "size", "size": "h"},
            result={
                "parts": [
                    {"id": 0, "items": [{"h": 5}], "size": 5},
                    {"id": 1, "items": [{"h": 3}, {"h": 2}], "size": 5},
                ],
                "skew": 1,
            },
        )
    ],
)
def split(inputs: dict[str, Value], params: SplitParams) -> Value:
    """Every item is in one part. Raises FinalError for an item without its size."""
    items = inputs.get("items")
    if not is_list(items):
        raise FinalError("splitAgent: inputs.items: expected a list")
    sizes = [_size(item, index, params) for index, item in enumerate(items)]
    count = min(params.parts, max(1, len(items)))
    chosen = _by_size(sizes, count) if params.by == "size" else _by_order(len(items), count)
    totals = [sum(sizes[index] for index in part) for part in chosen]
    mean = sum(totals) / count
    return {
        "parts": [
            {"id": number_, "items": [items[index] for index in part], "size": total}
            for number_, (part, total) in enumerate(zip(chosen, totals, strict=True))
        ],
        "skew": max(totals) / mean if mean > 0 else 1,
    }


def _size(item: Value, index: int, params: SplitParams) -> float:
    if not params.size:
        return 1
    if not is_dict(item):
        raise FinalError(f"splitAgent: inputs.items[{index}]: expected an object with {params.size!r}")
    return number_of(item, params.size, f"splitAgent: inputs.items[{index}]")


def _by_order(items: int, parts: int) -> list[list[int]]:
    bounds = [items * part // parts for part in range(parts + 1)]
    return [list(range(start, end)) for start, end in pairwise(bounds)]


def _by_size(sizes: Sequence[float], parts: int) -> list[list[int]]:
    """Longest processing time first (Graham, 1969): at most a third above the best possible."""
    chosen: list[list[int]] = [[] for _ in range(parts)]
    totals = [0.0] * parts
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        part = min(range(parts), key=lambda part: totals[part])
        chosen[part].append(index)
        totals[part] += sizes[index]
    return [sorted(part) for part in chosen]


@dataclass(frozen=True, kw_only=True)
class CriticParams:
    """What a solution must be."""

    schema_: Annotated[dict[str, Any], Field(alias="schema", description="JSON Schema of a solution")]
    rounds: Annotated[int, Field(ge=1, description="`again` is false after this many")] = 3


@agent(
    "criticAgent",
    pure=True,
    description="Judges a solution by a JSON Schema, and says what to correct",
    category="solving",
    inputs=fields("solution", solution=anything(), round=number("from 0 (0)")),
    output=fields(
        again=flag("whether it has conflicts and rounds are left"),
        conflicts=array("what is wrong, with its place", text()),
    ),
    samples=[
        Sample(
            inputs={"solution": {"crew": "A", "hours": 50}},
            params={"schema": {"properties": {"hours": {"maximum": 40}}}},
            result={"again": True, "conflicts": ["hours: 50 is greater than the maximum of 40"]},
        )
    ],
)
def critic(inputs: dict[str, Value], params: CriticParams) -> Value:
    """All findings, in the order of the schema. Raises FinalError for a schema that is not one."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 -- a third of a second, for this agent only
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415 -- the same

    round_ = count_of(inputs, "round", "criticAgent: inputs", 0)
    try:
        Draft202012Validator.check_schema(params.schema_)
    except SchemaError as error:
        raise FinalError(f"criticAgent: params.schema: {error.message}") from None
    validator: Any = Draft202012Validator(params.schema_)
    conflicts = [_finding(error) for error in validator.iter_errors(inputs.get("solution"))]
    return {"again": bool(conflicts) and round_ + 1 < params.rounds, "conflicts": conflicts}


def _finding(error: Any) -> str:
    place = ".".join(str(step) for step in error.absolute_path)
    return f"{place}: {error.message}" if place else str(error.message)


@dataclass(frozen=True, kw_only=True)
class MergeParams:
    """What parts may share."""

    key: Annotated[str, Field(description="a member that must be unique among all items")] = ""


@agent(
    "mergeAgent",
    pure=True,
    description="Puts partial solutions together, in the order of the parts",
    category="solving",
    inputs=fields("parts", parts=array("{part, solution}; solution is a list or an object", mapping())),
    output=fields(
        solution=anything("all items of the lists, or all members of the objects"),
        conflicts=array("keys for which parts say different things: {key, parts}", mapping()),
    ),
    samples=[
        Sample(
            inputs={
                "parts": [
                    {"part": {"id": 0}, "solution": {"mon": "A"}},
                    {"part": {"id": 1}, "solution": {"tue": "B", "mon": "C"}},
                ]
            },
            result={
                "solution": {"mon": "A", "tue": "B"},
                "conflicts": [{"key": "mon", "parts": [0, 1]}],
            },
        )
    ],
)
def merge(inputs: dict[str, Value], params: MergeParams) -> Value:
    """The first part to name a key decides; every other one that says something else is a conflict."""
    rows = rows_of(inputs, "parts", "mergeAgent: inputs")
    lists = all(is_list(row.get("solution")) for row in rows)
    if not lists and not all(is_dict(row.get("solution")) for row in rows):
        raise FinalError("mergeAgent: inputs.parts: expected solutions that are all lists, or all objects")
    merged: list[Value] = []
    first: dict[str, tuple[Value, Value]] = {}
    conflicts: dict[str, list[Value]] = {}
    for index, row in enumerate(rows):
        part = _id(row, index)
        for key, item in _members(row["solution"], params.key):
            if key is not None:
                owner, value = first.setdefault(key, (part, item))
                if owner != part:
                    if stringify(value) != stringify(item):
                        conflicts.setdefault(key, [owner]).append(part)
                    continue
            merged.append(item)
    differing = [{"key": key, "parts": parts} for key, parts in conflicts.items()]
    solution = merged if lists else {key: value for key, (_, value) in first.items()}
    return {"solution": solution, "conflicts": differing}


def _members(solution: Value, key: str) -> list[tuple[str | None, Value]]:
    if is_dict(solution):
        return list(solution.items())
    return [(_key(item, key), item) for item in solution]


def _key(item: Value, key: str) -> str | None:
    return to_string(stringify(item[key])) if key and is_dict(item) and key in item else None


def _id(row: Mapping[str, Value], index: int) -> Value:
    part = row.get("part")
    return part["id"] if is_dict(part) and "id" in part else index
