"""The ids of the events that a run has taken, as hashes: a few bytes for each, also in its state."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Final

from perdure.engine.inbox.events import ExternalEvent

MAX_EVENT_ID_COUNT: Final = 10_000
"""The latest events that a run recognizes when they are sent again."""

_HASH_CHARS: Final = 12


@dataclass(slots=True)
class SeenIds:
    """The latest ids, oldest first. 72 bits of a hash stand for one: two alike would take 10^9 runs."""

    _hashes: dict[str, None] = field(default_factory=dict[str, None])

    def has(self, event: ExternalEvent) -> bool:
        """Whether this event was taken."""
        return _hash(event) in self._hashes

    def add(self, event: ExternalEvent) -> bool:
        """Whether the event is new; it is known from now on."""
        name = _hash(event)
        if name in self._hashes:
            return False
        self._hashes[name] = None
        if len(self._hashes) > MAX_EVENT_ID_COUNT:
            del self._hashes[next(iter(self._hashes))]
        return True

    def written(self) -> str:
        """As one string."""
        return "".join(self._hashes)

    def resume(self, written: str) -> None:
        """Continues with what `written` gave."""
        starts = range(0, len(written), _HASH_CHARS)
        self._hashes = {written[start : start + _HASH_CHARS]: None for start in starts}


def _hash(event: ExternalEvent) -> str:
    data = f"{event.sender}\0{event.id}".encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()[: _HASH_CHARS * 3 // 4]).decode()
