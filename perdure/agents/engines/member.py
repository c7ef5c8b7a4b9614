"""What a function sees that runs in every process of a gang, and how a worker's module offers one.

    from perdure.agents.engines import GangMember, gang_function

    @gang_function("average")
    def average(member: GangMember, inputs, params):
        total = member.all_reduce(numpy.full(4, float(member.rank)))
        return {"mean": total / member.size}

A graph names the function, and cannot bring any. What it returns in rank 0 is the result of the node.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

import numpy as np

from perdure.agents.distributed.maths import ring
from perdure.agents.distributed.maths.tensors import Array
from perdure.agents.engines.gang_files import GangFiles
from perdure.errors import FinalError
from perdure.graph.values import Value
from perdure.graph.wording import suggestion

GangFunction: TypeAlias = Callable[["GangMember", Value, Mapping[str, Value]], Any]

CONNECT_PAUSE_S: Final = 0.02

_FUNCTIONS: Final[dict[str, GangFunction]] = {}


def gang_function(name: str) -> Callable[[GangFunction], GangFunction]:
    """Declares the decorated function to be one that gangs may run, under this name."""

    def declare(function: GangFunction) -> GangFunction:
        _FUNCTIONS[name] = function
        return function

    return declare


def gang_function_of(name: Value) -> GangFunction:
    """The function of this name. Raises FinalError."""
    if isinstance(name, str) and name in _FUNCTIONS:
        return _FUNCTIONS[name]
    offers = suggestion(str(name), _FUNCTIONS), "a module passed with --agents offers one with @gang_function"
    raise FinalError(f"this worker has no gang function {name!r}", hint="; ".join(filter(None, offers)))


@dataclass(slots=True)
class GangMember:
    """One process of a gang: its `rank` of `size`.

    `resume` is the last checkpoint and `step` the step after which it was made: None and 0 at the beginning.
    Every `checkpoint_every` steps is one due. `sent_bytes` counts what `all_reduce` has sent.
    """

    rank: int
    size: int
    files: GangFiles
    resume: Any = None
    step: int = 0
    checkpoint_every: int = 1
    gather_s: float = 60.0
    sent_bytes: int = 0
    listening: socket.socket | None = field(default=None, repr=False)
    _links: tuple[socket.socket, socket.socket] | None = field(default=None, repr=False)

    def save(self, step: int, value: Any) -> bool:
        """Keeps the state after a step, if one is due and this is rank 0; all ranks may call it.

        Says whether it was kept. Tensors of PyTorch are kept as arrays.
        """
        if self.rank != 0 or step % self.checkpoint_every != 0:
            return False
        self.files.save(step, arrays_of(value))
        return True

    def all_reduce(self, value: Array) -> Array:
        """The sum of the arrays of all ranks, the same bits in each, around a ring of sockets."""
        if self.size == 1:
            return value.copy()
        before, after = self._ring()
        parts = ring.chunks(value, self.size)
        for step in range(ring.steps(self.size)):
            sent = np.ascontiguousarray(parts[ring.sent_chunk(self.rank, step, self.size)])
            number = ring.sent_chunk((self.rank - 1) % self.size, step, self.size)
            data = _exchange(before, after, sent.tobytes(), parts[number].nbytes)
            self.sent_bytes += sent.nbytes
            received = np.frombuffer(data, dtype=value.dtype)
            parts = ring.received(parts, received, self.rank, step)
        return np.concatenate(parts).reshape(value.shape)

    def close(self) -> None:
        """Closes the sockets."""
        for link in (*(self._links or ()), *([self.listening] if self.listening else ())):
            link.close()

    def _ring(self) -> tuple[socket.socket, socket.socket]:
        """The links from the rank before and to the rank after: each says in a file where it listens."""
        if self._links is None:
            assert self.listening is not None
            with self.listening as listening:
                listening.settimeout(self.gather_s)
                after = self._connect((self.rank + 1) % self.size)
                before, _ = listening.accept()
            for link in (before, after):
                link.settimeout(None)
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._links = before, after
        return self._links

    def _connect(self, rank: int) -> socket.socket:
        end = time.monotonic() + self.gather_s
        while time.monotonic() < end:
            address = self.files.address(rank)
            if address is not None:
                with suppress(ConnectionRefusedError):
                    return socket.create_connection(address, timeout=self.gather_s)
            time.sleep(CONNECT_PAUSE_S)
        raise TimeoutError(f"rank {rank} does not listen after {self.gather_s:g} s")


def _exchange(before: socket.socket, after: socket.socket, data: bytes, size: int) -> bytes:
    """Sends `data` on and receives `size` bytes, a part of each in turn: all ranks do both at once."""
    received, view, sent = bytearray(), memoryview(data), 0
    after.setblocking(False)
    before.setblocking(False)
    try:
        while sent < len(view) or len(received) < size:
            moved = 0
            with suppress(BlockingIOError):
                moved += (piece := after.send(view[sent:]) if sent < len(view) else 0)
                sent += piece
            with suppress(BlockingIOError):
                if len(received) < size:
                    piece_in = before.recv(size - len(received))
                    if not piece_in:
                        raise ConnectionResetError("the rank before this one has ended")
                    received += piece_in
                    moved += len(piece_in)
            if not moved:
                time.sleep(0.0001)
    finally:
        after.setblocking(True)
        before.setblocking(True)
    return bytes(received)


def arrays_of(value: Any) -> Any:
    """The value with arrays in place of PyTorch's tensors, which are recognised without importing it."""
    if isinstance(value, Mapping):
        named = cast("Mapping[Any, Any]", value)
        return {str(name): arrays_of(item) for name, item in named.items()}
    if isinstance(value, list | tuple):
        return [arrays_of(item) for item in cast("Sequence[Any]", value)]
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value
