"""What references and templates make of a value that is not here is what they make of the value."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.engine.resolved_values import key_of
from perdure.errors import FunctionError
from perdure.graph.deferred import (
    BlobRef,
    Composite,
    Concat,
    Deferred,
    Merged,
    Projection,
    copied,
    deferred_in,
    described,
    sources,
    stored,
)
from perdure.graph.evaluate import evaluate, merged
from perdure.graph.reference import parse_path, parse_reference
from perdure.graph.template import clean, joined
from perdure.graph.values import UNDEFINED

VALUES: dict[str, Any] = {
    "o": {
        "a": {"b": [1, None, {"c": "text"}]},
        "n": None,
        "t": " spaced ",
        "$0": "dollar",
        "trim()": 5,
        "e": [],
    },
    "l": [{"a": 1}, [2, 3], "x", None, 0],
    "t": "a,b",
    "many": {f"k{index}": index for index in range(40)},
}
HERE = {name: stored(name, 1_000, value) for name, value in VALUES.items()}


def load(stored: BlobRef) -> Any:
    return VALUES[stored.digest]


PATHS = (
    ".o.a.b.$0",
    ".o.a.b.$2.c",
    ".o.none.deeper",
    ".o.n",
    ".o.t.trim()",
    ".o.$0",
    ".o.trim()",
    ".o.keys()",
    ".o.values().$last",
    ".o.toJSON()",
    ".o.a.b.length()",
    ".l.length()",
    ".l.$0.a",
    ".l.$last",
    ".l.$9",
    ".l.flat()",
    ".l.join(,)",
    ".l.sum()",
    ".l.isEmpty()",
    ".t.split(,).$1",
    ".t.length()",
    ".t.none",
    ".many.k7",
    ".many.none",
    ".list.$0.a",
    ".list.$1",
    ".list.flat()",
    ".list.join(-)",
    ".list.$0.toJSON()",
    ".list.length()",
    ".o.a.b.max()",
    ".list.sum()",
    ".deep.x.toJSON()",
    ".deep.x.y.$0.a.b.$2.c.toUpperCase()",
    ".o.not()",
    ".l.not()",
    ".many.keys()",
    ".t.equal(a,b)",
    ".deep.keys()",
)


def scopes() -> tuple[dict[str, Any], dict[str, Any]]:
    """The same values, here and in a store."""
    scope_pair = (
        {**kind, "list": [kind["o"], kind["t"], 7], "deep": {"x": {"y": [kind["o"]]}}}
        for kind in (VALUES, HERE)
    )
    return next(scope_pair), next(scope_pair)


@pytest.mark.parametrize("path", PATHS)
def test_paths_into_what_is_not_here(path: str) -> None:
    near, far = scopes()
    reference = parse_path(path)
    assert reference is not None
    assert repr(evaluate(reference.read(far), load)) == repr(reference.read(near))  # NaN is not itself


@pytest.mark.parametrize("path", PATHS)
def test_paths_in_two_steps(path: str) -> None:
    """What a reference read is read on by another."""
    near, far = scopes()
    for cut in range(2, path.count(".") + 1):
        parts = path.split(".")
        first, second = parse_path(".".join(parts[:cut])), parse_path("." + ".".join(parts[cut:]))
        assert first is not None
        assert second is not None
        assert repr(evaluate(second.read(first.read(far)), load)) == repr(second.read(first.read(near)))


def test_what_is_known_of_an_object_needs_no_load() -> None:
    for path in (":n.none", ":n.none.$0.x"):
        reference = parse_reference(path)
        assert reference is not None
        assert reference.read(HERE["o"]) is UNDEFINED
        assert isinstance(reference.read(HERE["many"]), Projection)


def test_a_key_named_like_a_function_stays_a_key() -> None:
    path = parse_path(".o.trim()", functions=False)
    assert path is not None
    assert evaluate(path.read(scopes()[1]), load) == 5


def test_a_function_that_fails_names_the_steps() -> None:
    path = parse_path(".t.jsonParse()")
    assert path is not None
    with pytest.raises(FunctionError, match=r"\.jsonParse\(\)"):
        evaluate(path.read(HERE), load)


@pytest.mark.parametrize("name", ["o", "l", "t", "list", "deep"])
def test_texts_of_what_is_not_here(name: str) -> None:
    near, far = scopes()
    text = joined(["a ", far[name], "\ud83d", "\ude00", UNDEFINED, None])
    assert evaluate(text, load) == joined(["a ", near[name], "\ud83d", "\ude00", UNDEFINED, None])
    assert evaluate(joined([text, "!"]), load) == evaluate(text, load) + "!"


CLEANED = (
    lambda v: v["o"],
    lambda v: [v["o"], None],
    lambda v: {"a": v["l"], "b": UNDEFINED, "c": [None]},
    lambda v: {"a": [parse_path(".n").read(v["o"]), 1]},
    lambda v: {"a": {"b": parse_path(".none").read(v["many"])}, "c": 1},
    lambda v: [[parse_path(".n").read(v["o"])], {"x": [parse_path(".a").read(v["o"])]}],
)


@pytest.mark.parametrize("make", CLEANED)
def test_cleaning(make: Any) -> None:
    near, far = scopes()
    assert evaluate(clean(make(far)), load) == clean(make(near))


@pytest.mark.parametrize("result", [{"a": 1}, [{"a": 1}, 2], "text", 5, None])
def test_merging(result: Any) -> None:
    VALUES["r"] = result
    base = BlobRef("r", 1, "object")
    over = {"a": 9, "o": HERE["t"]}
    expected = {"a": 9, "o": VALUES["t"]}
    assert evaluate(Merged(base, over), load) == merged(result, expected)


def test_every_deferred_value_is_listed() -> None:
    place = HERE["o"]
    every = Merged(
        Composite([Projection(place, (("a", False),)), 1]), {"t": Concat(("x", HERE["t"], [HERE["l"]]))}
    )
    assert [stored.digest for stored in sources(every)] == ["o", "t", "l"]
    assert list(deferred_in({"a": [every, 1], "b": place})) == [every, place]
    assert described({"a": [place, 1]}) == {"a": ["[object of 0.0 MB, in the store]", 1]}
    assert str(Projection(place)) == "[part of [object of 0.0 MB, in the store]]"
    assert str(every) == "[with parts in the store]"
    assert str(Concat(("x", HERE["t"]))) == "x[string of 0.0 MB, in the store]"


@pytest.mark.parametrize(
    ("value", "kind", "length", "keys"),
    [
        ({"a": 1, "b": 2}, "object", 2, ("a", "b")),
        ({"k" * 65: 1}, "object", 1, None),
        ({str(index): 1 for index in range(33)}, "object", 33, None),
        ([1, 2, 3], "list", 3, None),
        ("a😀", "string", 3, None),
    ],
)
def test_what_is_held_of_a_value(value: Any, kind: str, length: int, keys: Any) -> None:
    assert stored("d", 5, value) == BlobRef("d", 5, kind, length, keys)


def test_an_unknown_kind() -> None:
    with pytest.raises(TypeError, match="is unknown"):
        evaluate(Deferred(), load)
    assert list(sources(Deferred())) == []


def test_a_copy_shares_nothing_but_what_is_distant() -> None:
    far = BlobRef("d", 1, "list", 1)
    value = {"a": [1, {"b": far}], "c": "x"}
    copy = copied(value)
    assert copy == value
    copy["a"][1]["b"] = None
    copy["a"].append(2)
    assert value == {"a": [1, {"b": far}], "c": "x"}


def test_keys_in_snapshots_never_change() -> None:
    """A run continued from an older version finds what it knows by these."""
    blob = BlobRef("d", 1, "list", 2)
    every = Merged(Composite([Projection(blob, (("a", False),)), 1]), {"t": Concat(("x", blob))})
    assert repr(blob) == "Stored(digest='d', size=1, kind='list', length=2, keys=None)"
    assert [key_of(blob, False), key_of(every, True)] == [
        "f1cf0d0e5c7e5dc93798fcc6891ce7f3",
        "8d36f4c7c38d4a33efac7a49eb5be1f5",
    ]
