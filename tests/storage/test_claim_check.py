"""Large values are kept in the store, and come back."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload

import perdure.storage.claim_check
from perdure.errors import FinalError, NoStore, SizeExceeded, ValueTooLarge
from perdure.graph.deferred import BlobRef, Composite, Concat, Merged, Projection, deferred_in
from perdure.graph.sizes import MAX_VALUE_BYTES
from perdure.graph.values import UNDEFINED
from perdure.protocol.encoding import encode
from perdure.protocol.wire import from_payload, metadata_of, to_payload, unpack
from perdure.settings import Settings
from perdure.storage import open_store
from perdure.storage.claim_check import ClaimCheck
from tests.support.codecs import Flip

pytestmark = pytest.mark.anyio
BIG = {"text": "x" * 5_000, "rows": [{"n": number} for number in range(500)], "small": 1, "none": UNDEFINED}


@pytest.fixture(params=[None, Flip()], ids=["clear", "codec"])
def claims(request: pytest.FixtureRequest) -> ClaimCheck:
    return ClaimCheck(open_store(f"memory://{request.node.name}"), 1_000, request.param)


async def test_small_values_stay(claims: ClaimCheck) -> None:
    for value in (None, 5, "text", {"a": [UNDEFINED]}, BlobRef("d", 10**9, "list")):
        assert await claims.keep(value) == value
        assert unpack(await claims.packed(value)) == value


async def test_large_values_are_kept(claims: ClaimCheck) -> None:
    for value in (BIG, [BIG], "😀" * 3_000, "\ud83d" * 3_000):
        kept = await claims.keep(value)
        assert isinstance(kept, BlobRef)
        assert kept == await claims.keep(value)
        assert await claims.redeem({"a": [kept], "b": kept}) == {"a": [value], "b": value}
        assert unpack(await claims.packed(value)) == kept
    assert isinstance(await claims.keep("x" * 600, above=500), BlobRef)
    assert await claims.keep("x" * 600, above=5_000) == "x" * 600


async def test_what_is_too_large_together_is_refused_before_it_is_loaded(claims: ClaimCheck) -> None:
    rows = [BlobRef(f"{number:064x}", 30_000_000, "string", 30_000_000) for number in range(3)]
    with pytest.raises(SizeExceeded):  # and not ObjectMissing: there are no such objects
        await claims.redeem(rows, MAX_VALUE_BYTES)
    with pytest.raises(SizeExceeded):
        await claims.shrink(rows, 100)


async def test_a_value_has_one_name_in_all_processes() -> None:
    # protobuf writes maps in an order that is drawn for each process, unless it is asked not to
    kept = await ClaimCheck(open_store("memory://names"), 1_000).keep(
        {"text": "x" * 5_000, "none": UNDEFINED}
    )
    assert isinstance(kept, BlobRef)
    assert kept.digest == "b5c55ba77f2659e52074d48af7f6826d51d7d9614adc3c30646ccbf5e0405a0e"


async def test_what_is_distant_inside_is_kept_whole(claims: ClaimCheck) -> None:
    kept = await claims.keep(BIG)
    outer = await claims.keep({"kept": kept, "text": "y" * 5_000})
    assert isinstance(outer, BlobRef)
    assert await claims.redeem(outer) == {"kept": BIG, "text": "y" * 5_000}


async def test_redeemed_values_share_nothing(claims: ClaimCheck) -> None:
    kept = await claims.keep(BIG)
    rows = Projection(kept, (("rows", False),))
    first, second = await claims.redeem([rows, rows])
    first[0]["n"] = "changed"
    assert second == BIG["rows"]
    assert claims.redeem_at_hand(rows) == BIG["rows"]
    with pytest.raises(LookupError):
        claims.redeem_at_hand(kept)
    with pytest.raises(LookupError):
        claims.redeem_at_hand(Projection(BlobRef("other", 1, "list")))
    every = [
        Composite([kept]),
        Concat(("<", Projection(kept, (("small", False),)), ">")),
        Merged(kept, {"small": rows}),
    ]
    assert await claims.redeem(every) == [[BIG], "<1>", {**BIG, "small": BIG["rows"]}]


async def test_the_answer_to_a_fetch(claims: ClaimCheck, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await claims.keep(BIG)
    assert await claims.answer(Projection(kept, (("small", False),)), whole=False) == 1
    assert isinstance(await claims.answer(Projection(kept, (("rows", False),)), whole=False), BlobRef)
    assert await claims.answer(kept, whole=True) == BIG
    monkeypatch.setattr(perdure.storage.claim_check, "MAX_FETCHED_VALUE_BYTES", 2_000)
    with pytest.raises(FinalError, match="decides what the run does"):
        await claims.answer(kept, whole=True)


async def test_shrinking(claims: ClaimCheck) -> None:
    assert await claims.shrink({"a": 1}, 100) == {"a": 1}
    shrunk = await claims.shrink({"big": BIG, "text": ["z" * 5_000, 1], "a": 1}, 1_500)
    assert shrunk["a"] == 1
    assert list(deferred_in(shrunk))
    assert len(encode(shrunk)[0]) <= 1_500
    assert await claims.redeem(shrunk) == {"big": BIG, "text": ["z" * 5_000, 1], "a": 1}
    crumbs = [f"{number:0900}" for number in range(20)]
    whole = await claims.shrink(crumbs, 2_000)
    assert isinstance(whole, BlobRef)
    assert await claims.redeem(whole) == crumbs
    assert await claims.redeem(await claims.shrink("x" * 3_000, 100)) == "x" * 3_000


async def test_static_nodes(claims: ClaimCheck) -> None:
    inner = {"nodes": {"i": {"value": BIG}}}
    document: dict[str, Any] = {
        "nodes": {
            "s": {"value": BIG},
            "t": {"value": 1},
            "u": {},
            "n": {"agent": "a", "graph": inner},
            "m": {"agent": "a"},
            "x": 5,
        },
        "loop": {"count": 1},
    }
    kept = await claims.keep_statics(document)
    assert isinstance(kept["nodes"]["s"]["value"], BlobRef)
    assert isinstance(kept["nodes"]["n"]["graph"]["nodes"]["i"]["value"], BlobRef)
    assert await claims.redeem(kept) == document
    assert await claims.keep_statics("no graph") == "no graph"
    assert await claims.keep_statics({"nodes": 5}) == {"nodes": 5}


async def test_what_accompanies_an_answer_is_not_in_the_object(claims: ClaimCheck) -> None:
    assert claims.store is not None
    first = await claims.packed(BIG, metadata=lambda: {"usage": {"tokens": 5}})
    assert metadata_of(first, "usage") == {"tokens": 5}
    assert unpack(first) == unpack(await claims.packed(BIG)) == await claims.keep(BIG)


async def test_a_codec_hides_what_is_stored() -> None:
    claims = ClaimCheck(open_store("memory://hidden"), 100, Flip())
    kept = await claims.keep("secret " * 100)
    assert claims.store is not None
    assert b"secret" not in await claims.store.get(kept.digest)


async def test_without_a_store() -> None:
    claims = ClaimCheck.of(Settings(store=None))
    assert await claims.keep(BIG) is BIG
    assert await claims.shrink(BIG, 10) is BIG
    assert await claims.keep_statics({"nodes": {"s": {"value": BIG}}}) == {"nodes": {"s": {"value": BIG}}}
    assert unpack(await claims.packed(BIG)) == BIG
    assert await claims.redeem(BIG) is BIG
    with pytest.raises(NoStore, match="PERDURE_STORE"):
        await claims.redeem([BlobRef("d", 1, "list")])
    with pytest.raises(ValueTooLarge):
        await claims.packed("x" * 3_000_000)


async def test_few_objects_are_held(claims: ClaimCheck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perdure.storage.claim_check, "MAX_SHARED_BYTES", 12_000)
    kept = [await claims.keep({"text": str(number) * 5_000}) for number in range(4)]
    parts = [Projection(each, (("text", False),)) for each in kept]
    assert await claims.redeem(parts) == [str(number) * 5_000 for number in range(4)]
    assert claims.redeem_at_hand(parts[-1]) == "3" * 5_000
    with pytest.raises(LookupError):
        claims.redeem_at_hand(parts[0])


async def test_threads_that_need_the_same_object_hold_it_once(
    claims: ClaimCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=10)

    def slowly(payload: Payload) -> Any:
        both.wait()
        return from_payload(payload)

    monkeypatch.setattr(perdure.storage.claim_check, "from_payload", slowly)
    payload = to_payload({"text": "x" * 5_000})
    one, two = await asyncio.gather(*(asyncio.to_thread(claims._share, "d", payload) for _ in range(2)))
    assert one is two
    assert claims._shared_bytes == len(payload.data)


async def test_large_objects_are_read_outside_the_event_loop(claims: ClaimCheck) -> None:
    value = [json.dumps(number) * 100 for number in range(3_000)]
    kept = await claims.keep(value)
    assert kept.size > perdure.storage.claim_check.THREADED_CODEC_BYTES
    assert await claims.redeem(Projection(kept, (("$last", True),))) == value[-1]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "value",
    [
        "x" * 1_030,
        "\x00" * 180,  # six bytes each
        "é" * 600,
        {"a": "x" * 600, "b": "x" * 600},
        {"k" * 600: "x" * 600},
        {str(number): number for number in range(300)},
        {"a": ["x" * 1_100]},
        [10**20] * 60,
    ],
)
async def test_nothing_above_the_limit_passes_as_small(value: Any) -> None:
    claims = ClaimCheck(open_store("memory://small"), 1_024)
    assert isinstance(await claims.keep(value), BlobRef)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "value", [None, True, 1e300, 10**20, -1.5e-300, "x" * 1_000, {"a": "x" * 900}, {}, [], [1]]
)
async def test_what_is_small_stays(value: Any) -> None:
    assert await ClaimCheck(open_store("memory://small"), 1_024).keep(value) is value


async def test_threads_that_agents_hold_keep_no_value_waiting(claims: ClaimCheck) -> None:
    pool, end = ThreadPoolExecutor(1), threading.Event()
    asyncio.get_running_loop().set_default_executor(pool)
    held = asyncio.ensure_future(asyncio.to_thread(end.wait))
    value = [{"text": "x" * 2_000_000}, *range(3_000)]
    try:
        async with asyncio.timeout(120):
            first = await claims.keep(value)
            second = await claims.keep([*value, "more"], near=first)
            assert await claims.redeem([first, second], 10**9) == [value, [*value, "more"]]
    finally:
        end.set()
        await held
