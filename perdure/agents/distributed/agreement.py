"""Agents that agree on a value without a coordinator that knows all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from perdure.agents.agent import Sample, agent
from perdure.agents.distributed.maths import consensus
from perdure.agents.distributed.maths.chance import generator
from perdure.agents.distributed.maths.tensors import Array
from perdure.agents.distributed.values import array_of, count_of, rows_of
from perdure.agents.schema import anything, array, fields, flag, mapping, number
from perdure.errors import FinalError
from perdure.graph.values import Value, is_dict, is_list

_ROW = "{id, x, near}: near lists the ids of its neighbours"


@dataclass(frozen=True, kw_only=True)
class ConsensusParams:
    """Which weights a node gives its neighbours."""

    rule: Annotated[
        Literal["metropolis", "neighbourhood"],
        Field(
            description="metropolis converges to the average; neighbourhood, the mean of a node and its "
            "neighbours, to the mean weighted by degree + 1"
        ),
    ] = "metropolis"


@agent(
    "consensusStepAgent",
    pure=True,
    description="One node averages with its neighbours",
    category="agreement",
    inputs=fields(
        "row", "all", row=mapping(_ROW), all=array("the row and those of its neighbours, at least", mapping())
    ),
    output=mapping("the row with its next x"),
    samples=[
        Sample(
            inputs={
                "row": {"id": 0, "x": 9, "near": [1]},
                "all": [{"id": 0, "x": 9, "near": [1]}, {"id": 1, "x": 1, "near": [0]}],
            },
            result={"id": 0, "x": 5, "near": [1]},
        )
    ],
)
def consensus_step(inputs: dict[str, Value], params: ConsensusParams) -> Value:
    """The row with x = x + Σ w_ij (x_j - x), neighbours in the order of `near`. x is a number or an array.

    Raises FinalError for a neighbour that is not in `all`.
    """
    row, everyone = _row(inputs.get("row"), "row"), rows_of(inputs, "all", "consensusStepAgent: inputs")
    others = {other.get("id"): other for other in everyone}
    neighbours = [_row(others.get(other), f"all, the neighbour {other!r}") for other in row["near"]]
    degrees = [len(other["near"]) for other in neighbours]
    weights = consensus.weights_to(len(neighbours), degrees, params.rule)
    own = array_of(row.get("x"), "consensusStepAgent: inputs.row.x")
    values = [array_of(other.get("x"), "consensusStepAgent: the x of a neighbour") for other in neighbours]
    result = consensus.step(own, values, weights)
    return {**row, "x": _plain(result, row.get("x"))}


def _row(value: Any, name: str) -> dict[str, Value]:
    if not is_dict(value) or not is_list(value.get("near")):
        raise FinalError(f"consensusStepAgent: inputs.{name}: expected {_ROW}")
    return value


def _plain(result: Array, like: Value) -> Value:
    """A number for a number, lists for lists, an array for an array."""
    return result if isinstance(like, np.ndarray) else result.tolist()


@dataclass(frozen=True, kw_only=True)
class SpreadParams:
    """When a loop stops."""

    tolerance: Annotated[float, Field(ge=0, description="`more` is false at this spread or below")] = 1e-9
    most: Annotated[int, Field(ge=1, description="`more` is false after this many steps")] = 200
    key: Annotated[str, Field(description="the member of the rows to compare")] = "x"


@agent(
    "spreadAgent",
    pure=True,
    description="How far the values of all nodes are apart",
    category="agreement",
    inputs=fields("rows", rows=array("of the nodes", mapping()), step=number("from 0 (0)")),
    output=fields(
        spread=number("largest less smallest"),
        value=anything("the value of the first row"),
        steps=number("that are done"),
        more=flag("whether they are further apart than the tolerance, and steps are left"),
    ),
    samples=[
        Sample(
            inputs={"rows": [{"x": 4.5}, {"x": 4}, {"x": 3.5}], "step": 6},
            params={"tolerance": 0.1},
            result={"spread": 1, "value": 4.5, "steps": 7, "more": True},
        )
    ],
)
def spread(inputs: dict[str, Value], params: SpreadParams) -> Value:
    """The largest difference between any two rows, over all numbers of the values."""
    place = "spreadAgent: inputs"
    rows, step = rows_of(inputs, "rows", place), count_of(inputs, "step", place, 0)
    values = [array_of(row.get(params.key), f"{place}.rows[].{params.key}") for row in rows]
    if any(value.shape != values[0].shape for value in values):
        raise FinalError(f"{place}.rows: the values have different shapes")
    stacked = np.stack(values)
    apart = float((stacked.max(axis=0) - stacked.min(axis=0)).max(initial=0))
    if math.isnan(apart):
        raise FinalError(f"{place}.rows: a value is NaN, so the nodes can never agree")
    more = apart > params.tolerance and step + 1 < params.most
    return {"spread": apart, "value": rows[0][params.key], "steps": step + 1, "more": more}


@dataclass(frozen=True, kw_only=True)
class GossipParams:
    """What draws the pairs."""

    seed: Annotated[int, Field(ge=0, description="draws the pairs, with the step")] = 0
    exchanges: Annotated[int, Field(ge=1, description="in one step, one after the other")] = 1


@agent(
    "gossipAgent",
    pure=True,
    description="Random pairs of neighbours take the mean of their values",
    category="agreement",
    inputs=fields("rows", rows=array(_ROW, mapping()), step=number("from 0 (0)")),
    output=array("the rows with their next x", mapping()),
    samples=[
        Sample(
            inputs={"rows": [{"id": "a", "x": 9, "near": ["b"]}, {"id": "b", "x": 1, "near": ["a"]}]},
            result=[{"id": "a", "x": 5, "near": ["b"]}, {"id": "b", "x": 5, "near": ["a"]}],
        )
    ],
)
def gossip(inputs: dict[str, Value], params: GossipParams) -> Value:
    """The pairs follow from the seed and the step, so a replay or another host draws the same."""
    place = "gossipAgent: inputs"
    rows, step = rows_of(inputs, "rows", place), count_of(inputs, "step", place, 0)
    index = {row.get("id"): at for at, row in enumerate(rows)}
    neighbours: list[list[int]] = []
    for row in rows:
        if not is_list(row.get("near")) or any(other not in index for other in row["near"]):
            raise FinalError(f"{place}.rows: expected {_ROW}")
        neighbours.append([index[other] for other in row["near"]])
    values = [array_of(row.get("x"), f"{place}.rows[].x") for row in rows]
    for exchange in range(params.exchanges):
        left, right = consensus.gossip_pair(neighbours, generator(params.seed, step, exchange))
        if values[left].shape != values[right].shape:
            raise FinalError(f"{place}.rows: the values have different shapes")
        values[left] = values[right] = (values[left] + values[right]) / 2
    return [{**row, "x": _plain(value, row.get("x"))} for row, value in zip(rows, values, strict=True)]
