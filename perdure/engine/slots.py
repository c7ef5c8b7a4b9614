"""Which queued node may start: priority, the concurrency of the run, limits of labels.

One Slots serves a whole run, nested graphs included, as GraphAI's TaskManager does (language.md
"Concurrency"). A node that runs a nested graph holds its own slot and adds one for the inside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Ticket:
    """A place in the queue: node `node` of graph run `run`, the `number`-th ever queued."""

    run: int
    node: str
    priority: float
    label: str | None
    number: int


@dataclass(slots=True)
class Slots:
    """The queue and what runs. `limits` holds the labels whose concurrency is limited."""

    concurrency: int
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    running: int = 0
    queued: int = 0
    running_by_label: dict[str, int] = field(default_factory=dict[str, int])
    # label -> graph run -> nested graphs that a node of this run and label has open
    nesting: dict[str, dict[int, int]] = field(default_factory=dict[str, dict[int, int]])
    # priority -> limited label, or None for all others -> tickets in order of arrival
    _queues: dict[float, dict[str | None, deque[Ticket]]] = field(
        default_factory=dict[float, dict[str | None, deque[Ticket]]]
    )
    _priorities: list[float] = field(default_factory=list[float])
    _number: int = 0

    def push(self, run: int, node: str, priority: float, label: str | None) -> None:
        """Queues a node behind all of the same or a higher priority."""
        self._number += 1
        self._insert(Ticket(run, node, priority, label, self._number))

    def _insert(self, ticket: Ticket) -> None:
        if ticket.priority not in self._queues:
            self._queues[ticket.priority] = {}
            self._priorities = sorted(self._queues, reverse=True)
        lane = ticket.label if ticket.label in self.limits else None
        self._queues[ticket.priority].setdefault(lane, deque()).append(ticket)
        self.queued += 1

    def pop(self) -> Ticket | None:
        """The next node that may run, now counted as running; None when none may."""
        if not self.queued or self.running >= self.concurrency:
            return None
        for priority in self._priorities:
            lanes = self._queues[priority]
            allowed = [ticket for label in lanes if (ticket := self._first(label, lanes[label])) is not None]
            if allowed:
                ticket = min(allowed, key=lambda found: found.number)
                self._take(ticket)
                return ticket
        return None

    def _first(self, label: str | None, lane: deque[Ticket]) -> Ticket | None:
        if not lane:
            return None
        if label is None or self.running_by_label.get(label, 0) < self.limits[label]:
            return lane[0]
        if label not in self.nesting:
            return None
        return next((ticket for ticket in lane if self._may_bypass(ticket, label)), None)

    def _may_bypass(self, ticket: Ticket, label: str) -> bool:
        """A limited label lets nodes inside a nested graph of its own pass, or they would wait for it."""
        extra = sum(count for run, count in self.nesting[label].items() if run != ticket.run)
        return self.running_by_label.get(label, 0) < self.limits[label] + extra

    def _take(self, ticket: Ticket) -> None:
        lanes = self._queues[ticket.priority]
        lane = ticket.label if ticket.label in self.limits else None
        lanes[lane].remove(ticket)  # nearly always the first
        if not lanes[lane]:
            del lanes[lane]
        if not lanes:
            del self._queues[ticket.priority]
            self._priorities.remove(ticket.priority)
        self.queued -= 1
        self.running += 1
        if ticket.label is not None:
            self.running_by_label[ticket.label] = self.running_by_label.get(ticket.label, 0) + 1

    def release(self, label: str | None) -> None:
        """A running node is over."""
        self.running -= 1
        if label is not None:
            left = self.running_by_label[label] - 1
            if left:
                self.running_by_label[label] = left
            else:
                del self.running_by_label[label]

    def open_nested(self, run: int, label: str | None) -> None:
        """A node of `run` opens a nested graph: one more slot until it is closed."""
        self.concurrency += 1
        if label is not None and label in self.limits:
            of_label = self.nesting.setdefault(label, {})
            of_label[run] = of_label.get(run, 0) + 1

    def close_nested(self, run: int, label: str | None) -> None:
        """The nested graph that open_nested announced is over."""
        self.concurrency -= 1
        if label is not None and label in self.limits:
            of_label = self.nesting[label]
            of_label[run] -= 1
            if not of_label[run]:
                del of_label[run]
            if not of_label:
                del self.nesting[label]

    def drop(self, runs: Container[int]) -> None:
        """Takes all nodes of these graph runs out of the queue."""
        kept = [ticket for ticket in self.tickets() if ticket.run not in runs]
        self._queues, self._priorities, self.queued = {}, [], 0
        for ticket in kept:
            self._insert(ticket)

    def tickets(self) -> list[Ticket]:
        """Everything queued, in order of arrival."""
        lanes = (lane for of_priority in self._queues.values() for lane in of_priority.values())
        return sorted((ticket for lane in lanes for ticket in lane), key=lambda ticket: ticket.number)
