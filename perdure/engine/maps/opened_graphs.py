"""The graphs that a node has opened, and how graphs end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perdure.engine.maps.quorum import Missing, Quorum
from perdure.engine.maps.starts import Start
from perdure.engine.plan import Plan
from perdure.graph.deferred import Deferred
from perdure.graph.values import UNDEFINED, Value


# Not frozen, though no code may change it, nor a tuple: one is made for every answer.
@dataclass(slots=True)
class Outcome:
    """How a nested graph, or the node that runs it, ended: a value or a message, of a `refused` call too."""

    value: Value = UNDEFINED
    failure: str | None = None
    refused: bool = False


@dataclass(slots=True, kw_only=True)
class Nested:
    """The graphs that a node runs, and how they ended so far; `call` is the node's.

    `starts` are all of them, of which `opened` have begun, `room` at a time (0 until the first has);
    `children` are those still running, and `results` what the others returned, by row; those `kept` are in
    lists of the store, with their rows. Each graph takes `row_steps` of the scheduler at least, 0 where some
    may never begin although none fails. Where results are `withheld`, they are known elsewhere. While it is
    `opening`, nothing is decided; `failed` is the message of the first graph that did. `live` are the bytes
    of `results`.

    With a `quorum`, rows that fail are `missing`, and `timers` end the map before all rows are over;
    `has_grace` says that enough have a result, and the last time runs. Once it `is_closed`, no more rows
    count. Of the rows that began in an earlier pass, `places` has the number by their graph, and `passes` the
    pass by that number.
    """

    call: int
    agent: str
    params: Mapping[str, Value]
    starts: Sequence[Start] = ()
    plan: Plan | None = None
    want_all: bool = False
    rule: Mapping[str, Value] | None = None
    opened: int = 0
    room: int = 0
    withheld: bool = False
    children: list[int] = field(default_factory=list[int])
    results: dict[int, Value] = field(default_factory=dict[int, Value])
    kept: list[tuple[list[int], Deferred]] = field(default_factory=list[tuple[list[int], Deferred]])
    opening: bool = False
    failed: str | None = None
    outcome: Outcome | None = None
    live: int = 0
    quorum: Quorum | None = None
    missing: dict[int, Missing] = field(default_factory=dict[int, Missing])
    timers: list[int] = field(default_factory=list[int])
    has_grace: bool = False
    row_steps: int = 0
    is_closed: bool = False
    places: dict[int, int] = field(default_factory=dict[int, int])
    passes: dict[int, int] = field(default_factory=dict[int, int])

    @property
    def bound_steps(self) -> int:
        """Steps that the graphs take at least which have yet to begin."""
        return self.row_steps and (len(self.starts) - self.opened) * self.row_steps

    @property
    def accepted_count(self) -> int:
        """How many graphs have ended with a result."""
        return self.opened - len(self.children) - len(self.missing)

    def row_of(self, graph: int, map_index: int | None) -> int:
        """The number of the row whose graph this is, which began as `map_index`."""
        return self.places.get(graph, map_index or 0)
