"""Grants: what a run, a graph inside it or one call may do.

Why
    A grant is narrowed on its way down: by the operator's profile, by what the graph asks for, by `allow` of
    each node around a graph. What counts in the end is what all of them allow. Nothing on the way may widen.

Invariants
    For each kind of thing a grant holds clauses: sets of names, all of which have to allow what is asked.
    No clause allows everything. So the meet of two grants is the union of their clauses, which is idempotent,
    commutative and associative by construction, and never allows more than either.
    A clause that contains another one says nothing, and is left out: so grants that say the same are equal.

Rejected
    One set of names for each kind, intersected. `@pure` stands for other agents on each worker, so it could
    be intersected only where the agents are known, and what a history holds would depend on the worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypeGuard

Clauses: TypeAlias = frozenset[frozenset[str]]
Written: TypeAlias = Mapping[str, Sequence[Sequence[str]]]

ANY: Final = "*"
"""Allows everything of a kind."""

PURE: Final = "@pure"
"""The agents that compute, or run graphs, and have no effect outside of the run."""

AGENT: Final = "agent"
"""Among `dynamic`: data may name the agent of a node."""

APPROVED: Final = "approved"
"""In a written grant: that people have approved the call, its SHA-256, and who they are."""

GRAPH: Final = "graph"
"""Among `dynamic`: data may be the graph of a node."""

_FREE: Final[Clauses] = frozenset()


@dataclass(frozen=True, slots=True)
class Grant:
    """The clauses for each kind: `agents` that may be called, task `queues` that nodes may name besides the
    run's own, what data may choose (`dynamic`: AGENT, GRAPH), `hosts` that agents may reach ("*.example.com"
    for all below one), folders of the worker's folder for files that they may read and write ("." for
    all of it), `secrets` that they may send, and where `private` data may go: hosts, and MODELS
    (perdure.policy.labels).

    Without arguments it allows everything.
    """

    agents: Clauses = _FREE
    queues: Clauses = _FREE
    dynamic: Clauses = _FREE
    hosts: Clauses = _FREE
    reads: Clauses = _FREE
    writes: Clauses = _FREE
    secrets: Clauses = _FREE
    private: Clauses = _FREE

    @classmethod
    def of(cls, *names: Iterable[str], **more: Iterable[str]) -> Grant:
        """What allows these names, by kind, and nothing else: without arguments, nothing at all."""
        known = {**dict(zip(GRANT_KINDS, names, strict=False)), **more}
        return cls(**{kind: _minimal([frozenset(known.get(kind, ()))]) for kind in GRANT_KINDS})

    @classmethod
    def read(cls, data: Any) -> Grant:
        """The grant that `written` wrote. What cannot be read, or has a kind unknown here, allows nothing."""
        if not is_mapping(data) or not set(data) <= {*GRANT_KINDS, APPROVED}:
            return NOTHING
        try:
            kinds = {kind: clauses for kind, clauses in data.items() if kind != APPROVED}
            return cls(**{kind: _minimal(map(frozenset, clauses)) for kind, clauses in kinds.items()})
        except TypeError:
            return NOTHING

    def written(self) -> Written:
        """This grant as plain data, the same object each time; a kind without clauses is left out."""
        return _written(self)

    def allows_agent(self, name: str, *, is_pure: bool) -> bool:
        """Whether the agent may be called; `is_pure` says whether PURE stands for it."""
        return all(name in clause or (is_pure and PURE in clause) for clause in self.agents)

    def allows(self, kind: str, name: str) -> bool:
        """Whether something of another kind than agents is allowed."""
        return all(name in clause for clause in getattr(self, kind))

    def host_refusal(self, host: str) -> frozenset[str] | None:
        """The clause that does not allow agents to reach this host, None if all do."""
        name = host.lower().removesuffix(".")
        refusing = (clause for clause in self.hosts if not any(_is_host(name, known) for known in clause))
        return min(refusing, key=sorted, default=None)

    def path_refusal(self, kind: str, parts: Sequence[str]) -> frozenset[str] | None:
        """The clause of `reads` or `writes` that does not allow the file at this path, None if all do."""
        clauses: Clauses = getattr(self, kind)
        refusing = (clause for clause in clauses if not any(_is_below(parts, folder) for folder in clause))
        return min(refusing, key=sorted, default=None)

    def refusing(self, kind: str, name: str, *, is_pure: bool = False) -> frozenset[str]:
        """The clause that does not allow it, the first in alphabetical order."""
        clauses: Clauses = getattr(self, kind)
        refusing = (clause for clause in clauses if not (name in clause or (is_pure and PURE in clause)))
        return min(refusing, key=sorted)

    def is_within(self, other: Grant) -> bool:
        """Whether this allows nothing that `other` does not, whatever PURE stands for."""
        return meet(self, other) == self


@lru_cache(maxsize=1024)
def with_any_choice(grant: Grant) -> Grant:
    """This grant where data may choose anything that it allows."""
    return replace(grant, dynamic=_FREE)


def _is_host(name: str, known: str) -> bool:
    return name == known or (known.startswith("*.") and name.endswith(known[1:]))


def _is_below(parts: Sequence[str], folder: str) -> bool:
    above = [] if folder == "." else folder.split("/")
    return list(parts[: len(above)]) == above


def is_mapping(data: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a mapping; keys of values of the language are strings."""
    return isinstance(data, Mapping)


@lru_cache(maxsize=1024)
def meet(one: Grant, other: Grant) -> Grant:
    """What both allow."""
    return Grant(*(_minimal(getattr(one, kind) | getattr(other, kind)) for kind in GRANT_KINDS))


def _minimal(clauses: Iterable[frozenset[str]]) -> Clauses:
    """The clauses without those that say nothing beyond another one."""
    narrow = {clause for clause in clauses if ANY not in clause}
    return frozenset(clause for clause in narrow if not any(other < clause for other in narrow))


@lru_cache(maxsize=1024)
def _written(grant: Grant) -> Written:
    written = {kind: sorted(sorted(clause) for clause in getattr(grant, kind)) for kind in GRANT_KINDS}
    return {kind: clauses for kind, clauses in written.items() if clauses}


GRANT_KINDS: Final = tuple(item.name for item in fields(Grant))
"""The kinds of things that a grant is about."""

NOTHING: Final = Grant.of()
"""The bottom: it allows nothing."""

ONLY_PURE: Final = Grant.of(agents=[PURE])
"""What a graph gets that is data, where its node says nothing else."""
