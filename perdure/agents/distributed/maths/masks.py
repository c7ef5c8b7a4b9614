"""Secure aggregation: the coordinator learns the sum of the updates, and no single one.

Bonawitz and others, "Practical Secure Aggregation for Privacy-Preserving Machine Learning" (2017). Site k
sends

    y_k = x_k + PRG(b_k) + Σ_{j > k} PRG(s_kj) - Σ_{j < k} PRG(s_kj)        mod 2³²

where x_k is its update in fixed point, s_kj a key that only k and j can compute, and b_k a seed of its own.
In the sum of all, the pairwise masks cancel. Every site deals shares of b_k and of its private key to all
sites (Shamir, t of n). At the end, t survivors reveal for each site that answered the share of b_k, and for
each that did not, that of its private key; never both, so a site that only seemed dead stays masked. Below t
nothing can be unmasked.

The invariant: for every set of at least t survivors, sum - masks = Σ x_k of the survivors, exactly in fixed
point. Keys, derivation and the stream are X25519, HKDF and AES-CTR of the library cryptography. A site
derives all secrets of a round from one secret of its own, so that a repeated attempt sends the same;
rejected: random secrets, which a site would have to keep between the calls of a round.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from perdure.agents.distributed.extras import library
from perdure.agents.distributed.maths.tensors import Array
from perdure.errors import FinalError

FIXED_POINT_FACTOR: Final = 2**16
"""One in fixed point: numbers keep about five decimals, and a sum has to stay within ±32,768."""

_HALF_RANGE_INTEGER: Final = 2**31
_KEY_SIZE: Final = 32


@dataclass(frozen=True, kw_only=True)
class RoundKeys:
    """What one site has for one round: `private` (X25519), `seed`, and the `public` key that all may see."""

    private: bytes
    seed: bytes
    public: bytes


def round_keys(secret: bytes, about: str) -> RoundKeys:
    """The keys of the round `about` from the `secret` of the site; the same for the same.

    Raises FinalError for a secret of fewer than 32 bytes.
    """
    if len(secret) < _KEY_SIZE:
        raise FinalError(f"the secret of a site needs at least {_KEY_SIZE} bytes, it has {len(secret)}")
    private = derived(secret, f"{about} key")
    key = library("cryptography.hazmat.primitives.asymmetric.x25519", "fed").X25519PrivateKey
    public = key.from_private_bytes(private).public_key().public_bytes_raw()
    return RoundKeys(private=private, seed=derived(secret, f"{about} seed"), public=public)


def derived(secret: bytes, about: str, size: int = _KEY_SIZE) -> bytes:
    """HKDF-SHA256 of a secret for one use."""
    hashes: Any = library("cryptography.hazmat.primitives.hashes", "fed")
    hkdf: Any = library("cryptography.hazmat.primitives.kdf.hkdf", "fed")
    return hkdf.HKDF(hashes.SHA256(), size, None, about.encode()).derive(secret)


def pair_key(private: bytes, public: bytes, about: str) -> bytes:
    """The key that two sites share for one use: of the private key of one and the public key of the other."""
    x25519: Any = library("cryptography.hazmat.primitives.asymmetric.x25519", "fed")
    try:
        own = x25519.X25519PrivateKey.from_private_bytes(private)
        shared = own.exchange(x25519.X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise FinalError(f"a key of the round cannot be used: {error}") from None
    return derived(shared, about)


def stream(key: bytes, count: int) -> Array:
    """`count` pseudorandom numbers (uint32) from a key that is used once: AES-256-CTR."""
    ciphers: Any = library("cryptography.hazmat.primitives.ciphers", "fed")
    cipher = ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.CTR(bytes(16)))
    return np.frombuffer(cipher.encryptor().update(bytes(4 * count)), "<u4").astype(np.uint32)


def fixed(vector: Array, sites: int) -> Array:
    """A vector in fixed point, mod 2³². Raises FinalError for numbers whose sum over `sites` may overflow."""
    scaled = np.round(vector.astype(np.float64) * FIXED_POINT_FACTOR)
    if not (np.isfinite(scaled).all() and np.abs(scaled).max(initial=0) * sites < _HALF_RANGE_INTEGER):
        bound = _HALF_RANGE_INTEGER / FIXED_POINT_FACTOR / sites
        raise FinalError(
            f"a number of the update is not within ±{bound:g}, which {sites} sites can add in fixed point",
            hint="clip the update, or send differences instead of weights",
        )
    return scaled.astype(np.int64).astype(np.uint32)


def unfixed(total: Array) -> Array:
    """A sum in fixed point as doubles."""
    return total.astype(np.uint32).view(np.int32).astype(np.float64) / FIXED_POINT_FACTOR


def pair_mask(site: str, other: str, private: bytes, public: bytes, about: str, count: int) -> Array:
    """What `site` adds for `other`: the other adds its negative. Sites are ordered by name."""
    mask = stream(pair_key(private, public, f"{about} mask"), count)
    return mask if site < other else np.uint32(0) - mask


def masked(site: str, vector: Array, keys: RoundKeys, publics: Mapping[str, bytes], about: str) -> Array:
    """y_k: the update of `site` with its own mask and one for each other site of `publics`."""
    result = fixed(vector, len(publics)) + stream(keys.seed, vector.size)
    for other, public in sorted(publics.items()):
        if other != site:
            result = result + pair_mask(site, other, keys.private, public, about, vector.size)
    return result


def unmasked(
    updates: Mapping[str, Array],
    seeds: Mapping[str, bytes],
    privates: Mapping[str, bytes],
    publics: Mapping[str, bytes],
    about: str,
) -> Array:
    """The sum of the updates that arrived, as doubles.

    `seeds` are those of the sites that answered, `privates` those of the sites of `publics` that did not.
    Raises FinalError if one is missing, or if a site is in both: it would be exposed.
    """
    gone = set(publics) - set(updates)
    if set(seeds) != set(updates) or set(privates) != gone:
        raise FinalError(
            f"unmasking needs the seeds of {_names(updates)} and the private keys of {_names(gone)}; "
            f"it has those of {_names(seeds)} and {_names(privates)}"
        )
    count = next(iter(updates.values())).size
    total = np.zeros(count, np.uint32)
    for site, update in sorted(updates.items()):
        total = total + update - stream(seeds[site], count)
        for dead in sorted(gone):
            total = total + pair_mask(dead, site, privates[dead], publics[site], about, count)
    return unfixed(total)


def _names(sites: Iterable[str]) -> str:
    return ", ".join(sorted(sites)) or "none"


def threshold_of(sites: Sequence[str] | Mapping[str, Any], share: float = 2 / 3) -> int:
    """How many sites must survive: the `share` of all, rounded up, more than half, at least two."""
    count = len(sites)
    return max(2, count // 2 + 1, int(np.ceil(count * share - 1e-9)))
