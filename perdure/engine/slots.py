"""Which queued node may start: priority, the concurrency of the run, limits of labels.

One Slots serves a whole run, nested graphs included, as GraphAI's TaskManager does (language.md
"Concurrency"). A node that runs a nested graph holds its own slot and adds one for the inside.

The bound: at most `concurrency` agents are called at a time, plus one. The one more can only start
when a nested graph has ended, because the node hands on its result while its second slot still
counts. The same holds for the limit of a label, whose nested nodes may pass it by one for each
node of the label that has a graph open.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Ticket(NamedTuple):
    """A place in the queue: node `node` of graph run `run`, the `number`-th ever queued."""

    run: int
    node: str
    priority: float
    label: str | None
    number: int


@dataclass(slots=True)
class Lane:
    """Tickets that the same limit holds back, by priority and in order of arrival."""

    queues: dict[float, deque[Ticket]] = field(default_factory=dict[float, deque[Ticket]])
    priorities: list[float] = field(default_factory=list[float])  # negated, so that they ascend

    def add(self, ticket: Ticket) -> None:
        """Puts a ticket behind all of its priority."""
        queue = self.queues.get(ticket.priority)
        if queue is None:
            queue = self.queues[ticket.priority] = deque()
            insort(self.priorities, -ticket.priority)
        queue.append(ticket)

    def first(self) -> Ticket:
        """The ticket before all others."""
        return self.queues[-self.priorities[0]][0]

    def remove(self, ticket: Ticket) -> bool:
        """Takes a ticket out; True when the lane is empty now."""
        queue = self.queues[ticket.priority]
        queue.remove(ticket)  # nearly always the first
        if not queue:
            del self.queues[ticket.priority]
            self.priorities.remove(-ticket.priority)
        return not self.queues

    def tickets(self) -> Iterator[Ticket]:
        """All tickets, the first one first."""
        return (ticket for priority in self.priorities for ticket in self.queues[-priority])


@dataclass(slots=True)
class Slots:
    """The queue and what runs. `limits` holds the labels whose concurrency is limited."""

    concurrency: int
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    running: int = 0
    running_by_label: dict[str, int] = field(default_factory=dict[str, int])
    # label -> graph run -> nested graphs that a node of this run and label has open
    nesting: dict[str, dict[int, int]] = field(default_factory=dict[str, dict[int, int]])
    # limited label, or None for all others; no lane is ever empty
    lanes: dict[str | None, Lane] = field(default_factory=dict[str | None, Lane])
    # tickets of paused nodes: in no lane, and none of them starts
    parked: list[Ticket] = field(default_factory=list[Ticket])
    _number: int = 0

    @property
    def is_crowded(self) -> bool:
        """Whether no slot is left."""
        return self.running >= self.concurrency

    def push(
        self, run: int, node: str, priority: float, label: str | None, *, is_paused: bool = False
    ) -> None:
        """Queues a node behind all of the same or a higher priority; one that is paused does not start."""
        self._number += 1
        ticket = Ticket(run, node, priority, label, self._number)
        if is_paused:
            self.parked.append(ticket)
        else:
            self._insert(ticket)

    def take_at_once(self, label: str | None) -> bool:
        """Counts a node as running without queuing it, where nothing is queued and it may run."""
        if self.lanes or self.running >= self.concurrency:
            return False
        if label is not None:
            if label in self.limits:
                return False
            self.running_by_label[label] = self.running_by_label.get(label, 0) + 1
        self.running += 1
        return True

    def hold(self, run: int, label: str | None, nested: bool) -> None:
        """Counts a node as running that ran before, whatever the limits say."""
        self.running += 1
        if label is not None:
            self.running_by_label[label] = self.running_by_label.get(label, 0) + 1
        if nested:
            self.open_nested(run, label)

    def pop(self) -> Ticket | None:
        """The next node that may run, now counted as running; None when none may."""
        if not self.lanes or self.running >= self.concurrency:
            return None
        if len(self.lanes) == 1 and None in self.lanes:
            ticket = self.lanes[None].first()
        else:
            allowed = [candidate for label in self.lanes if (candidate := self._first(label)) is not None]
            if not allowed:
                return None
            ticket = min(allowed, key=lambda candidate: (-candidate.priority, candidate.number))
        self._take(ticket)
        return ticket

    def _insert(self, ticket: Ticket) -> None:
        label = ticket.label if ticket.label in self.limits else None
        lane = self.lanes.get(label)
        if lane is None:
            lane = self.lanes[label] = Lane()
        lane.add(ticket)

    def _first(self, label: str | None) -> Ticket | None:
        lane = self.lanes[label]
        if label is None:
            return lane.first()
        running, limit = self.running_by_label.get(label, 0), self.limits[label]
        if running < limit:
            return lane.first()
        nesting = self.nesting.get(label)
        if nesting is None:
            return None
        # Nodes inside a graph of their own label pass the limit, or that graph would wait for itself.
        spare = limit + sum(nesting.values()) - running
        if spare <= 0:
            return None
        return next((ticket for ticket in lane.tickets() if nesting.get(ticket.run, 0) < spare), None)

    def _take(self, ticket: Ticket) -> None:
        label = ticket.label if ticket.label in self.limits else None
        if self.lanes[label].remove(ticket):
            del self.lanes[label]
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
        self.parked = [ticket for ticket in self.parked if ticket.run not in runs]
        kept = [ticket for ticket in self._queued() if ticket.run not in runs]
        self.lanes = {}
        for ticket in kept:
            self._insert(ticket)

    def tickets(self) -> list[Ticket]:
        """Everything queued, in order of arrival."""
        return sorted([*self._queued(), *self.parked], key=lambda ticket: ticket.number)

    def _queued(self) -> list[Ticket]:
        pending = [ticket for lane in self.lanes.values() for ticket in lane.tickets()]
        return sorted(pending, key=lambda ticket: ticket.number)
