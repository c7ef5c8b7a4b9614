"""Values as Temporal payloads, and back.

The workflow packs and unpacks by itself, with RawValue: in a sandbox it holds its own copy of
perdure.graph.values, whose UNDEFINED is another object than the one outside.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from perdure.errors import MalformedPayload, ValueTooLarge
from perdure.graph.binary import Array, is_tensors
from perdure.graph.deferred import Deferred
from perdure.graph.values import UNREADABLE, is_list
from perdure.protocol.encoding import Binaries, SpecialPlace, decode, decode_places, encode
from perdure.protocol.records import from_plain, to_lean, to_plain
from perdure.protocol.tensor_file import METADATA, read_tensors, tensor_parts

ENCODING = b"json/plain"
BINARY_ENCODING = b"binary/safetensors"
"""That of a value with arrays or byte strings in it: a file of safetensors, with the JSON in its metadata.

An object whose members are all arrays is one without JSON, as any program writes it.
"""

PLACES = "perdure-special"
_JSON = "perdure-json"
MAX_PAYLOAD_BYTES = 2_000_000
"""Temporal refuses payloads above 2 MiB, in ways that leave a run stuck: stay below."""

UNTRUSTED: Final = b"binary/plain-untrusted"
"""The encoding of a payload that its reader must not take for one of this installation: see `untrusted`."""

KEY_METADATA: Final = "perdure-key"
"""What a payload that was signed or encrypted has until a codec has read it: the id of the key."""

MAX_KEY_ID_CHARS: Final = 40

_FROM_PRINCIPALS: Final = frozenset({"RunRequest", "Answer", "EventBatch", "SteeringOrder"})
"""What principals may send: other kinds of records come from workers."""

_REASON: Final = "perdure-reason"
_SINCE: Final = "perdure-since"

began_ms: ContextVar[float | None] = ContextVar("began_ms", default=None)
"""When the run began whose payloads are read outside a workflow, in milliseconds since the epoch."""

sender: ContextVar[str] = ContextVar("sender", default="")
"""The principal that has signed the request, answer, events or change that was read last, "" for none."""

MAX_UNREADABLE_CHARS = 200
"""Characters of what a stranger has sent, or of a parser's word about it, that a message repeats."""

Kind = TypeVar("Kind")
Metadata: TypeAlias = Callable[[], Mapping[str, Any]]
"""Gives what is to be part of the metadata of a payload."""


class PayloadLike(Protocol):
    """What values are read of: a payload of protobuf, or one whose data was never copied."""

    @property
    def metadata(self) -> Mapping[str, bytes]:
        """What says how the data is to be read."""
        ...

    @property
    def data(self) -> bytes | memoryview:
        """The value."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """A value as it is written: the metadata of its payload, and the parts of the data, not yet joined."""

    metadata: dict[str, bytes]
    parts: Sequence[bytes | memoryview]

    @property
    def size(self) -> int:
        """The bytes of the data."""
        return sum(map(len, self.parts))

    def payload(self) -> Payload:
        """The payload."""
        data = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        return Payload(metadata=self.metadata, data=bytes(data))


def to_payload(value: Any, *, limited: bool = True) -> Payload:
    """The payload of a value, or of a dataclass of perdure.protocol.payloads. Raises ValueTooLarge.

    What never reaches the server, such as the input of a local activity, need not be `limited`.
    """
    made = written(value)
    if limited and made.size > MAX_PAYLOAD_BYTES:
        raise ValueTooLarge(made.size, MAX_PAYLOAD_BYTES)
    return made.payload()


def written(value: Any) -> Written:
    """The same in parts, of any size. Records of a `LEAN` class are written without their defaults."""
    is_record = dataclasses.is_dataclass(value) and not isinstance(value, Deferred | Array)
    if is_tensors(value) and METADATA not in value:
        return _written_binary(value, {})
    if is_record:
        value = to_lean(value) if getattr(value, "LEAN", False) else to_plain(value)
    return _written_json(*encode(value, apart=is_record))


def _written_json(data: bytes, places: Sequence[SpecialPlace]) -> Written:
    """JSON, with the places that it does not hold; a binary one, if there is anything binary among them."""
    metadata = {"encoding": ENCODING}
    if places:
        binaries = Binaries()
        marks = json.dumps(places, default=binaries.mark)
        if binaries.arrays:
            return _written_binary(binaries.arrays, {_JSON: data.decode(), PLACES: marks})
        metadata[PLACES] = marks.encode()
    return Written(metadata, [data])


def _written_binary(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> Written:
    return Written({"encoding": BINARY_ENCODING}, tensor_parts(arrays, metadata))


def _read_binary(data: bytes | memoryview, strict: bool) -> Any:
    arrays, metadata = read_tensors(data)
    if _JSON not in metadata:
        return arrays
    places = decode_places(metadata.get(PLACES, "[]").encode())
    return decode(metadata[_JSON].encode(), places, strict=strict, binaries=Binaries.read(arrays))


def from_payload(payload: PayloadLike, kind: type[Kind] | None = None, *, strict: bool = True) -> Any:
    """The value of a payload, as a dataclass of perdure.protocol.payloads where `kind` is one.

    Raises MalformedPayload for one that cannot be read: it is not from here, or not for here. `strict` is as
    for `decode`. Where a record is asked for, null is None.
    """
    if getattr(kind, "__name__", "") in _FROM_PRINCIPALS:
        principal = principal_of(payload)
        sender.set(principal)
        if principal:
            payload = Payload.FromString(bytes(payload.data))
    if is_untrusted(payload):
        raise MalformedPayload(_UNTRUSTED[_reason(payload)[0]].format(*_reason(payload)[1:]), hint=KEYS_HINT)
    try:
        if is_binary_payload(payload):
            value = _read_binary(payload.data, strict)
        else:
            value = _read_json(payload, strict)
    except UNREADABLE as error:
        raise MalformedPayload(_finding(payload, error)) from error
    if dataclasses.is_dataclass(kind) and value is not None:
        return from_plain(cast(Any, kind), value)
    return value


def _read_json(payload: PayloadLike, strict: bool) -> Any:
    places = decode_places(payload.metadata[PLACES]) if PLACES in payload.metadata else ()
    data = bytes(payload.data)
    return decode(data, places, strict=strict) if data else None


def _finding(payload: PayloadLike, error: Exception) -> str:
    encoding = payload.metadata.get("encoding", b"")
    if encoding not in (ENCODING, BINARY_ENCODING):
        name = encoding.decode(errors="replace")[:MAX_UNREADABLE_CHARS]
        return f"a value is encoded as {name!r}, not as JSON"
    reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return f"a value cannot be read: {reason[:MAX_UNREADABLE_CHARS]}"


def untrusted(payload: Payload, reason: str, since: int) -> Payload:
    """What stands for a payload that no key of workers has signed: "unsigned", "altered", "key ID", or
    "principal NAME" for one that a principal has signed.

    The payload itself is inside. Runs that began before `since` may hold unsigned ones.
    """
    metadata = {"encoding": UNTRUSTED, _REASON: reason.encode(), _SINCE: str(since).encode()}
    return Payload(metadata=metadata, data=payload.SerializeToString())


def is_untrusted(payload: PayloadLike) -> bool:
    """Whether this stands for a payload that is not trusted."""
    return payload.metadata.get("encoding") == UNTRUSTED


def lacks_key(raw: RawValue) -> bool:
    """Whether this process does not have the key of a payload, or uses no keys at all."""
    if KEY_METADATA in raw.payload.metadata:
        return True
    return is_untrusted(raw.payload) and _reason(raw.payload)[0] == "key"


def no_key(raw: RawValue) -> str:
    """What to say of a payload for which `lacks_key` holds."""
    payload = raw.payload
    if is_untrusted(payload):
        id = _reason(payload)[1]
    else:
        id = payload.metadata[KEY_METADATA].decode("ascii", "replace")[:MAX_KEY_ID_CHARS]
    return f"{_UNTRUSTED['key'].format(id)}; hint: {KEYS_HINT}"


def admitted(payload: Payload, began: float | None) -> Payload:
    """The payload itself where it is unsigned, and of a run that began before there were keys."""
    if not is_untrusted(payload) or began is None or _reason(payload)[0] != "unsigned":
        return payload
    return unwrapped(payload) if began < int(payload.metadata[_SINCE]) else payload


def principal_of(payload: PayloadLike) -> str:
    """Whose start key has signed this payload, "" for none."""
    reason = _reason(payload) if is_untrusted(payload) else [""]
    return reason[1] if reason[0] == "principal" else ""


def of_principal(payload: Payload) -> Payload:
    """What a principal has sent, where it may come from one; other payloads stay as they are."""
    return Payload.FromString(payload.data) if principal_of(payload) else payload


def unwrapped(payload: Payload) -> Payload:
    """What is in an unsigned payload, for senders that have no key; others stay as they are."""
    is_unsigned = is_untrusted(payload) and _reason(payload)[0] == "unsigned"
    return Payload.FromString(payload.data) if is_unsigned else payload


def _reason(payload: PayloadLike) -> list[str]:
    return payload.metadata[_REASON].decode().split(" ", 1)


_UNTRUSTED: Final = {
    "unsigned": "it is not signed: no client or worker of this installation has sent it",
    "principal": "it was sent by {!r}, whose key starts and answers runs and nothing else",
    "altered": "its signature is wrong: it was changed, or made for another run",
    "key": "it was written with the key {!r}, which this process does not have",
}
KEYS_HINT: Final = (
    "use the same PERDURE_CODEC and PERDURE_CODEC_KEYS for all clients and workers; with the embedded server "
    "they are in payload.keys of PERDURE_HOME"
)


def pack(value: Any, *, limited: bool = True, **metadata: Any) -> RawValue:
    """A payload that passes Temporal's converters untouched. `metadata` becomes part of its own, as JSON."""
    return with_metadata(to_payload(value, limited=limited), **metadata)


def with_metadata(payload: Payload, **metadata: Any) -> RawValue:
    """The payload with this in its metadata, as JSON; what is empty is left out."""
    for name, data in metadata.items():
        if data:
            payload.metadata[f"perdure-{name}"] = json.dumps(data).encode()
    return RawValue(payload)


def metadata_of(raw: RawValue, name: str) -> Any:
    """What `pack` put into the metadata under this name; None for nothing. Raises MalformedPayload."""
    data = raw.payload.metadata.get(f"perdure-{name}")
    return None if data is None else from_payload(Payload(metadata={"encoding": ENCODING}, data=data))


def strings(value: Any) -> list[str]:
    """The strings in what should be a list of them, or nothing."""
    return [item for item in value if isinstance(item, str)] if is_list(value) else []


def is_plain(raw: RawValue) -> bool:
    """Whether JSON holds all of the value: there is nothing deferred in it, and nothing binary."""
    return PLACES not in raw.payload.metadata and not is_binary_payload(raw.payload)


def is_binary_payload(payload: PayloadLike) -> bool:
    """Whether there are arrays or byte strings in the value."""
    return payload.metadata.get("encoding") == BINARY_ENCODING


def unpack(raw: RawValue, kind: type[Kind] | None = None, *, strict: bool = True) -> Any:
    """What `pack` packed. Raises MalformedPayload, as `from_payload` does."""
    return from_payload(raw.payload, kind, strict=strict)
