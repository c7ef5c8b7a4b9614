"""The codec of payloads: what is read back, what is not trusted, and which keys are read."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import WorkflowSerializationContext

from perdure.errors import MalformedPayload, UsageError
from perdure.protocol.payload_codec import KeyedCodec, codec_of
from perdure.protocol.payloads import AgentCall, RunRequest, SegmentResult
from perdure.protocol.wire import (
    admitted,
    from_payload,
    is_untrusted,
    lacks_key,
    principal_of,
    to_payload,
    unpack,
)
from perdure.settings.key_ring import KeyRing, StartKey, made_file, read_ring, ring_of, write_ring

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 5, 17, tzinfo=UTC)
RING = KeyRing.new(NOW)
VALUE = {"x": [1, "two", None], "y": "z" * 50}
Mode = Literal["mac", "aead"]
MODES: tuple[Mode, ...] = ("mac", "aead")


def at(codec: KeyedCodec, workflow: str, namespace: str = "default") -> KeyedCodec:
    return codec.with_context(WorkflowSerializationContext(namespace=namespace, workflow_id=workflow))


async def written(codec: KeyedCodec, value: Any = VALUE) -> Payload:
    return (await codec.encode([to_payload(value)]))[0]


async def read(codec: KeyedCodec, payload: Payload) -> Payload:
    return (await codec.decode([payload]))[0]


def why(payload: Payload) -> str:
    with pytest.raises(MalformedPayload) as caught:
        unpack(RawValue(payload))
    return caught.value.finding


@pytest.mark.parametrize("mode", MODES)
async def test_a_payload_comes_back_as_it_was(mode: Mode) -> None:
    codec = at(KeyedCodec(RING, mode), "run-1")
    payload = await written(codec)
    assert (b"two" in payload.data) is (mode == "mac")
    for reader in MODES:
        assert await read(at(KeyedCodec(RING, reader), "run-1"), payload) == to_payload(VALUE)
    assert await read(KeyedCodec(RING), payload) == to_payload(VALUE)  # without a context


@pytest.mark.parametrize("mode", MODES)
async def test_equal_values_of_the_store_are_equal_when_they_are_encoded(mode: Mode) -> None:
    codec, more = KeyedCodec(RING, mode), RING.with_new_key(NOW)
    assert await written(codec) == await written(codec)
    assert await written(codec) != await written(codec, "other")
    other = KeyedCodec(more.writing_with([*more.keys][1]), mode)
    assert await written(codec) != await written(other)
    here = at(codec, "run-1")
    assert (await written(here) == await written(here)) is (mode == "mac")


@pytest.mark.parametrize("mode", MODES)
async def test_a_payload_of_another_place_is_not_trusted(mode: Mode) -> None:
    codec = KeyedCodec(RING, mode)
    payload = await written(at(codec, "run-1"))
    for name in ("run-1", "run-2", "run-11", "run-1-2026", "", "run-1-2026-05-17T10:20:30Z"):
        assert is_untrusted(await read(at(codec, name), payload)) is (name != "run-1"), name
    assert is_untrusted(await read(at(codec, "run-1", "other"), payload))
    assert not is_untrusted(await read(at(codec, "run-1", "ReplayNamespace"), payload))


@pytest.mark.parametrize("mode", MODES)
async def test_the_start_of_a_schedule_is_trusted_in_its_runs(mode: Mode) -> None:
    codec = KeyedCodec(RING, mode)
    payload = await written(at(codec, "daily-schedule"))
    assert not is_untrusted(await read(at(codec, "daily-schedule-2026-05-17T10:20:30Z"), payload))
    for name in ("daily-schedule-2026", "daily-schedule-2026-05-17T10:20:30Zx", "daily-2026-05-17T10:20:30Z"):
        assert is_untrusted(await read(at(codec, name), payload)), name


@pytest.mark.parametrize("mode", MODES)
async def test_no_flipped_bit_is_taken(mode: Mode) -> None:
    codec = at(KeyedCodec(RING, mode), "run-1")
    data = (await written(codec)).SerializeToString(deterministic=True)
    draw, taken = Random(7), 0
    for _ in range(2_000):
        changed = bytearray(data)
        changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        try:
            payload = Payload.FromString(bytes(changed))
        except Exception:
            continue
        taken += await read(codec, payload) == to_payload(VALUE)
    assert taken == 0


async def test_what_is_not_signed_by_a_known_key_says_why() -> None:
    codec = at(KeyedCodec(RING), "run-1")
    unsigned = await read(codec, to_payload(VALUE))
    assert why(unsigned) == "it is not signed: no client or worker of this installation has sent it"
    other = KeyRing(keys={"theirs": b"x" * 32})
    foreign = await read(codec, await written(at(KeyedCodec(other), "run-1")))
    assert why(foreign) == "it was written with the key 'theirs', which this process does not have"
    assert [lacks_key(RawValue(payload)) for payload in (unsigned, foreign)] == [False, True]
    altered = await written(codec)
    altered.metadata["perdure-special"] = b"[]"
    assert (
        why(await read(codec, altered)) == "its signature is wrong: it was changed, or made for another run"
    )


async def test_an_unsigned_payload_is_admitted_in_runs_that_are_older_than_the_keys() -> None:
    codec = at(KeyedCodec(RING), "run-1")
    unsigned = await read(codec, to_payload(VALUE))
    before, after = RING.since - 1, RING.since
    assert admitted(unsigned, before) == to_payload(VALUE)
    assert admitted(unsigned, after) is unsigned
    assert admitted(unsigned, None) is unsigned
    altered = await written(codec)
    altered.data = b"1"
    assert is_untrusted(admitted(await read(codec, altered), before))


async def test_rotation_reads_what_earlier_keys_have_written() -> None:
    two = RING.with_new_key(datetime(2026, 6, 1, tzinfo=UTC))
    old, new = tuple(two.keys)
    payload = await written(at(KeyedCodec(RING), "r"))
    turned = two.writing_with(new)
    assert (two.current, turned.current) == (old, new)
    assert await read(at(KeyedCodec(turned), "r"), payload) == to_payload(VALUE)
    fresh = await written(at(KeyedCodec(turned), "r"))
    assert await read(at(KeyedCodec(two), "r"), fresh) == to_payload(VALUE)
    assert is_untrusted(await read(at(KeyedCodec(RING), "r"), fresh))
    with pytest.raises(UsageError, match="there is no key 'k9'"):
        two.writing_with("k9")


def test_the_file_of_keys_is_made_once_and_is_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    path = made_file(home)
    ring = ring_of("", home)
    assert (path.stat().st_mode & 0o777, list(path.parent.iterdir())) == (0o600, [path])
    assert ring_of(f"file:{path}", tmp_path) == ring == read_ring(path.read_text(), "x")
    more = ring.with_new_key(NOW)
    write_ring(path, more)
    assert ring_of("", home).keys == more.keys
    path.chmod(0o644)
    with pytest.raises(UsageError, match="others may read these keys"):
        ring_of("", home)


def test_a_large_file_of_keys_is_read_whole_and_a_larger_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "many.keys"
    starts = {f"k{number}": StartKey(f"team-{number}", bytes(32)) for number in range(2_000)}
    write_ring(path, replace(RING, starts=starts))
    assert path.stat().st_size > 100_000
    assert len(ring_of(f"file:{path}", tmp_path).starts) == 2_000
    with pytest.raises(UsageError, match="at most 1,000,000 bytes"):
        write_ring(
            path, replace(RING, starts={f"{id}.{n}": one for id, one in starts.items() for n in range(10)})
        )
    path.write_text(path.read_text() + "#" * 1_000_000)
    with pytest.raises(UsageError, match="at most 1,000,000 bytes"):
        ring_of(f"file:{path}", tmp_path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "text",
    ["", "# nothing", "k1", "k1 AAAA", "k1 not-base64!", f"k 1 {base64.b64encode(bytes(32)).decode()}"],
)
def test_keys_that_are_none_are_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_ring(text, "the file")
    assert "AAAA" not in str(caught.value)


async def test_what_a_principal_has_signed_may_start_and_answer_and_nothing_else() -> None:
    both = RING.with_start_key("alice", NOW)
    alice, worker = at(KeyedCodec(both.of_principal("alice")), "r"), at(KeyedCodec(both), "r")
    request = RunRequest(document={"nodes": {}})
    (sent,) = await alice.encode([to_payload(request)])
    got = await read(worker, sent)
    assert (principal_of(got), from_payload(got, RunRequest)) == (
        "alice",
        unpack(RawValue(to_payload(request)), RunRequest),
    )
    for kind in (AgentCall, SegmentResult, None):
        with pytest.raises(MalformedPayload, match="it was sent by 'alice', whose key starts and answers"):
            from_payload(got, kind)
    assert is_untrusted(await read(at(KeyedCodec(both), "other"), sent))
    assert await read(alice, await written(worker)) == to_payload(VALUE)  # unverified: it lacks the key
    assert why(await read(at(KeyedCodec(RING), "r"), sent)).startswith("it was written with the key")


def test_a_ring_of_principals_is_written_read_and_changed() -> None:
    ring = RING.with_start_key("alice", NOW).with_start_key("bob-1.example", NOW).with_start_key("alice", NOW)
    assert read_ring(ring.written(), "x") == ring
    own = ring.of_principal("alice")
    assert (own.is_of_principal, list(own.starts)) == (True, [next(iter(ring.starts))])
    assert read_ring(own.written(), "x") == own
    assert own.current in ring.without(list(ring.starts)[-1]).starts
    for wrong in (
        lambda: ring.with_start_key("a b", NOW),
        lambda: ring.of_principal("eve"),
        lambda: ring.without("k9"),
        lambda: ring.without(ring.current),
    ):
        with pytest.raises(UsageError):
            wrong()
    with pytest.raises(UsageError, match="needs the keys of workers"):
        codec_of("aead", own)
