"""What an activity of an agent is called with: anything else is refused."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.activities.arguments import calls_of
from perdure.errors import MalformedPayload, NoStore
from perdure.graph.deferred import BlobRef, Concat, deferred_in
from perdure.protocol.wire import pack
from perdure.storage import open_store
from perdure.storage.claim_check import ClaimCheck

pytestmark = pytest.mark.anyio

CALL = {"agent": "copyAgent", "inputs": {}}
NONE = ClaimCheck(None, 1_000)
LONG = "n" * 5_000


@pytest.mark.parametrize(
    "argument",
    [
        None,
        [],
        {"calls": []},
        {"calls": [5]},
        {"calls": Concat(([],))},
        {"calls": [{}], "shared": Concat(({},))},
    ],
)
async def test_what_is_no_call_is_refused(argument: Any) -> None:
    with pytest.raises(MalformedPayload):
        await calls_of([pack(argument)], NONE)


async def test_a_batch_holds_calls_over_what_they_share() -> None:
    batch = {"calls": [{"path": "a"}, {"path": "b"}], "shared": CALL}
    is_batch, calls = await calls_of([pack(batch)], NONE)
    assert is_batch
    assert [(call.agent, call.path) for call in calls] == [("copyAgent", "a"), ("copyAgent", "b")]


LARGE: dict[str, Any] = {
    "a call with a long name": {**CALL, "inputs": {"x": LONG}, "node": LONG, "path": f"{LONG}[1].a"},
    "a batch of many calls": {
        "calls": [{"path": f"m[{row}].a", "inputs": {"x": row}} for row in range(500)],
        "shared": {**CALL, "config": {"k": LONG}},
    },
    "a batch of large calls": {
        "calls": [{"path": LONG, "inputs": {"x": LONG}}] * 3,
        "shared": {**CALL, "node": LONG},
    },
}


@pytest.mark.parametrize("name", LARGE)
async def test_a_call_of_which_anything_is_in_the_store_is_read(name: str) -> None:
    """A run that makes its calls smaller takes the largest parts, whatever they are."""
    claims = ClaimCheck(open_store(f"memory://{name}"), 1_000)
    shrunk = await claims.shrink(LARGE[name], 2_000)
    assert next(deferred_in(shrunk), None) is not None
    is_batch, calls = await calls_of([pack(shrunk)], claims)
    plain, expected = await calls_of([pack(LARGE[name], limited=False)], NONE)
    inputs = await claims.redeem([call.inputs for call in calls])
    assert (is_batch, inputs) == (plain, [call.inputs for call in expected])
    assert [(call.node, call.path) for call in calls] == [(call.node, call.path) for call in expected]
    with pytest.raises(NoStore):
        await calls_of([pack(shrunk)], NONE)


async def test_large_inputs_stay_in_the_store_until_the_agent_is_called() -> None:
    far = BlobRef("0" * 64, 5_000_000, "string", 5_000_000)
    _, (call,) = await calls_of([pack({**CALL, "inputs": {"x": far}})], NONE)
    assert call.inputs == {"x": far}
