"""The keys for payloads: which one writes, which ones are read, and where they are kept."""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from perdure.errors import UsageError
from perdure.settings.secret_sources import read_secret

PAYLOAD_KEY_BYTES: Final = 32
MAX_RING_BYTES: Final = 1_000_000
"""Bytes of a file of keys: those of some ten thousand principals."""

FINGERPRINT_CHARS: Final = 6
_PRINCIPAL: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
_KEY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
KEY_FILE: Final = "payload.keys"
_HEAD: Final = "# Keys of Perdure for payloads. The first one writes, all are read. Keep this file secret."
_START: Final = "start"


@dataclass(frozen=True, slots=True)
class StartKey:
    """A key with which `principal` starts and answers runs, and signs nothing else."""

    principal: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """Keys by their ids, of which the first one writes.

    `starts` are keys of principals, by their ids: workers read what they have signed. A ring with nothing
    else is that of a principal, and its first one writes.

    Runs that began before `since` (milliseconds since the epoch) may hold payloads that no key has signed.
    """

    keys: Mapping[str, bytes] = field(repr=False)
    since: int = 0
    starts: Mapping[str, StartKey] = field(default_factory=dict[str, StartKey])

    @property
    def current(self) -> str:
        """The id of the key that writes."""
        return next(iter(self.keys or self.starts))

    @property
    def is_of_principal(self) -> bool:
        """Whether it can start and answer runs only, and what workers write is read unverified."""
        return not self.keys

    def key(self, id: str) -> bytes | None:
        """The key with this id, None without one."""
        start = self.starts.get(id)
        return self.keys.get(id) if start is None else start.key

    @classmethod
    def new(cls, now: datetime) -> KeyRing:
        """A ring with one new key, for an installation that begins to use keys now."""
        ring = cls(keys={}, since=int(now.timestamp() * 1000))
        return ring.with_new_key(now)

    def with_new_key(self, now: datetime) -> KeyRing:
        """This ring with one more key, which is read only."""
        key = secrets.token_bytes(PAYLOAD_KEY_BYTES)
        return replace(self, keys={**self.keys, _id_of(key, now): key})

    def with_start_key(self, principal: str, now: datetime) -> KeyRing:
        """This ring with a new key for this principal, before its older ones. Raises UsageError."""
        if not _PRINCIPAL.fullmatch(principal):
            finding = f"{principal!r} is not the name of a principal"
            raise UsageError(finding, hint="a letter, and up to 62 letters, digits and _ . -")
        key = secrets.token_bytes(PAYLOAD_KEY_BYTES)
        return replace(self, starts={_id_of(key, now): StartKey(principal, key), **self.starts})

    def of_principal(self, principal: str) -> KeyRing:
        """The ring for this principal: its newest start key, and nothing else. Raises UsageError."""
        for id, start in self.starts.items():
            if start.principal == principal:
                return KeyRing(keys={}, since=self.since, starts={id: start})
        hint = f"make one: perdure codec keys --start {principal}"
        raise UsageError(f"there is no start key of {principal!r}", hint=hint)

    def without(self, id: str) -> KeyRing:
        """This ring without a key that does not write. Raises UsageError."""
        if id == self.current:
            raise UsageError(f"the key {id!r} writes", hint="write with another one first: --use ID")
        if self.key(id) is None:
            raise UsageError(
                f"there is no key {id!r}", hint=f"there are {', '.join([*self.keys, *self.starts])}"
            )
        keys = {name: key for name, key in self.keys.items() if name != id}
        return replace(self, keys=keys, starts={name: one for name, one in self.starts.items() if name != id})

    def writing_with(self, id: str) -> KeyRing:
        """This ring, whose key `id` writes. Raises UsageError if it has no such key."""
        if id not in self.keys:
            raise UsageError(f"there is no key {id!r}", hint=f"there are {', '.join(self.keys)}")
        return replace(self, keys={id: self.keys[id], **self.keys})

    def written(self) -> str:
        """The text that `read_ring` reads."""
        since = datetime.fromtimestamp(self.since / 1000, UTC).isoformat(timespec="milliseconds")
        lines = [f"{id} {base64.b64encode(key).decode()}" for id, key in self.keys.items()]
        lines += [
            f"{_START} {one.principal} {id} {base64.b64encode(one.key).decode()}"
            for id, one in self.starts.items()
        ]
        return "\n".join([_HEAD, f"since {since}", *lines, ""])


def _id_of(key: bytes, now: datetime) -> str:
    """An id that no other key has: two installations may make keys on one day."""
    return f"k{now.astimezone(UTC):%Y%m%d}-{hashlib.sha256(key).hexdigest()[:FINGERPRINT_CHARS]}"


def read_ring(text: str, place: str) -> KeyRing:
    """The ring in the text of `place`. Raises UsageError, which quotes no key."""
    keys: dict[str, bytes] = {}
    starts: dict[str, StartKey] = {}
    since = 0
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            *before, name, value = words
            if words[:-1] == ["since"]:
                since = int(datetime.fromisoformat(value).timestamp() * 1000)
                continue
            key = base64.b64decode(value, validate=True)
            is_new = name not in keys and name not in starts
            if not _KEY_ID.fullmatch(name) or not is_new or len(key) != PAYLOAD_KEY_BYTES:
                raise ValueError
            if before:
                start, principal = before
                if start != _START or not _PRINCIPAL.fullmatch(principal):
                    raise ValueError
                starts[name] = StartKey(principal, key)
                continue
        except (ValueError, binascii.Error):
            finding = f"{place}: line {number} is not the id of a key and {PAYLOAD_KEY_BYTES} bytes in Base64"
            raise UsageError(finding, hint="perdure codec keys --add writes one") from None
        keys[name] = key
    if not keys and not starts:
        raise UsageError(f"{place}: there is no key", hint="perdure codec keys --add writes one")
    return KeyRing(keys=keys, since=since, starts=starts)


def ring_of(source: str, home: Path) -> KeyRing:
    """The keys at ``env:NAME`` or ``file:/PATH``; "" is a file in `home`, made at first use.

    Raises UsageError for keys that cannot be read, or that others may read.
    """
    if not source:
        source = f"file:{made_file(home)}"
    kind, _, place = source.partition(":")
    try:
        if kind == "file" and Path(place).stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UsageError(f"{place}: others may read these keys", hint=f"chmod 600 {place}")
        return read_ring(_text_of(kind, place), place)
    except (OSError, KeyError) as error:
        finding = f"PERDURE_CODEC_KEYS: the keys cannot be read: {source}: {error}"
        raise UsageError(finding, hint="set it to file:/PATH or env:NAME") from error


def made_file(home: Path) -> Path:
    """The file of keys in `home`, made with a new key at first use."""
    path = home.absolute() / KEY_FILE
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):  # another process was first
            write_ring(path, KeyRing.new(datetime.now(UTC)), is_new=True)
    return path


@contextmanager
def changing(path: Path) -> Generator[None]:
    """While one process reads this file of keys and replaces it, others wait. Raises OSError."""
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def write_ring(path: Path, ring: KeyRing, *, is_new: bool = False) -> None:
    """Writes the keys to a file that only its owner may read, whole or not at all.

    Raises OSError, and UsageError for more keys than are read.
    """
    text = ring.written()
    if len(text) > MAX_RING_BYTES:
        raise _too_large(str(path))
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path) if is_new else draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _text_of(kind: str, place: str) -> str:
    """The text of all keys: half of a file would be a ring without some of them."""
    if kind != "file":
        return read_secret(f"{kind}:{place}")
    with Path(place).open("rb") as file:
        data = file.read(MAX_RING_BYTES + 1)
    if len(data) > MAX_RING_BYTES:
        raise _too_large(place)
    return data.decode("utf-8", "replace")


def _too_large(place: str) -> UsageError:
    finding = f"{place}: keys have at most {MAX_RING_BYTES:,} bytes"
    return UsageError(finding, hint="take away those that nothing needs: perdure codec keys --remove ID")
