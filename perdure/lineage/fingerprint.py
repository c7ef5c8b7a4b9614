"""Where a call is in its graph, and what it computes: the two things by which its answer is recognised.

A *position* is the place of a call in a run, with rows and passes: ``chapters[3].draft@2``. An *address* is
that without numbers, ``chapters[].draft``. A *fingerprint* is a hash of all that an agent can see: its name,
inputs, params and config. Two calls with the same address and fingerprint ask for the same work.

Rejected
    To recognise a call by its position alone: a row that is inserted moves all rows behind it, and the answer
    to one question would be taken for that to another.
    By its fingerprint alone: two nodes that happen to ask the same are often meant to have two answers.
    To cover what only says how a call is made (retry, timeout, queue, label, priority): the answer is the
    same.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from perdure.engine.messages import RunAgent
from perdure.graph.values import UNREADABLE
from perdure.protocol.encoding import encode

FINGERPRINT_DIGIT_COUNT: Final = 32
"""Hexadecimal digits of a fingerprint: fewer than the name of an object of the store has."""

_ROW: Final = re.compile(r"\[\d+\]")
_PASS: Final = re.compile(r"@\d+(?=[.\[]|$)")


def address_of(position: str) -> str:
    """The position without the numbers of rows and passes."""
    if "[" in position:
        position = _ROW.sub("[]", position)
    return _PASS.sub("", position) if "@" in position else position


def fingerprint(command: RunAgent) -> str | None:
    """The fingerprint of a call, None for one with a value that cannot be written: it equals no other.

    A value of the store counts by its hash. A call of a session has none either: its answer depends on those
    before it.
    """
    if command.options.session is not None:
        return None
    parts = [command.agent, command.inputs, command.params, command.config, command.filter_params]
    try:
        data, places = encode(parts)
    except (*UNREADABLE, TypeError):
        return None
    digest = hashlib.sha256(data)
    if places:
        digest.update(repr(places).encode())
    return digest.hexdigest()[:FINGERPRINT_DIGIT_COUNT]
