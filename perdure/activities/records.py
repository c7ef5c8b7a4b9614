"""The records that reruns of this worker reuse, each read once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from perdure.errors import MalformedPayload, TransientError
from perdure.graph.deferred import BlobRef, copied
from perdure.graph.values import Value
from perdure.lineage.record import Record, is_reuse, read_record
from perdure.storage.claim_check import ClaimCheck

CACHED_RECORD_COUNT: Final = 4
"""Records that a worker keeps; one of 10,000 calls takes some 20 MB."""

RECORD_READ_DELAYS_S: Final = (0.2, 1.0, 3.0)
"""Pauses before a store that does not reply is asked again: a segment has ten seconds."""


@dataclass(slots=True)
class Records:
    """Reads records, and keeps the last ones."""

    _kept: OrderedDict[str, Record] = field(default_factory=OrderedDict[str, Record])

    async def read(self, reuse: Mapping[str, Value], claims: ClaimCheck) -> Record:
        """The record that a request names. Raises MalformedPayload, and what the store raises."""
        if not is_reuse(reuse):
            raise MalformedPayload("the request names no record")
        place = reuse["record"]
        if not isinstance(place, BlobRef):
            return read_record(copied(place), reuse["handles"])
        record = self._kept.get(place.digest)
        if record is None:
            record = read_record(await _fetched(place, claims), reuse["handles"])
            self._kept[place.digest] = record
            while len(self._kept) > CACHED_RECORD_COUNT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(place.digest)
        return record


async def _fetched(place: BlobRef, claims: ClaimCheck) -> Value:
    for delay in RECORD_READ_DELAYS_S:
        try:
            return await claims.redeem(place)
        except TransientError:
            await asyncio.sleep(delay)
    return await claims.redeem(place)
