"""Arrays and byte strings in the store: objects of their own, which stay where they are when passed on."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from perdure.agents.invoke import normal
from perdure.graph.deferred import BlobRef, Projection
from perdure.graph.sizes import MAX_VALUE_BYTES
from perdure.protocol import numpy_arrays
from perdure.protocol.numpy_arrays import with_arrays
from perdure.protocol.wire import unpack
from perdure.storage import open_store
from perdure.storage.backend import DELTA
from perdure.storage.claim_check import ClaimCheck
from perdure.storage.known_values import KnownValues
from tests.support.codecs import Flip

pytestmark = pytest.mark.anyio
ABOVE = 1_000


@pytest.fixture(params=[None, Flip()], ids=["clear", "codec"])
def claims(request: pytest.FixtureRequest) -> ClaimCheck:
    return ClaimCheck(open_store(f"memory://{request.node.name}"), ABOVE, request.param)


@pytest.fixture(autouse=True)
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(numpy_arrays, "_is_torch_installed", lambda: False)


def weights(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"a": rng.random((20, 30)), "b": rng.random(500, np.float32)}


async def through(claims: ClaimCheck, taken: Any, agent: Callable[[Any], Any]) -> Any:
    """What a run holds of the result of an agent that is called with `taken`."""
    redeemed = await claims.redeem(taken, MAX_VALUE_BYTES)
    known = KnownValues()
    known.note(taken, redeemed)
    result = normal("an agent", agent(with_arrays(redeemed)))
    return unpack(await claims.packed(result, taken, known))


async def test_what_is_binary_is_kept_apart_and_the_rest_stays(claims: ClaimCheck) -> None:
    made = {
        "n": 5,
        "weights": weights(1),
        "raw": b"x" * 2_000,
        "few": np.arange(3),
        "list": [weights(2)["a"]],
    }
    kept = await through(claims, {}, lambda _: made)
    assert {name: getattr(value, "kind", None) for name, value in kept.items()} == {
        "n": None,
        "weights": "tensors",
        "raw": "bytes",
        "few": None,
        "list": None,
    }
    assert kept["n"] == 5
    assert await claims.redeem(kept) == normal("an agent", made)
    assert isinstance(await through(claims, {}, lambda _: weights(1)), BlobRef)
    both = {"text": "x" * 2_000, "weights": weights(1)}
    assert isinstance(await through(claims, {}, lambda _: both), BlobRef)  # for the text is too large


PASSED: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "all": (lambda taken: {"w": taken["w"]}, lambda kept: {"w": kept["w"]}),
    "bytes": (lambda taken: taken["raw"], lambda kept: kept["raw"]),
    "one array": (lambda taken: [taken["w"]["a"]], lambda kept: [Projection(kept["w"], (("a", False),))]),
    "another name": (lambda taken: {"x": {**taken["w"]}}, lambda kept: {"x": kept["w"]}),
}


@pytest.mark.parametrize("name", PASSED)
async def test_what_is_passed_on_is_not_written(claims: ClaimCheck, name: str) -> None:
    agent, expected = PASSED[name]
    kept = await through(claims, {}, lambda _: {"w": weights(1), "raw": b"y" * 3_000})
    objects = await stored(claims)
    result = await through(claims, kept, agent)
    assert result == expected(kept)
    assert await stored(claims) == objects
    assert await claims.redeem(result) == normal("an agent", agent(with_arrays(await claims.redeem(kept))))
    assert await through(claims, result, lambda taken: taken) == result


def trained(taken: Any) -> Any:
    """What an agent returns that has changed what it got in place, as an optimizer of torch does."""
    for array in (*taken["w"].values(), taken["few"], np.frombuffer(taken["raw"], np.uint8)):
        ctypes.memset(array.ctypes.data, 1, array.nbytes)
    return taken


@pytest.mark.parametrize("is_loaded", [True, False], ids=["loaded", "installed"])
async def test_an_agent_that_writes_to_its_arrays_changes_no_others(
    claims: ClaimCheck, is_loaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_loaded:
        monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    else:  # the agent imports it
        monkeypatch.setattr(numpy_arrays, "_is_torch_installed", lambda: True)
    made = {"w": weights(1), "raw": b"y" * 3_000, "few": np.arange(3)}
    kept = await through(claims, {}, lambda _: made)
    for _ in range(2):  # the second time, what the first has read is in the cache
        result = await claims.redeem(await through(claims, kept, trained))
        assert {*result["raw"], *result["w"]["a"].data, *result["few"].data} == {1}
    assert await claims.redeem(kept) == normal("an agent", made)


async def test_nothing_is_known_once_torch_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    known, place, value = KnownValues(), BlobRef("d", 3, "bytes"), b"xyz"
    known.note(place, value)
    assert known.find(value) == place
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    assert known.find(value) is None


CHANGED: dict[str, Callable[[Any], Any]] = {
    "copy": lambda taken: {"w": {name: array.copy() for name, array in taken["w"].items()}},
    "shape": lambda taken: {"w": {**taken["w"], "a": taken["w"]["a"].reshape(30, 20)}},
    "type": lambda taken: {"w": {**taken["w"], "b": taken["w"]["b"].view(np.int32)}},
    "part": lambda taken: {"w": {**taken["w"], "a": taken["w"]["a"][:10]}},
    "other": lambda taken: {"w": {**taken["w"], "a": taken["w"]["a"] + 1}},
    "names": lambda taken: {"w": {"b": taken["w"]["b"], "c": taken["w"]["a"]}},
}


@pytest.mark.parametrize("name", CHANGED)
async def test_what_is_changed_is_read_back(claims: ClaimCheck, name: str) -> None:
    kept = await through(claims, {}, lambda _: {"w": weights(1)})
    result = await through(claims, kept, CHANGED[name])
    assert await claims.redeem(result) == normal(
        "an agent", CHANGED[name](with_arrays(await claims.redeem(kept)))
    )
    assert (result == kept) is (name == "copy")


async def test_a_layer_that_did_not_change_is_not_written_again(claims: ClaimCheck) -> None:
    kept = await through(claims, {}, lambda _: {"w": weights(1)})
    result = await through(
        claims, kept, lambda taken: {"w": {"a": taken["w"]["a"].copy(), "b": taken["w"]["b"][:9]}}
    )
    assert result["w"].digest.endswith(DELTA)
    assert (await claims.redeem(result))["w"]["a"] == (await claims.redeem(kept))["w"]["a"]


async def test_values_beyond_the_bound_together_are_read_where_arrays_count_less(claims: ClaimCheck) -> None:
    kept = [await claims.keep({"a": normal("an agent", np.full(5_000, float(seed)))}) for seed in range(2)]
    assert [each.size > 25_000 for each in kept] == [True, True]
    assert len(await claims.redeem(kept, 50_000)) == 2


async def stored(claims: ClaimCheck) -> set[str]:
    assert claims.store is not None
    return {item.name async for item in claims.store.list()}
