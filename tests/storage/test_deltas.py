"""Values that grow share what is stored, and are read with few objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from random import Random
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from perdure.errors import ObjectCorrupt, ObjectMissing
from perdure.graph.deferred import BlobRef, Projection
from perdure.protocol.wire import to_payload
from perdure.storage import Store, backend_of, open_store
from perdure.storage.backend import DELTA
from perdure.storage.claim_check import ClaimCheck
from perdure.storage.common_ranges import anchors_of, common_ranges
from perdure.storage.deltas import (
    MAX_EXTENT_COUNT,
    MAX_SOURCE_COUNT,
    OWN,
    Delta,
    Extent,
    Stored,
    assembled,
    delta_of,
    read,
    sources_of,
    written,
)
from perdure.storage.value_objects import EXTENTS, ValueObjects
from tests.support.codecs import Flip

ITERATION_COUNT = 120
"""Stored whole, the values of these iterations have ten times the bytes that are allowed."""

WHOLE, OTHER = "a" * 64, "b" * 64 + DELTA


def prose(random: Random, length: int) -> str:
    words = ("".join(random.choices("abcdefghijklmnopqrst", k=random.randint(2, 9))) for _ in range(length))
    return " ".join(words)[:length]


def pushed(random: Random) -> Iterator[Any]:
    items: list[Any] = []
    while True:
        items = [*items, {"role": "user", "content": prose(random, 2_000)}]
        yield {"array": items}


def shifted(random: Random) -> Iterator[Any]:
    items = [prose(random, 2_000) for _ in range(150)]
    while True:
        yield {"array": items[1:], "item": items[0]}
        items = items[1:]


def appended(random: Random) -> Iterator[Any]:
    text = ""
    while True:
        text = f"{text}{prose(random, 2_000)}\n"
        yield text


def prepended(random: Random) -> Iterator[Any]:
    text = ""
    while True:
        text = f"{prose(random, 2_000)}\n{text}"
        yield {"text": text}


def of_numbers(random: Random) -> Iterator[Any]:
    rows: list[float] = []
    while True:
        rows = [*rows, *(random.random() for _ in range(110))]
        yield {"before": rows, "after": {"n": len(rows)}}


def a_window(random: Random) -> Iterator[Any]:
    items: list[str] = []
    while True:
        items = [*items, prose(random, 2_000)][-60:]
        yield items


def of_two(random: Random) -> Iterator[Any]:
    log: list[str] = []
    while True:
        log = [*log, prose(random, 1_000)]
        yield {"log": log, "seen": [text[::-1] for text in log]}


def alike(random: Random) -> Iterator[Any]:
    items: list[str] = []
    while True:
        items = [*items, f"{len(items)} " + "x" * 2_000]
        yield {"array": items}


def of_few_letters(random: Random) -> Iterator[Any]:
    items = [f"{random.randrange(1_000)} " * 500 for _ in range(151)]
    while True:
        yield {"array": items[1:], "item": items[0]}
        items = items[1:]


async def sizes(store: Store) -> dict[str, int]:
    return {item.name: item.size async for item in store.list()}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("growing", "codec"),
    [
        (pushed, None),
        (pushed, Flip()),
        pytest.param(shifted, None, marks=pytest.mark.long),
        (appended, None),
        (prepended, None),
        (of_numbers, None),
        (a_window, None),
        (of_two, None),
        (alike, None),
        pytest.param(of_few_letters, None, marks=pytest.mark.long),
    ],
)
async def test_iterations_of_2_kb_take_less_than_10_kb_each(
    growing: Callable[[Random], Iterator[Any]], codec: PayloadCodec | None
) -> None:
    """Each value is computed from the one before, by a process that has read it and nothing else."""
    url = f"memory://{growing.__name__}-{codec is None}"
    value: Any = None
    kept: Any = None
    for value in islice(growing(Random(1)), ITERATION_COUNT):
        claims = ClaimCheck(open_store(url), 65_536, codec)
        kept = await claims.keep(
            value, near={"array": Projection(kept, (("array", False),))} if kept else None
        )
    store = open_store(url)
    reader = ClaimCheck(store, 65_536, codec)
    assert await reader.redeem(kept) == value
    if isinstance(kept, BlobRef):
        assert len(await ValueObjects(store, codec).sources(kept.digest)) <= MAX_SOURCE_COUNT
    assert sum((await sizes(store)).values()) < 10_000 * ITERATION_COUNT


@pytest.mark.anyio
async def test_what_is_new_is_stored_as_before() -> None:
    claims = ClaimCheck(open_store("memory://new"), 1_000)
    base = await claims.keep(prose(Random(1), 50_000))
    for value in (prose(Random(2), 50_000), {"rows": list(range(20_000))}, "x" * 50_000):
        kept = await claims.keep(value, near=base)
        assert isinstance(kept, BlobRef)
        assert kept == await claims.keep(value)
        assert not kept.digest.endswith(DELTA)


@pytest.mark.anyio
async def test_a_value_that_an_agent_returns_as_it_is_keeps_its_name() -> None:
    claims = ClaimCheck(open_store("memory://same"), 1_000)
    text = prose(Random(1), 50_000)
    base = await claims.keep(text)
    delta = await claims.keep(text + text[:9_000], near=base)
    assert isinstance(delta, BlobRef)
    assert delta.digest.endswith(DELTA)
    assert await claims.keep(text, near=[base, delta]) == base
    assert await claims.keep(text + text[:9_000], near=[base, delta]) == delta
    assert claims.store is not None
    assert len([item async for item in claims.store.list()]) == 2


@pytest.mark.anyio
async def test_a_part_of_a_much_larger_value_is_not_compared_with_it() -> None:
    claims = ClaimCheck(open_store("memory://much"), 1_000)
    text = prose(Random(1), 50_000)
    base = await claims.keep(text)
    assert not (await kept_name(claims, text[:12_000], base)).endswith(DELTA)
    assert (await kept_name(claims, text[:13_000], base)).endswith(DELTA)
    assert isinstance(base, BlobRef)
    absent = replace(base, digest="0" * 64)
    await claims.keep(text[:12_400], near=absent)  # it is not even read
    with pytest.raises(ObjectMissing):
        await claims.keep(text[:13_500], near=absent)


async def kept_name(claims: ClaimCheck, value: Any, near: Any) -> str:
    kept = await claims.keep(value, near=near)
    assert isinstance(kept, BlobRef)
    return kept.digest


@pytest.mark.anyio
async def test_only_a_few_of_many_inputs_are_compared() -> None:
    claims = ClaimCheck(open_store("memory://few"), 1_000)
    texts = [prose(Random(number), 5_000 + number) for number in range(5)]
    bases = [await claims.keep(text) for text in texts]
    assert (await kept_name(claims, "".join(texts[1:]), bases)).endswith(DELTA)
    name = await kept_name(claims, "".join(texts), bases)
    assert claims.store is not None
    sources = await ValueObjects(claims.store, None).sources(name)
    assert sorted(sources) == sorted(base.digest for base in bases[1:] if isinstance(base, BlobRef))


def whole(text: str, number: int = 0) -> Stored:
    data, name = text.encode(), f"{number:064x}"
    return Stored(data, [Extent(name, 0, len(data))], {name: len(data)})


def test_ranges_of_a_delta() -> None:
    """A value that would have more than 300 is stored whole."""
    text = prose(Random(1), 400_000)

    def edits(count: int) -> bytes:
        return "".join(f"{number}{text[number * 1_500 :][:1_500]}" for number in range(count)).encode()

    few = delta_of(edits(150), [whole(text)])
    assert few is not None
    assert len(few.extents) == 298
    assert delta_of(edits(153), [whole(text)]) is None


def test_objects_of_a_delta() -> None:
    """32 others; where there would be more, the bytes of all but the 12 largest are copied."""
    texts = [prose(Random(number), 1_000 + number) for number in range(33)]
    bases = [whole(text, number) for number, text in enumerate(texts)]
    assert sources(delta_of("".join(texts[:32]).encode(), bases)) == [base for base in range(32)]
    assert sources(delta_of("".join([*texts, texts[32] * 40]).encode(), bases)) == list(range(21, 33))


def sources(delta: Delta | None) -> list[int]:
    return [] if delta is None else [int(name, 16) for name in sources_of(delta.extents)]


def test_a_large_object_is_not_named_for_a_small_part() -> None:
    large, small = prose(Random(1), 40_000), prose(Random(2), 20_000)
    bases = [whole(large, 1), whole(small, 2)]
    assert sources(delta_of((small + large[:9_900]).encode(), bases)) == [2]
    assert sources(delta_of((small + large[:10_100]).encode(), bases)) == [2, 1]


def test_edits_of_all_kinds() -> None:
    """Random chains of edits: the value comes back, from objects that hold bytes and nothing else."""
    random = Random(7)
    held: dict[str, bytes] = {}
    known: list[Stored] = []
    data = prose(random, 30_000).encode()
    for number in range(200):
        name = f"{number:064x}{DELTA}"
        delta = delta_of(data, known)
        own, extents = (data, [Extent(OWN, 0, len(data))]) if delta is None else (delta.own, delta.extents)
        assert read(written(extents)) == list(extents)
        assert len(sources_of(extents)) <= MAX_SOURCE_COUNT
        assert len(extents) <= MAX_EXTENT_COUNT
        assert assembled(extents, {**held, OWN: own}) == data
        held[name] = own
        located = [Extent(extent.source or name, extent.start, extent.length) for extent in extents]
        stored = Stored(data, located, {source: len(held[source]) for source in sources_of(located)})
        known = [*known, stored][-2:]
        data = edited(random, data)


def edited(random: Random, data: bytes) -> bytes:
    at, size = random.randrange(len(data)), random.randrange(2_000)
    match random.randrange(5):
        case 0:
            return data[:at] + prose(random, size).encode() + data[at:]
        case 1:
            return data[:at] + data[at + size :] + b"."
        case 2:
            return data[at:] + data[:at]
        case 3:
            return data + data[at : at + size]
        case _:
            return prose(random, size).encode() + data + prose(random, size).encode()


@pytest.mark.parametrize("size", [0, 1, 199, 200, 250_001])
@pytest.mark.parametrize("text", [b"x", b"ab", b"\x00\x00\x01\x00\x01\x01\x00\x01", bytes(range(256))])
def test_repeated_bytes(text: bytes, size: int) -> None:
    data = (text * size)[:size]
    ranges = list(common_ranges(data, [data, b"", data[1:]]))
    assert sum(each.length for each in ranges) == (size if size >= 200 else 0)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("extents", "reason"),
    [
        (None, "it has no extents"),
        (b"", "Expecting value"),
        (b"5", "cannot unpack"),
        (b"[" * 100_000, "recursion"),
        (b'["d",[[1,0,9]]]\n' + b"short", "not as many as their digests"),
        (b'["",[[1,0,9]]]\n', "out of range"),
        (b'["",[[0,-1,9]]]\n', "not a range"),
        (b'["",[[0,0,true]]]\n', "not a range"),
        (b'["",[[0,0,"9"]]]\n', "not a range"),
        (b'["",[[0,0,999]]]\n', "outside of its object"),
        (b'["",[[0,0]]]\n', "not enough values"),
    ],
)
async def test_a_malformed_delta(extents: bytes | None, reason: str) -> None:
    store = open_store("memory://malformed")
    payload = Payload(data=b"[1,2,3,4]", metadata={} if extents is None else {EXTENTS: extents})
    name = await store.put(payload.SerializeToString(), delta=True)
    with pytest.raises(ObjectCorrupt, match=f"object {name} of the store is malformed: .*{reason}"):
        await ClaimCheck(store, 1_000).redeem(BlobRef(name, 9, "list"))


@pytest.mark.anyio
async def test_a_delta_whose_source_is_gone() -> None:
    store = Store(backend_of("memory://gone"), missing_delays_s=())
    payload = to_payload([1])
    payload.metadata[EXTENTS] = written([Extent(WHOLE, 0, 5), Extent(OTHER, 1, 2), Extent(OWN, 0, 3)])
    name = await store.put(payload.SerializeToString(), delta=True)
    with pytest.raises(ObjectMissing, match=f"object {WHOLE} is not in the store"):
        await ClaimCheck(store, 1_000).redeem(BlobRef(name, 9, "list"))


def test_the_extents_in_writing() -> None:
    extents = [Extent(OWN, 0, 5), Extent(WHOLE, 7, 8), Extent(OTHER, 0, 9), Extent(WHOLE, 100, 1)]
    line, _, digests = written(extents).partition(b"\n")
    assert json.loads(line) == ["wd", [[0, 0, 5], [1, 7, 8], [2, 0, 9], [1, 100, 1]]]
    assert digests.hex() == "a" * 64 + "b" * 64
    assert read(written(extents)) == extents


def test_anchors_of_a_large_text() -> None:
    """40,000 of each kind in a megabyte are looked at: what is as dense as this takes no longer."""
    dense = b'"",' * 300_000
    assert len(list(anchors_of(dense, 1))) == 40_000
    assert len(list(anchors_of(dense * 2, 1))) == 80_000
