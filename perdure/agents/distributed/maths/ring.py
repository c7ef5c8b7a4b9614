"""Ring all-reduce: the sum of the arrays of all ranks, for the least bytes that a rank can send.

N ranks in a ring cut their arrays into N chunks. In each of N - 1 steps every rank adds what it receives to
the same chunk of its own and passes that on, and in N - 1 more the finished chunks are passed around. Each
rank sends 2 (N - 1) chunks of S / N bytes, the least there is (Patarasuk and Yuan, "Bandwidth optimal
all-reduce algorithms for clusters of workstations", 2009). All ranks have the same bits at the end: a chunk
is summed in one place and copied.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perdure.agents.distributed.maths.tensors import Array


def steps(ranks: int) -> int:
    """The number of steps until every rank has the sum."""
    return 2 * (ranks - 1)


def chunks(value: Array, ranks: int) -> list[Array]:
    """The array in as many parts as there are ranks, of equal lengths where that is possible."""
    return np.array_split(value.reshape(-1), ranks)


def sent_chunk(rank: int, step: int, ranks: int) -> int:
    """The number of the chunk that a rank sends to the next one in a step."""
    if step < ranks - 1:
        return (rank - step) % ranks
    return (rank + 1 - (step - (ranks - 1))) % ranks


def received(own: Sequence[Array], other: Array, rank: int, step: int) -> list[Array]:
    """The chunks of a rank after it has received one from the rank before it."""
    ranks = len(own)
    number = sent_chunk((rank - 1) % ranks, step, ranks)
    result = [*own]
    result[number] = other + own[number] if step < ranks - 1 else other
    return result
