"""What stays in the store until an agent opens it, and what does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perdure.activities.call_inputs import redeemed
from perdure.agents.agent import Agent, AgentContext, agent, declared
from perdure.agents.blobs import Blob, opened
from perdure.agents.threads import in_thread
from perdure.graph.deferred import Projection
from perdure.protocol.numpy_arrays import from_python
from perdure.protocol.payloads import AgentCall
from perdure.storage import open_store
from perdure.storage.claim_check import ClaimCheck

pytestmark = pytest.mark.anyio


@agent("openingAgent", blobs=("rows",))
def opening(inputs: dict[str, Any]) -> Any:
    """What it gets, and what is in there."""
    kinds = [{name: type(item).__name__ for name, item in row.items()} for row in inputs["rows"]]
    values = [{name: opened(item) for name, item in row.items()} for row in inputs["rows"]]
    return {"kinds": kinds, "values": values, "other": type(inputs["other"]).__name__}


OPENING = declared(opening)
ROW: dict[str, Any] = {
    "n": 3,
    "text": "x" * 2_000,
    "raw": b"y" * 2_000,
    "w": {"a": np.arange(300.0), "b": np.ones(300)},
    "few": np.arange(3),
}
KINDS = {"n": "int", "text": "str", "raw": "Blob", "w": "Blob", "few": "Blob"}


async def test_both_shells_and_the_store_give_the_same() -> None:
    assert isinstance(OPENING, Agent)
    row = from_python(ROW)
    inputs = {"rows": [row, {"n": 1, "part": row["w"]["b"]}], "other": row["w"]["a"]}
    present = from_python(OPENING.call(inputs, {}, AgentContext()))
    assert present["kinds"] == [KINDS, {"n": "int", "part": "Blob"}]
    assert present["values"] == inputs["rows"]
    assert present["other"] == "ndarray"

    claims = ClaimCheck(open_store("memory://blobs"), 1_000)
    kept = {name: await claims.keep(value) for name, value in row.items()}
    rows = [kept, {"n": 1, "part": Projection(kept["w"], (("b", False),))}]
    call = AgentCall(agent="openingAgent", inputs={"rows": rows, "other": await claims.keep(row["w"]["a"])})
    values, params = await redeemed(call, OPENING.blobs, claims)
    assert from_python(await in_thread("opening", OPENING.call, values, params, AgentContext())) == present
    whole = AgentCall(agent="openingAgent", inputs=await claims.keep({**inputs, "text": "x" * 2_000}))
    values, params = await redeemed(whole, OPENING.blobs, claims)
    assert from_python(OPENING.call(values, params, AgentContext())) == present


def test_an_async_agent_cannot_open_blobs() -> None:
    with pytest.raises(TypeError, match="is async and cannot open blobs"):

        @agent("asyncAgent", blobs=("rows",))
        async def opening(inputs: dict[str, Any]) -> Any: ...


async def test_a_blob_is_read_each_time() -> None:
    reads: list[int] = []
    blob = Blob(lambda: reads.append(1) or b"x")
    assert (blob.open(), blob.open(), len(reads)) == (b"x", b"x", 2)
