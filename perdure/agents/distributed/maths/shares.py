"""Shamir's secret sharing: any t of n shares give the secret, fewer give nothing about it.

Shamir, "How to Share a Secret" (1979), over the prime 2⁵²¹ - 1. The coefficients come from a stream that the
dealer derives from a secret of its own; `mix` is that stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from perdure.errors import FinalError

PRIME_INTEGER: Final = 2**521 - 1
SHARE_SIZE: Final = 66
MAX_SHARED_SECRET_BYTES: Final = 64


def dealt(secret: bytes, threshold: int, count: int, mix: Callable[[int], bytes]) -> dict[int, bytes]:
    """`count` shares by their numbers from 1, of which `threshold` suffice.

    `mix(i)` gives at least 66 bytes that only the dealer knows, others for each coefficient i.
    """
    if not 1 <= threshold <= count:
        raise FinalError(f"cannot deal {count} shares of which {threshold} suffice")
    if len(secret) > MAX_SHARED_SECRET_BYTES:
        raise FinalError(
            f"a secret to share has at most {MAX_SHARED_SECRET_BYTES} bytes, it has {len(secret)}"
        )
    coefficients = [int.from_bytes(secret, "big")]
    coefficients += [int.from_bytes(mix(index), "big") % PRIME_INTEGER for index in range(1, threshold)]
    return {at: _at(coefficients, at).to_bytes(SHARE_SIZE, "big") for at in range(1, count + 1)}


def joined(shares: Mapping[int, bytes], threshold: int, size: int) -> bytes:
    """The secret of `size` bytes. Raises FinalError for fewer shares than `threshold`, or wrong ones."""
    if len(shares) < threshold:
        raise FinalError(
            f"{len(shares)} shares are too few: {threshold} are needed",
            hint="too many sites dropped out; repeat the round with those that are left",
        )
    chosen = {at: int.from_bytes(share, "big") for at, share in sorted(shares.items())[:threshold]}
    secret = 0
    for at, value in chosen.items():
        top, bottom = 1, 1
        for other in chosen:
            if other != at:
                top = top * other % PRIME_INTEGER
                bottom = bottom * (other - at) % PRIME_INTEGER
        secret = (secret + value * top * pow(bottom, -1, PRIME_INTEGER)) % PRIME_INTEGER
    if secret >> (8 * size):
        raise FinalError("the shares do not belong together: one of them is wrong")
    return secret.to_bytes(size, "big")


def _at(coefficients: list[int], at: int) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * at + coefficient) % PRIME_INTEGER
    return value
