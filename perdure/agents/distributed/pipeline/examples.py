"""The agents that look at data before anything is trained on it: examples, statistics, schema, anomalies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import Field

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.distributed.maths import profiles, tables
from perdure.agents.distributed.pipeline.reading import parts_of, splits_of
from perdure.agents.distributed.values import optional, rows_of
from perdure.agents.schema import array, fields, flag, mapping, number, text
from perdure.errors import FinalError
from perdure.graph.values import Value, is_dict
from perdure.net import confined_files

MAX_TABLE_BYTES: Final = 20_000_000
"""Bytes of a CSV file."""

_TABLE = mapping("columns by name: vectors of numbers, lists of strings")
_SCHEMA = mapping("{columns}: for each {kind, required, values, min, max}")


def _default_splits() -> dict[str, float]:
    return {"train": 0.8, "eval": 0.2}


@dataclass(frozen=True, kw_only=True)
class SplitParams:
    """How the rows are dealt."""

    splits: Annotated[dict[str, float], Field(description="shares by name, which add up to 1")] = field(
        default_factory=_default_splits
    )
    seed: Annotated[int, Field(ge=0, description="deals other rows to each split")] = 0


@agent(
    "examplesAgent",
    description="Reads a table and deals its rows to splits",
    category="pipeline",
    inputs=fields(
        file=text("a CSV file with a header, in the folder for files"),
        csv=text("instead of a file: its text"),
        rows=array("instead of a file: objects", mapping()),
    ),
    output=fields(
        splits=mapping("for each split its table, as columns"), n=mapping("rows of each split"), rows=number()
    ),
    samples=[
        Sample(
            inputs={"csv": "machine,load\na,1\nb,2\n"},
            params={"splits": {"all": 1}},
            result={
                "splits": {"all": {"machine": ["a", "b"], "load": [1.0, 2.0]}},
                "n": {"all": 2},
                "rows": 2,
            },
        )
    ],
)
def examples(inputs: dict[str, Value], params: SplitParams, context: AgentContext) -> Value:
    """The split of a row follows from its cells and the seed, so rows that are added later move no other.

    Raises FinalError for a table that cannot be read, AgentError for a file that is missing.
    """
    table = _table(inputs, context)
    splits = tables.dealt(table, params.splits, params.seed)
    counts = {name: tables.length(split) for name, split in splits.items()}
    return {"splits": splits, "n": counts, "rows": tables.length(table)}


def _table(inputs: Mapping[str, Value], context: AgentContext) -> tables.Columns:
    place = "examplesAgent: inputs"
    sources = [name for name in ("file", "csv", "rows") if optional(inputs, name) is not None]
    if len(sources) != 1:
        raise FinalError(
            f"{place}: expected one of file, csv and rows, got {' and '.join(sources) or 'none'}"
        )
    if sources == ["rows"]:
        return tables.from_rows(rows_of(inputs, "rows", place))
    source: Any = inputs[sources[0]]
    if not isinstance(source, str):
        raise FinalError(f"{place}.{sources[0]}: expected a string")
    try:
        return tables.read_csv(source if sources == ["csv"] else _file(source, context))
    except FinalError as error:
        raise FinalError(f"{place}.{sources[0]}: {error.finding}", hint=error.hint) from None


def _file(name: str, context: AgentContext) -> str:
    root = context.settings.file_root
    path, parts = confined_files.locate(root, ".", name)
    confined_files.check_grant(context.grant, "reads", parts)
    return confined_files.read(root, path, parts, MAX_TABLE_BYTES).decode("utf-8-sig", "replace")


@agent(
    "statisticsAgent",
    description="Sums up each column of each split: missing values, range, quantiles, frequent strings",
    category="pipeline",
    inputs=fields("examples", examples=mapping("tables by split")),
    output=mapping("for each split {n, columns}"),
    samples=[
        Sample(
            inputs={"examples": {"train": {"machine": ["a", "b", "a", None]}}},
            result={
                "train": {
                    "n": 4,
                    "columns": {
                        "machine": {
                            "kind": "string",
                            "missing": 1,
                            "count": 3,
                            "unique": 2,
                            "values": {"a": 2, "b": 1},
                        }
                    },
                }
            },
        )
    ],
)
def statistics(inputs: dict[str, Value]) -> Value:
    """Raises FinalError for what is not a table."""
    splits = splits_of(inputs, "statisticsAgent: inputs")
    return {name: profiles.statistics(split) for name, split in splits.items()}


@dataclass(frozen=True, kw_only=True)
class SchemaParams:
    """What people know better than the data."""

    pinned: Annotated[
        dict[str, Any] | None,
        Field(description="by column: members of its rule that replace those inferred, or null for none"),
    ] = None


@agent(
    "schemaAgent",
    pure=True,
    description="Infers what tables of a kind should hold, from the statistics of one",
    category="pipeline",
    inputs=fields("statistics", statistics=mapping("{n, columns} of one split")),
    output=fields(schema=_SCHEMA),
    samples=[
        Sample(
            inputs={
                "statistics": {"n": 2, "columns": {"load": {"kind": "number", "missing": 0, "count": 2}}}
            },
            params={"pinned": {"load": {"max": 90}}},
            result={"schema": {"columns": {"load": {"kind": "number", "required": True, "max": 90}}}},
        )
    ],
)
def schema(inputs: dict[str, Value], params: SchemaParams) -> Value:
    """Ranges are never inferred: pin those that matter. Raises FinalError for a pin that is not a rule."""
    profile = _profile(inputs, "schemaAgent: inputs")
    return {"schema": profiles.pinned(profiles.inferred(profile), params.pinned or {})}


@agent(
    "validateAgent",
    pure=True,
    description="Finds what of a table its schema does not admit",
    category="pipeline",
    inputs=fields("statistics", "schema", statistics=mapping("{n, columns} of one split"), schema=_SCHEMA),
    output=fields(
        anomalous=flag("whether there is any"),
        anomalies=array("{column, kind, finding}", mapping()),
        text=text("the findings, a line each"),
    ),
    samples=[
        Sample(
            inputs={
                "statistics": {"n": 2, "columns": {}},
                "schema": {"columns": {"load": {"kind": "number", "required": True}}},
            },
            result={
                "anomalous": True,
                "anomalies": [{"column": "load", "kind": "missing", "finding": "the column is missing"}],
                "text": "load: the column is missing",
            },
        )
    ],
)
def validate(inputs: dict[str, Value]) -> Value:
    """Use `anomalous` as a condition: nothing is trained on data that is wrong."""
    place = "validateAgent: inputs"
    rules = parts_of(inputs, "schema", place)
    if not is_dict(rules.get("columns")):
        raise FinalError(f"{place}.schema: expected {{columns}}", hint="pass the schema of schemaAgent")
    anomalies = profiles.anomalies(_profile(inputs, place), rules)
    lines = [f"{one['column'] or 'table'}: {one['finding']}" for one in anomalies]
    return {"anomalous": bool(anomalies), "anomalies": anomalies, "text": "\n".join(lines)}


def _profile(inputs: Mapping[str, Value], place: str) -> Mapping[str, Any]:
    profile = parts_of(inputs, "statistics", place)
    if not is_dict(profile.get("columns")) or "n" not in profile:
        raise FinalError(
            f"{place}.statistics: expected {{n, columns}}",
            hint="pass one split of statisticsAgent, such as :statistics.train",
        )
    return profile
