"""Signed updates: the coordinator accepts what a known site made for this run and round, and nothing else.

Ed25519 (of the library cryptography) over the digest of the arrays, the run, the round, the site and its
number of samples. Without the run and the round, an update could be replayed; without the number, its weight
could be changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from perdure.agents.distributed.extras import library
from perdure.agents.distributed.maths.tensors import Array, digest

_MODULE = "cryptography.hazmat.primitives.asymmetric.ed25519"


def statement(tensors: Mapping[str, Array], *, run: str, round_: int, site: str, samples: float) -> bytes:
    """What is signed."""
    return json.dumps(["perdure update 1", digest(tensors), run, round_, site, float(samples)]).encode()


def public_key(secret: bytes) -> bytes:
    """The public key of a site whose private key is these 32 bytes."""
    return (
        library(_MODULE, "fed").Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    )


def signed(secret: bytes, message: bytes) -> bytes:
    """The signature of a message, 64 bytes; the same for the same."""
    return library(_MODULE, "fed").Ed25519PrivateKey.from_private_bytes(secret).sign(message)


def is_signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the owner of the public key signed this message. A key or signature of a wrong form did not."""
    exceptions: Any = library("cryptography.exceptions", "fed")
    try:
        library(_MODULE, "fed").Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (exceptions.InvalidSignature, ValueError):
        return False
    return True
