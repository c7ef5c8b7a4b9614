"""Codecs for tests."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

FLIPPED = bytes(range(255, -1, -1))


class Flip(PayloadCodec):
    """Bytes that cannot be read."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        clear = [each.SerializeToString(deterministic=True) for each in payloads]
        return [self._flipped(Payload(metadata={"in": data})) for data in clear]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload.FromString(self._flipped(each).metadata["in"]) for each in payloads]

    def _flipped(self, payload: Payload) -> Payload:
        return Payload(metadata={"in": payload.metadata["in"].translate(FLIPPED)})
