"""Answers calls from a record.

Invariants
    An entry answers one call. So five samples of one prompt stay five, and the number of calls that have to
    be executed does not depend on which of several equal entries answers which call.
    Only what is asked for is answered: conditions, loops, rows and nested graphs are evaluated by the
    scheduler as in any run. Passes before a change are reused, those behind it are not, and rows that were
    inserted, removed or moved need no rule of their own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from perdure.engine.messages import RunAgent
from perdure.graph.human_input import APPROVAL
from perdure.graph.values import Value
from perdure.lineage.code import CodeChanges
from perdure.lineage.fingerprint import address_of, fingerprint
from perdure.lineage.record import Entry, Record


@dataclass(frozen=True, slots=True)
class Recalled:
    """The answer to a call: `entry` is its number in the record, `order` when it is handed on.

    A value that a person has set has no entry: -1.
    """

    entry: int
    order: int
    result: Value


@dataclass(slots=True)
class Recall:
    """The entries of a record that have not answered a call yet; `used` have, in an earlier segment.

    Agents that are `unreused` are called again, and so are those that `changes` says have other code now.
    """

    record: Record
    used: set[int] = field(default_factory=set[int])
    unreused: Collection[str] = ()
    changes: CodeChanges | None = None
    _open: dict[int, Recalled] = field(default_factory=dict[int, Recalled])
    _at: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    _alike: dict[tuple[str, str], list[int]] = field(default_factory=dict[tuple[str, str], list[int]])

    def __post_init__(self) -> None:
        for number, entry in enumerate(self.record.entries):
            self._at.setdefault(entry.position, []).append(number)
            if number not in self.used:
                self._alike.setdefault(_kind(entry), []).append(number)
        for numbers in self._alike.values():
            numbers.reverse()  # the first is taken from the end

    @property
    def is_spent(self) -> bool:
        """Whether no call can be answered any more."""
        return len(self.used) >= len(self.record.entries) and not self.record.values

    def find(self, command: RunAgent) -> Recalled | None:
        """The answer to a call, the same whenever it is asked for; no other call has it meanwhile.

        None for an approval: it holds in its own run alone.
        """
        if command.agent == APPROVAL:
            return None
        recalled = self._open.get(command.call)
        if recalled is None:
            recalled = self._new(command)
            if recalled is not None:
                self._open[command.call] = recalled
        return recalled

    def release(self, call: int) -> None:
        """The call was cancelled: its entry may answer another."""
        recalled = self._open.pop(call, None)
        if recalled is None or recalled.entry < 0:
            return
        self.used.discard(recalled.entry)
        self._alike.setdefault(_kind(self.record.entries[recalled.entry]), []).append(recalled.entry)

    def close(self, call: int) -> None:
        """The call is over."""
        self._open.pop(call, None)

    def _new(self, command: RunAgent) -> Recalled | None:
        values, position = self.record.values, command.key
        address = address_of(position)
        place = position if position in values else address
        if place in values:
            recorded = self._at.get(position)
            return Recalled(-1, recorded[0] if recorded else len(self.record.entries), values[place])
        mark = None if command.agent in self.unreused else fingerprint(command)
        if mark is None or (number := self._unused(command, (address, mark))) is None:
            return None
        self.used.add(number)
        return Recalled(number, number, self.record.entries[number].result)

    def _unused(self, command: RunAgent, kind: tuple[str, str]) -> int | None:
        """The entry at the same position, else the first of the same kind."""
        entries = self.record.entries
        for number in self._at.get(command.key, ()):
            if entries[number].fingerprint == kind[1] and self._may_answer(number, command.agent):
                return number
        alike = self._alike.get(kind)
        while alike:
            number = alike.pop()
            if self._may_answer(number, command.agent):
                return number
        return None

    def _may_answer(self, number: int, agent: str) -> bool:
        if number in self.used:
            return False
        return self.changes is None or not self.changes.has(agent, self.record.entries[number].origin)


def _kind(entry: Entry) -> tuple[str, str]:
    return address_of(entry.position), entry.fingerprint


def numbers_of(written: str) -> set[int]:
    """The numbers in a string of hexadecimal digits, of which each bit stands for one."""
    flags = bytes.fromhex(written)[::-1]
    return {
        place * 8 + bit for place, byte in enumerate(flags) if byte for bit in range(8) if byte >> bit & 1
    }


def written_numbers(numbers: Collection[int]) -> str:
    """The numbers as such a string."""
    flags = bytearray(max(numbers, default=0) // 8 + 1)
    for number in numbers:
        flags[number // 8] |= 1 << number % 8
    return flags[::-1].hex()
