"""What a run hands to a local activity of its own worker: large inputs stay where they are in memory.

Why. Temporal's SDK copies the input of a local activity some ten times on its way, encrypts it if payloads
are encrypted, and keeps it until the run leaves the worker: twenty segments of a run that holds 30 MB took a
worker beyond a gigabyte. Yet the activity executes in the same process, and no history has its input.

Invariant. A parcel exists as long as its run holds it: until the activity is over, or the run leaves the
worker. A replay hands over another one.

Rejected: the objects themselves instead of their payload. The run would change what the activity reads
in another thread.
"""

from __future__ import annotations

from itertools import count
from typing import Final
from weakref import WeakValueDictionary

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from perdure.errors import MalformedPayload

HANDED_ENCODING: Final = b"binary/perdure-handed"

MIN_HANDED_BYTES: Final = 100_000
"""Bytes of a payload from which it is not sent through the SDK."""

_numbers: Final = count(1)


class Parcel:
    """A payload that waits to be taken, and the `ticket` that is sent in its place."""

    __slots__ = ("__weakref__", "raw", "ticket")

    def __init__(self, raw: RawValue) -> None:
        number = str(next(_numbers)).encode()
        self.raw = raw
        self.ticket = RawValue(Payload(metadata={"encoding": HANDED_ENCODING}, data=number))
        _parcels[number] = self


_parcels: Final = WeakValueDictionary[bytes, Parcel]()


def is_handed(raw: RawValue) -> bool:
    """Whether this is the ticket of a parcel."""
    return raw.payload.metadata.get("encoding") == HANDED_ENCODING


def taken(raw: RawValue, *, is_local: bool) -> RawValue:
    """The payload itself: what was handed over, or `raw` where nothing was.

    Raises MalformedPayload for a ticket without a parcel, and for one that did not come from this process.
    """
    if not is_handed(raw):
        return raw
    parcel = _parcels.get(raw.payload.data) if is_local else None
    if parcel is None:
        raise MalformedPayload("the input of this local activity is not in this process")
    return parcel.raw
