"""Agents that add up the arrays of all ranks without one that receives them all."""

from __future__ import annotations

from typing import Any

import numpy as np

from perdure.agents.agent import Sample, agent
from perdure.agents.distributed.maths import ring
from perdure.agents.distributed.maths.tensors import Array
from perdure.agents.distributed.values import array_of, count_of, rows_of
from perdure.agents.schema import array, fields, mapping, number
from perdure.errors import FinalError
from perdure.graph.values import Value, is_dict, is_list

_RANK = "{id, value} at first, as this agent returns it later"


@agent(
    "ringStepAgent",
    pure=True,
    description="One rank of a ring all-reduce sends a chunk, and adds the one that it receives",
    category="agreement",
    inputs=fields(
        "row",
        "all",
        row=mapping(_RANK),
        all=array("the rows of all ranks, in the order of the ring", mapping()),
        step=number("from 0 (0)"),
    ),
    output=mapping("the row with its chunks, the bytes that it has sent, and the sum as value at the end"),
    samples=[
        Sample(
            inputs={
                "row": {"id": 0, "value": [1, 2]},
                "all": [{"id": 0, "value": [1, 2]}, {"id": 1, "value": [10, 20]}],
            },
            result={"id": 0, "value": [1, 2], "chunks": [[1], [22]], "bytes": 8, "more": True},
        )
    ],
)
def ring_step(inputs: dict[str, Value]) -> Value:
    """The bytes are those of the chunk for the next rank: 2 (N - 1) / N of the array after all steps."""
    place = "ringStepAgent: inputs"
    rows, step = rows_of(inputs, "all", place), count_of(inputs, "step", place, 0)
    row: Any = inputs.get("row")
    ids = [other.get("id") for other in rows]
    if not is_dict(row) or row.get("id") not in ids or len(rows) < 2:
        raise FinalError(f"{place}: expected a row of one of at least two ranks: {_RANK}")
    rank, ranks = ids.index(row["id"]), len(rows)
    own, before = _chunks(row, ranks, place), _chunks(rows[rank - 1], ranks, place)
    chunk = before[ring.sent_chunk((rank - 1) % ranks, step, ranks)]
    sent = own[ring.sent_chunk(rank, step, ranks)]
    result = ring.received(own, chunk, rank, step)
    more = step + 1 < ring.steps(ranks)
    value = row["value"] if more else _joined(result, array_of(row["value"], f"{place}.row.value"), row)
    is_array = isinstance(row["value"], np.ndarray)
    shown: list[Value] = [part if is_array else part.tolist() for part in result]
    count = row.get("bytes", 0) + sent.nbytes
    return {"id": row["id"], "value": value, "chunks": shown, "bytes": count, "more": more}


def _chunks(row: Value, ranks: int, place: str) -> list[Array]:
    parts: Value = row.get("chunks")
    if is_list(parts):
        return [array_of(part, f"{place}: a chunk") for part in parts]
    return ring.chunks(array_of(row.get("value"), f"{place}: the value of a rank"), ranks)


def _joined(parts: list[Array], like: Array, row: Value) -> Value:
    """The sum, in the form of the value."""
    result = np.concatenate(parts).reshape(like.shape)
    return result if isinstance(row["value"], np.ndarray) else result.tolist()
