"""What the agents of secure aggregation share: keys of a round, sealed shares, one answer for a round."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import numpy as np

from perdure.agents.agent import AgentContext
from perdure.agents.distributed.extras import library
from perdure.agents.distributed.maths import masks, shares
from perdure.agents.distributed.plugins import secret_of
from perdure.agents.distributed.values import count_of, rows_of, site_of
from perdure.errors import FinalError
from perdure.graph.values import Value, is_dict, is_list

_KEY_SIZE: Final = 32


def place_of(inputs: Mapping[str, Value], agent: str, context: AgentContext) -> tuple[int | str, str]:
    """The site, and what its secrets of this round are for."""
    place = f"{agent}: inputs"
    return site_of(inputs, place), f"{context.run} round {count_of(inputs, 'round', place, 0)}"


def own_keys(site: int | str, about: str) -> masks.RoundKeys:
    """What this site has for the round. Raises FinalError if its worker has no secret."""
    return masks.round_keys(secret_of(site), about)


def public_keys(inputs: Mapping[str, Value], agent: str, own: str = "") -> dict[str, bytes]:
    """The public keys by site. Raises FinalError if that of `own` is missing, or if there is one alone."""
    rows = rows_of(inputs, "keys", f"{agent}: inputs")
    publics = {str(row.get("site")): decoded(row.get("key"), f"{agent}: inputs.keys") for row in rows}
    if len(publics) < 2 or (own and own not in publics):
        raise FinalError(f"{agent}: inputs.keys: expected those of two sites or more, and of this one")
    return publics


def masked_of(row: Mapping[str, Value], place: str) -> Any:
    """The masked update in a result of maskedTrainAgent. Raises FinalError for anything else."""
    masked: Any = row.get("masked")
    try:
        vector: Any = np.asarray(masked, np.uint32) if is_list(masked) else masked
    except (TypeError, ValueError, OverflowError):
        vector = None
    if getattr(vector, "dtype", None) == np.uint32 and vector.ndim == 1:
        return vector
    raise FinalError(f"{place}: expected results of maskedTrainAgent, each with `masked`")


def share_key(own: masks.RoundKeys, public: bytes, about: str, dealer: str, other: str) -> bytes:
    """The key under which `dealer` seals what `other` opens; both derive it."""
    return masks.pair_key(own.private, public, f"{about} shares of {dealer!r} for {other!r}")


def sealed(key: bytes, content: bytes) -> str:
    """Encrypted with a key that is used once, so that the nonce may be fixed."""
    return encoded(_cipher(key).encrypt(bytes(12), content, None))


def opened(key: bytes, content: Value) -> bytes:
    """What `sealed` has encrypted. Raises FinalError for anything else."""
    exceptions: Any = library("cryptography.exceptions", "fed")
    try:
        return _cipher(key).decrypt(bytes(12), decoded(content, "shares"), None)
    except exceptions.InvalidTag:
        raise FinalError("shares were changed on their way, or are those of another round") from None


def _cipher(key: bytes) -> Any:
    return library("cryptography.hazmat.primitives.ciphers.aead", "fed").AESGCM(key)


def joined(
    revealed: Sequence[Mapping[str, Any]], kind: str, site: str, order: list[str], needed: int
) -> bytes:
    """The secret of a site, from the shares that the others revealed."""
    collected = {
        order.index(str(row.get("site"))) + 1: decoded(row[kind][site], kind)
        for row in revealed
        if str(row.get("site")) in order and is_dict(row.get(kind)) and site in row[kind]
    }
    return shares.joined(collected, needed, _KEY_SIZE)


def answer_once(site: int | str, about: str, left: list[str], context: AgentContext) -> None:
    """Notes for whom this site answers in this round. Raises FinalError if it has answered for others."""
    if context.run == "memory":
        return
    folder = context.settings.home / "revealed"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / sha256(f"{about}\0{site}".encode()).hexdigest()[:32]
    try:
        with file.open("x") as note:
            note.write(json.dumps(left))
    except FileExistsError:
        if file.read_text() != json.dumps(left):
            raise FinalError(
                f"maskRevealAgent: {site!r} has answered for other sites in this round",
                hint="both answers together would show an update; begin another round",
            ) from None


def encoded(data: bytes) -> str:
    """Base64."""
    return base64.b64encode(data).decode()


def decoded(text: Value, place: str) -> bytes:
    """The bytes. Raises FinalError for what is not base64."""
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        raise FinalError(f"{place}: expected base64") from None
