"""A shell that answers in any order, and checks at every step what must always hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any
from zlib import crc32

from perdure.engine.messages import (
    Abort,
    AgentCompleted,
    AgentFailed,
    CancelCall,
    Command,
    Event,
    Finish,
    RunAgent,
    Settle,
    Settled,
    StartTimer,
    TimerFired,
)
from perdure.engine.scheduler import Scheduler
from perdure.engine.state import ACTIVE, TRANSITIONS, GraphRun, NodeState
from tests.support.graphs import has_graphs

AGENTS = ("work",)


@dataclass
class Moves:
    """Watches that no node moves in another way than the table allows."""

    states: dict[tuple[int, int, str], NodeState] = field(default_factory=dict)

    def __call__(self, run: GraphRun, name: str) -> None:
        key = (run.id, run.iteration, name)
        was, state = self.states.get(key, NodeState.WAITING), run.nodes[name].state
        assert state in TRANSITIONS[was], f"{run.path_of(name)}: {was} -> {state}"
        self.states[key] = state


class Simulation:
    """Plays one graph to its end. `salt` decides what agents answer, `random` in which order.

    `events` and `sent` are what went in and what came out, step by step. With `fires` timers fire
    at random, else never.
    """

    def __init__(self, document: dict[str, Any], random: Random, salt: int = 0, fires: bool = False) -> None:
        self.document, self.random, self.salt, self.fires = document, random, salt, fires
        self.scheduler = Scheduler(document, agents=AGENTS, observe=Moves())
        self.now = 0
        self.open: dict[int, Command] = {}
        self.over: list[int] = []
        self.events: list[tuple[Event, int]] = []
        self.sent: list[list[Command]] = []
        self.finish: Finish | None = None
        concurrency = document.get("concurrency", 8)
        limits = concurrency if isinstance(concurrency, dict) else {"global": concurrency}
        spare = 1 if has_graphs(document) else 0
        self.most = limits["global"] + spare
        self.most_by_label = {label: limit + spare for label, limit in limits.get("labels", {}).items()}

    def play(self, abort_after: int | None = None) -> Finish:
        """Answers until the run is over; aborts it after that many answers, where given."""
        self._take(self.scheduler.start(0))
        while self.finish is None:
            if abort_after is not None and len(self.events) >= abort_after:
                self.hand_in(Abort())
            else:
                self.hand_in(self.choose())
        assert self.scheduler.handle(Abort(), self.now) == []
        return self.finish

    def choose(self) -> Event:
        """The next answer: any that is owed, or a late one that nothing waits for."""
        if self.over and self.random.random() < 0.1:
            call = self.random.choice(self.over)
            return self.random.choice(
                (AgentCompleted(call, "late"), AgentFailed(call, "late"), Settled(call))
            )
        owed = [
            call for call, command in self.open.items() if self.fires or not isinstance(command, StartTimer)
        ]
        assert owed, "nothing is owed, and the run is not over"
        command = self.open[self.random.choice(owed)]
        if isinstance(command, RunAgent):
            return self._answer(command)
        assert isinstance(command, StartTimer | Settle)
        return TimerFired(command.call) if isinstance(command, StartTimer) else Settled(command.call)

    def hand_in(self, event: Event) -> None:
        """Gives the scheduler one event, and takes what follows."""
        self.now += self.random.randint(0, 20)
        is_late = not isinstance(event, Abort) and event.call not in self.open
        if not isinstance(event, Abort) and not is_late:
            del self.open[event.call]
            self.over.append(event.call)
        self.events.append((event, self.now))
        commands = self.scheduler.handle(event, self.now)
        assert not (is_late and commands), f"a late answer had consequences: {commands}"
        self._take(commands)

    def _take(self, commands: list[Command]) -> None:
        self.sent.append(commands)
        for command in commands:
            assert self.finish is None, f"{command} after the end"
            if isinstance(command, RunAgent | StartTimer | Settle):
                assert command.call not in self.open or isinstance(command, Settle)
                self.open[command.call] = command
            elif isinstance(command, CancelCall):
                del self.open[command.call]
                self.over.append(command.call)
            elif isinstance(command, Finish):
                self.finish = command
        self._check_limits()
        self._check_counts()

    def _check_counts(self) -> None:
        """Between two events, what a graph counts of itself is what the states of its nodes say."""
        for run in self.scheduler.board.runs.values():
            nodes = run.nodes.values()
            assert run.active == sum(node.state in ACTIVE for node in nodes), run.path
            waiting = sum(node.state is NodeState.WAITING and node.call is not None for node in nodes)
            assert run.holds == waiting, run.path

    def _check_limits(self) -> None:
        running = [command for command in self.open.values() if isinstance(command, RunAgent)]
        assert len(running) <= self.most, f"{len(running)} agents run, allowed are {self.most}"
        slots = self.scheduler.board.slots
        if not has_graphs(self.document) and not self.scheduler.finished and not slots.is_crowded:
            idle = [ticket for ticket in slots.tickets() if self._may_start(ticket.label)]
            assert not idle, f"{idle} wait for no reason"
        for label, most in self.most_by_label.items():
            flights = (self.scheduler.board.calls[command.call] for command in running)
            runs = self.scheduler.board.runs
            running_count = sum(
                runs[flight.run].plan.computed[flight.node].label == label for flight in flights
            )
            assert running_count <= most, f"{running_count} agents of label {label} run, allowed are {most}"

    def _may_start(self, label: str | None) -> bool:
        running = self.scheduler.board.slots.running_by_label.get(label or "", 0)
        return running < self.most_by_label.get(label or "", running + 1)

    def _answer(self, command: RunAgent) -> Event:
        """The same for the same work, whenever it is done."""
        chance = crc32(f"{self.salt} {command.key} {command.retry}".encode())
        if chance % 10 == 0:
            return AgentFailed(command.call, f"failed {command.path}", final=chance % 20 == 0)
        value = {"v": chance % 5, "flag": bool(chance % 3), "inputs": command.inputs}
        return AgentCompleted(command.call, value if chance % 7 else {"flag": 0})


def outcome(simulation: Simulation) -> tuple[Any, ...]:
    """What the caller of a run sees."""
    finish, root = simulation.finish, simulation.scheduler.root
    assert finish is not None
    states = {name: str(node.state) for name, node in root.nodes.items()}
    return finish.all, finish.results, finish.errors, finish.failure, states
