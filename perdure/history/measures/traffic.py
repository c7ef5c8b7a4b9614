"""How many bytes runs have moved, and how many they had to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from perdure.graph.deferred import deferred_in, sources
from perdure.history.model import Attempt, RunModel
from perdure.protocol.encoding import encoded_size


@dataclass(slots=True)
class BytesMeasures:
    """What runs have moved, in bytes.

    `server` are all events of their histories, of which `calls` are the inputs and results of activities.
    `got` was read from the store by calls and `put` was written to it; `cached` came from the cache of a
    worker, and moved nothing. `needed` is the least: each input and each result of a call on a task queue
    once, each value in the store once.
    """

    server: int = 0
    calls: int = 0
    got: int = 0
    put: int = 0
    cached: int = 0
    needed: int = 0

    @property
    def moved(self) -> int:
        """All bytes that went through the network or a folder of it."""
        return self.server + self.got + self.put

    @property
    def overhead(self) -> float | None:
        """All bytes for each byte that has to be moved; None where none has."""
        return self.moved / self.needed if self.needed else None


def traffic_of(models: Sequence[RunModel]) -> BytesMeasures:
    """That of these runs together. A stored value that several of them share is needed once."""
    traffic, sizes = BytesMeasures(), dict[str, int]()
    for model in models:
        traffic.server += sum(execution.byte_count for execution in model.chain)
        for attempt in _activities(model):
            traffic.calls += attempt.byte_count
            if attempt.record is not None:
                traffic.got += attempt.record.got
                traffic.put += attempt.record.put
                traffic.cached += attempt.record.cached
        remote = {node.address for node in model.nodes.values() if node.placement == "activity"}
        for call in model.calls:
            if call.recalled is not None or call.command.key not in remote:
                continue
            for value in (call.command.inputs, call.result):
                traffic.needed += encoded_size(value)
                for blob in (blob for deferred in deferred_in(value) for blob in sources(deferred)):
                    sizes[blob.digest] = blob.size
    traffic.needed += sum(sizes.values())
    return traffic


def _activities(model: RunModel) -> Iterator[Attempt]:
    """The last attempt of each activity of a run."""
    seen: set[tuple[str, int]] = set()
    for node in model.nodes.values():
        for attempt in node.attempts:
            if attempt.scheduled is not None and (attempt.activity, attempt.scheduled) not in seen:
                seen.add((attempt.activity, attempt.scheduled))
                yield attempt
