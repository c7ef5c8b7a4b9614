"""What of a run fits into the answer to a query: each part has a share.

Why. The server refuses an answer of more than 2 MB, and then says nothing of the run. A graph decides how
long its names, messages and questions are, and how many there are.

Rejected: to cut names and messages. A path that is cut names no node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import is_dataclass
from typing import Any, Final, TypeVar

from perdure.protocol.encoding import encoded_size
from perdure.protocol.records import to_plain

MAX_STATUS_PART_BYTES: Final = 200_000
"""Bytes of the rows of a status, of its questions, of early answers, of failures and of streams, each."""

MAX_CHANGES_BYTES: Final = 500_000
"""Bytes of the changes in one answer, and of the graphs that are open."""

Item = TypeVar("Item")


def first_within(
    items: Iterable[Item], limit: int = MAX_STATUS_PART_BYTES, least: int = 0
) -> tuple[Item, ...]:
    """The first items that have at most `limit` bytes together; at least `least` of them."""
    kept: list[Item] = []
    for item in items:
        limit -= _size(item)
        if limit < 0 and len(kept) >= least:
            break
        kept.append(item)
    return tuple(kept)


def newest_within(items: Sequence[Item], limit: int = MAX_STATUS_PART_BYTES) -> tuple[Item, ...]:
    """The last items that have at most `limit` bytes together, in their order."""
    return first_within(reversed(items), limit)[::-1]


def _size(item: Any) -> int:
    return encoded_size(to_plain(item) if is_dataclass(item) else item) + 1
