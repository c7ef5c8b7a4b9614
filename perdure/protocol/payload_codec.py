"""A payload codec that says who has made a payload, and hides it if that is asked for.

Why
    Anyone who reaches the server can start runs, complete calls, answer for people, and edit the database.
    All that they write are payloads, and without a key theirs are not taken for those of this installation.

Forms
    mac: the payload is readable as before, and its metadata has an HMAC-SHA256 over the id of the key, the
    place (namespace and workflow id), all other metadata and the data.
    aead: the whole payload is encrypted with AES-256-GCM, and the same place is authenticated with it.
    Both are read, with each key of the ring, whichever of them is written.

Invariants
    `decode` never raises for a payload: one forged signal would keep a good run from ever continuing. It
    returns what is not trusted as an *untrusted* payload (perdure.protocol.wire), and the receiver decides: a
    start fails typed, a call is repeated, an update is refused, a signal is ignored.
    A payload of one run is not taken in another. A run of a schedule has the id of the schedule's workflow
    and a time, and the argument is encoded under the id alone: it is taken where that id ends with
    "-schedule", which the signature covers. Else the start of any run could be sent again as a schedule's.
    What the start key of a principal has signed is marked as well, with the name: a start, an answer and a
    change may come from a principal, and a call or a result may not.
    A principal's own ring has the start key only, so it reads what workers write unverified: a key that
    could verify it could also forge it.
    What is read without a context (objects of the store, memos in lists) is verified at the place that it
    names.

Not covered: ids, names of agents, queues and times; a payload in the place of another one of the same run; a
database that is rolled back as a whole; anyone who may terminate runs.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, Self

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from perdure.errors import UsageError
from perdure.protocol.names import REPLAY_NAMESPACE
from perdure.protocol.wire import KEY_METADATA, MAX_KEY_ID_CHARS, untrusted
from perdure.settings.key_ring import KeyRing
from perdure.version import installation

AEAD_ENCODING: Final = b"encrypted/perdure-aead"
NONCE_BYTES: Final = 12

_PLACE: Final = "perdure-place"
_MAC: Final = "perdure-mac"
_NONCE: Final = "perdure-nonce"
_SCHEDULE: Final = b"-schedule"
_SCHEDULED: Final = re.compile(rb"-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, slots=True)
class KeyedCodec(PayloadCodec, WithSerializationContext):
    """Signs payloads, or encrypts them as well, with the keys of `ring`; `place` is where they belong."""

    ring: KeyRing
    mode: Literal["mac", "aead"] = "mac"
    place: bytes | None = None

    @property
    def hides(self) -> bool:
        """Whether what it writes cannot be read without it."""
        return self.mode == "aead"

    def with_context(self, context: SerializationContext) -> Self:
        """The codec for the payloads of one workflow."""
        if isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            place = f"{context.namespace}|{context.workflow_id or ''}".encode()
            return type(self)(self.ring, self.mode, place)
        return self

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads with a signature, or encrypted."""
        id = self.ring.current
        key = self.ring.key(id)
        assert key is not None
        seal = _encrypted if self.mode == "aead" else _signed
        return [seal(payload, key, id.encode(), self.place or b"") for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads as they were; those that are not trusted are marked."""
        return [self._decoded(payload) for payload in payloads]

    def _decoded(self, payload: Payload) -> Payload:
        metadata = payload.metadata
        if KEY_METADATA not in metadata:
            # Without a context, it may be an object of the store, whose name is its hash, or others' memo.
            return payload if self.place is None else untrusted(payload, "unsigned", self.ring.since)
        id = metadata[KEY_METADATA].decode("ascii", "replace")
        key = self.ring.key(id)
        if key is None and self.ring.is_of_principal and _MAC in metadata:
            return _bare(payload)
        if key is None:
            return untrusted(payload, f"key {id[:MAX_KEY_ID_CHARS]}", self.ring.since)
        opened = _opened(payload, key)
        if opened is None or not self._is_here(metadata.get(_PLACE, b"")):
            return untrusted(payload, "altered", self.ring.since)
        start = self.ring.starts.get(id)
        return opened if start is None else untrusted(opened, f"principal {start.principal}", self.ring.since)

    def _is_here(self, named: bytes) -> bool:
        """Whether a payload for this place may be read where the codec is."""
        here = self.place
        if here is None or named == here:
            return True
        namespace, _, workflow = here.partition(b"|")
        own, _, other = named.partition(b"|")
        if namespace != own and namespace != REPLAY_NAMESPACE.encode():
            return False
        if workflow == other:
            return True
        is_schedule = other.endswith(_SCHEDULE) and workflow.startswith(other)
        return is_schedule and _SCHEDULED.fullmatch(workflow[len(other) :]) is not None


def _signed(payload: Payload, key: bytes, id: bytes, place: bytes) -> Payload:
    signed = Payload()
    signed.CopyFrom(payload)
    metadata = signed.metadata
    metadata[KEY_METADATA] = id
    metadata[_PLACE] = place
    metadata[_MAC] = _mac(signed, key)
    return signed


def _mac(payload: Payload, key: bytes) -> bytes:
    """Over all metadata but itself, each part with its length, and the data."""
    metadata = payload.metadata
    parts = [part for name in sorted(metadata) if name != _MAC for part in (name.encode(), metadata[name])]
    mac = _keyed(key).copy()
    mac.update(b"".join([piece for part in parts for piece in (len(part).to_bytes(8, "big"), part)]))
    mac.update(payload.data)
    return mac.digest()


def _encrypted(payload: Payload, key: bytes, id: bytes, place: bytes) -> Payload:
    plain = payload.SerializeToString(deterministic=True)
    # A value of the store is known by its hash, so equal ones must be equal once they are encrypted: a rerun
    # sees that a result is the same again. The nonce is then a hash that only the key gives.
    nonce = os.urandom(NONCE_BYTES) if place else hmac.digest(_derived(key, b"nonce"), plain, "sha256")
    data = _cipher(key).encrypt(nonce[:NONCE_BYTES], plain, id + b"|" + place)
    metadata = {"encoding": AEAD_ENCODING, KEY_METADATA: id, _PLACE: place, _NONCE: nonce[:NONCE_BYTES]}
    return Payload(metadata=metadata, data=data)


def _opened(payload: Payload, key: bytes) -> Payload | None:
    """The payload as it was; None where it is not what was written with this key."""
    metadata = payload.metadata
    if metadata.get("encoding") == AEAD_ENCODING:
        try:
            bound = metadata[KEY_METADATA] + b"|" + metadata.get(_PLACE, b"")
            data = _cipher(key).decrypt(metadata.get(_NONCE, b""), payload.data, bound)
            return Payload.FromString(data)
        except Exception:  # InvalidTag, a nonce of another length, data of another form
            return None
    if not hmac.compare_digest(metadata.get(_MAC, b""), _mac(payload, key)):
        return None
    return _bare(payload)


def _bare(payload: Payload) -> Payload:
    """The payload without its signature."""
    bare = Payload()
    bare.CopyFrom(payload)
    for name in (KEY_METADATA, _PLACE, _MAC):
        bare.metadata.pop(name, None)
    return bare


@lru_cache(maxsize=64)
def _derived(key: bytes, purpose: bytes) -> bytes:
    """A key for one purpose: no key is used in two ways."""
    return hmac.new(key, b"perdure " + purpose, hashlib.sha256).digest()


@lru_cache(maxsize=64)
def _keyed(key: bytes) -> hmac.HMAC:
    """An HMAC to copy: a key is prepared once, which for a short payload is as much work as the rest."""
    return hmac.new(_derived(key, b"mac"), digestmod=hashlib.sha256)


@lru_cache(maxsize=64)
def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 -- of an extra
    except ImportError as error:
        hint = installation("aead")
        raise UsageError("PERDURE_CODEC=aead needs the package cryptography", hint=hint) from error
    return AESGCM(_derived(key, b"aead"))


def codec_of(mode: str, ring: KeyRing) -> KeyedCodec:
    """The codec of this mode. Raises UsageError if it lacks a package."""
    if mode == "aead" and ring.is_of_principal:
        finding = "PERDURE_CODEC=aead needs the keys of workers, and there is a start key only"
        raise UsageError(finding, hint="set PERDURE_CODEC=mac, which workers of either kind read")
    if mode == "aead":
        _cipher(ring.key(ring.current) or b"")
        return KeyedCodec(ring, "aead")
    return KeyedCodec(ring)
