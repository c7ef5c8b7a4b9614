"""Agents next to the systems of a site: what a store holds, what to order, whether a model is sure."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.distributed.plugins import database_of, query_of
from perdure.agents.distributed.values import array_of, number_of
from perdure.agents.schema import anything, array, fields, flag, mapping, number
from perdure.errors import AgentError, FinalError
from perdure.graph.values import Value, is_list, is_number

MAX_QUERY_ROW_COUNT: Final = 10_000
"""Rows that a query may give."""

_BUSY_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class QueryParams:
    """What to ask, by names that the worker knows."""

    data: Annotated[str, Field(description="a database that the worker has")]
    query: Annotated[str, Field(description="a query that the worker has")]


@agent(
    "sqlAgent",
    description="Asks a database of the worker one of the worker's own queries",
    category="data",
    inputs=mapping("the parameters of the query: strings, numbers, booleans or null"),
    output=fields(rows=array("objects by column", mapping()), value=anything("of the first column and row")),
    samples=[
        Sample(
            inputs={"store": "s1", "item": "milk"},
            params={"data": "pos", "query": "stock_of_item"},
            result={"rows": [{"stock": 10}], "value": 10},
        )
    ],
)
def sql(inputs: dict[str, Value], params: QueryParams, context: AgentContext) -> Value:
    """A graph names a query and passes values, which are bound: it can neither write SQL nor see credentials.

    The database is SQLite, opened for reading only. Raises FinalError for a name that the worker does not
    have or parameters that do not fit, AgentError if the database does not answer.
    """
    text, path = query_of(params.query), database_of(params.data)(context)
    values = {name: value for name, value in inputs.items() if _is_bindable(value)}
    if len(values) < len(inputs):
        wrong = next(name for name in inputs if name not in values)
        raise FinalError(f"sqlAgent: inputs.{wrong}: a query takes strings, numbers, booleans and null")
    try:
        with closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
        ) as base:
            base.row_factory = sqlite3.Row
            rows = base.execute(text, values).fetchmany(MAX_QUERY_ROW_COUNT + 1)
    except sqlite3.ProgrammingError as error:
        raise FinalError(f"sqlAgent: the query {params.query!r}: {error}") from None
    except sqlite3.Error as error:
        raise AgentError(f"sqlAgent: the database {params.data!r}: {error}") from None
    if len(rows) > MAX_QUERY_ROW_COUNT:
        raise FinalError(
            f"sqlAgent: the query {params.query!r} gives more than {MAX_QUERY_ROW_COUNT:,} rows",
            hint="let the query aggregate",
        )
    listed = [dict(row) for row in rows]
    return {"rows": listed, "value": next(iter(listed[0].values())) if listed else None}


def _is_bindable(value: Value) -> bool:
    return value is None or isinstance(value, str | bool) or is_number(value)


@dataclass(frozen=True, kw_only=True)
class StockParams:
    """When a stock is low."""

    safety: Annotated[
        float, Field(gt=0, alias="safetyFactor", description="lead times that the stock must last")
    ] = 1
    pack: Annotated[float, Field(gt=0, description="orders are multiples of this")] = 1


@agent(
    "stockRuleAgent",
    pure=True,
    description="Whether a stock is low, and how much to order",
    category="planning",
    inputs=fields(
        "stock",
        "velocity",
        stock=number("units that are there or on their way"),
        velocity=number("units sold per lead time"),
    ),
    output=fields(
        low=flag("whether stock < velocity · safetyFactor"),
        quantity=number("what is missing, rounded up to packs; 0 if not low"),
        target=number("velocity · safetyFactor"),
    ),
    samples=[
        Sample(
            inputs={"stock": 10, "velocity": 5},
            params={"safetyFactor": 3, "pack": 6},
            result={"low": True, "quantity": 6, "target": 15},
        )
    ],
)
def stock_rule(inputs: dict[str, Value], params: StockParams) -> Value:
    """Raises FinalError for a missing number: an order must not follow from a guess."""
    place = "stockRuleAgent: inputs"
    stock, velocity = number_of(inputs, "stock", place), number_of(inputs, "velocity", place)
    target = velocity * params.safety
    low = stock < target
    quantity = math.ceil((target - stock) / params.pack) * params.pack if low else 0
    return {"low": low, "quantity": quantity, "target": target}


@dataclass(frozen=True, kw_only=True)
class ConfidenceParams:
    """When a model counts as sure."""

    least: Annotated[float, Field(ge=0, le=1, description="`unsure` below this probability")] = 0.8
    temperature: Annotated[float, Field(gt=0, description="scores are divided by it; above 1, less sure")] = 1


@agent(
    "confidenceAgent",
    pure=True,
    description="How sure a classifier is: softmax of its scores, at a temperature",
    category="edge",
    inputs=fields(
        "scores",
        scores=array("one for each class", number()),
        labels=array("names of the classes (their numbers)"),
    ),
    output=fields(
        label=anything("of the highest score, the first of equal ones"),
        confidence=number("its probability"),
        unsure=flag("whether that is below `least`"),
    ),
    samples=[
        Sample(
            inputs={"scores": [0, 0], "labels": ["cup", "can"]},
            result={"label": "cup", "confidence": 0.5, "unsure": True},
        )
    ],
)
def confidence(inputs: dict[str, Value], params: ConfidenceParams) -> Value:
    """Raises FinalError for no scores, or NaN among them."""
    scores = array_of(inputs.get("scores"), "confidenceAgent: inputs.scores")
    if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
        raise FinalError("confidenceAgent: inputs.scores: expected a finite number for each class")
    powers = np.exp((scores - scores.max()).astype(np.float64) / params.temperature)
    best = int(scores.argmax())
    probability = float(powers[best] / powers.sum())
    labels = inputs.get("labels")
    return {
        "label": labels[best] if is_list(labels) and best < len(labels) else best,
        "confidence": probability,
        "unsure": probability < params.least,
    }
