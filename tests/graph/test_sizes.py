"""How large values are, and that what would be too large is never built."""

from typing import Any

import numpy as np
import pytest

from perdure.errors import RunFailed, SizeExceeded
from perdure.graph.binary import Array
from perdure.graph.deferred import BlobRef, Composite, Concat, Merged, Projection
from perdure.graph.sizes import MAX_VALUE_BYTES, bounded, joined_text, size_of
from perdure.testing import run_in_memory

BLOB = BlobRef("0" * 64, 5_000_000, "string", 5_000_000)

SIZES: list[tuple[Any, int]] = [
    (None, 8),
    (1.5, 8),
    ("abc", 11),
    ("\u00e9" * 1_000_000, 2_000_008),
    ([], 64),
    ([1, "abc"], 64 + 16 + 3),
    ({"ab": {"c": "d"}}, 64 + 2 + 8 + 64 + 1 + 8 + 1),
    ((1, 2), 80),
    (BLOB, 5_000_000),
    ([BLOB, BLOB], 64 + 16 + 10_000_000),
    (Projection(BLOB, (("$0", True),)), 8),
    (Concat(("abc", BLOB)), 64 + 16 + 3 + 5_000_000),
    (Merged(BLOB, {"a": BLOB}), 5_000_000 + 64 + 1 + 8 + 5_000_000),
    (Composite({"a": BLOB}), 64 + 1 + 8 + 5_000_000),
]


@pytest.mark.parametrize(("value", "size"), SIZES)
def test_sizes(value: Any, size: int) -> None:
    assert size_of(value) == size


def test_shared_parts_count_wherever_they_stand() -> None:
    value: Any = "x"
    for _ in range(200):
        value = [value, value]
    assert MAX_VALUE_BYTES < size_of(value) < MAX_VALUE_BYTES + 1_000
    with pytest.raises(SizeExceeded, match=r"the value would be 64\.0 MB or more; at most 64 MB"):
        bounded(value)


def test_a_text_is_not_joined_beyond_the_bound() -> None:
    part = "x" * 1_000_000
    assert len(joined_text([part] * 64)) == MAX_VALUE_BYTES
    with pytest.raises(SizeExceeded):
        joined_text(part for _ in range(10**9))


def doubling(first: str, inputs: Any, agent: str = "copyAgent", **more: Any) -> dict[str, Any]:
    """Forty nodes, each of which is twice the one before."""
    nodes: dict[str, Any] = {"n0": {"value": {"x": first}}}
    for number in range(1, 41):
        before = f"n{number - 1}"
        nodes[f"n{number}"] = {"agent": agent, "inputs": inputs(before), **more}
    nodes["n40"]["isResult"] = True
    return {"version": 0.5, "nodes": nodes}


AMPLIFYING = {
    "text": doubling("x" * 100, lambda before: {"x": f"${{:{before}.x}}${{:{before}.x}}"}),
    "list": doubling("x", lambda before: {"x": [f":{before}.x", f":{before}.x"]}),
    "output": doubling("x", lambda before: {"x": f":{before}.x"}, output={"x": {"a": ".x", "b": ".x"}}),
    "passThrough": {
        "version": 0.5,
        "nodes": {
            "text": {"value": "x" * 250_000},
            "rows": {"value": [{"n": number} for number in range(1_000)]},
            "all": {
                "agent": "copyAgent",
                "inputs": {"rows": ":rows"},
                "params": {"namedKey": "rows"},
                "passThrough": {"text": ":text"},
                "isResult": True,
            },
        },
    },
    "references": {
        "version": 0.5,
        "nodes": {
            "text": {"value": "x" * 250_000},
            "all": {"agent": "copyAgent", "inputs": {"x": [":text"] * 50_000}, "isResult": True},
        },
    },
}


@pytest.mark.long
@pytest.mark.parametrize("name", AMPLIFYING)
def test_amplification_ends_typed(name: str) -> None:
    with pytest.raises(RunFailed, match=r"the value would be .* MB or more; at most (32|64) MB"):
        run_in_memory(AMPLIFYING[name])


def test_arrays_count_a_part_of_their_bytes() -> None:
    inside = [np.zeros(1_000), Array("F32", (1_000,), bytes(4_000)), b"x" * 1_600]
    tensors = BlobRef("0" * 64, 16_000, "tensors", 1, ("w",))
    assert [size_of(value) for value in (*inside, tensors)] == [508, 258, 108, 1_000]
    assert size_of(inside) == 64 + 3 * 8 + 508 + 258 + 108
