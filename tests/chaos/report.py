"""What a scenario found, and what it had to find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.effects import Account
from tests.chaos.world import World
from tests.support import detector

SHOWN = 8
"""Findings of one bar that are printed."""

WIDTH = 600
"""Characters of each."""


@dataclass(frozen=True)
class Bar:
    """One line of the table. `details` are shown where it is not met."""

    name: str
    actual: str
    expected: str
    met: bool
    details: tuple[str, ...] = ()


@dataclass
class Verdict:
    """All bars of a scenario."""

    title: str
    bars: list[Bar] = field(default_factory=list[Bar])

    @property
    def met(self) -> bool:
        return all(bar.met for bar in self.bars)

    def none(self, name: str, findings: Sequence[object]) -> None:
        """There must be no findings."""
        self.bars.append(Bar(name, str(len(findings)), "0", not findings, tuple(map(str, findings))))

    def equal(self, name: str, actual: object, expected: object) -> None:
        """Both must be the same."""
        self.bars.append(Bar(name, str(actual), str(expected), actual == expected))

    def most(self, name: str, actual: float, limit: float, unit: str = "s") -> None:
        """It may not be more than the limit."""
        shown = f"{actual:.2f}" if isinstance(actual, float) else str(actual)
        self.bars.append(Bar(name, f"{shown} {unit}", f"<= {limit:g} {unit}", actual <= limit))

    def tell(self, name: str, value: object) -> None:
        """A figure that nothing depends on."""
        self.bars.append(Bar(name, str(value), "", True))

    def effects(self, balance: Account, most: float | None = 0.03) -> None:
        """Each effect that was expected was had, once as far as can be seen from outside."""
        self.none("effects lost", balance.lost)
        self.none("effects not expected", balance.extra)
        self.equal("distinct keys", balance.keys, balance.expected)
        text = f"{balance.repeats} ({balance.share:.1%})"
        if most is None:
            self.tell("effects repeated", text)
        else:
            self.bars.append(Bar("effects repeated", text, f"< {most:.0%}", balance.share < most))

    def table(self) -> str:
        """The bars as text."""
        head = ("", self.title, "found", "wanted")
        rows = [(" ok " if bar.met else "FAIL", bar.name, bar.actual, bar.expected) for bar in self.bars]
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(4)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in [head, *rows]]
        for bar in self.bars:
            if not bar.met:
                lines += [f"\n{bar.name}:", *(f"  {text[:WIDTH]}" for text in bar.details[:SHOWN])]
        return "\n".join(lines)


async def aftermath(world: World, verdict: Verdict, sample: int | None = 30, seed: int = 0) -> None:
    """The bars that every scenario has. Workers must be up: they are asked."""
    verdict.none("stuck runs", await detector.stuck_runs(world.client))
    histories = await detector.histories(world.client, sample, seed)
    verdict.tell("histories replayed, in a sandbox and without", len(histories))
    verdict.none("histories that do not replay", await detector.replay_failures(histories))
    verdict.none("workflow tasks failed", detector.failed_tasks(histories))
    world.close()
    verdict.none("bad lines in logs", detector.bad_lines(world.logs))
