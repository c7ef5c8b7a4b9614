"""What happened in a run, noted while its history is replayed.

The notes refer to the engine's own records: a node of one pass is one NodeRun, which no other pass or row
uses again, so it holds what became of the node long after its graph is over. Copies of all values would
double the memory of a large run.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from perdure.engine.board import Board
from perdure.engine.messages import AgentCompleted, AgentFailed, Event, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.engine.state import GraphRun, NodeRun, NodeState
from perdure.graph.values import UNDEFINED, Value
from perdure.history.model import AnsweredCall, ConsoleLine

PassId = tuple[int, int]
"""The number of a graph in the run, and its iteration."""


@dataclass(slots=True)
class Pass:
    """One iteration of one graph, and its nodes."""

    run: GraphRun
    iteration: int
    nodes: dict[str, NodeRun]

    def address(self, name: str) -> str:
        """The place of a node in the run."""
        return f"{self.run.key}{name}@{self.iteration}" if self.iteration else self.run.key + name

    @property
    def parent(self) -> str | None:
        """The address of the node whose graph this is."""
        run = self.run
        if run.parent is None:
            return None
        end = "." if run.map_index is None else f"[{run.map_index}]."
        return run.key.removesuffix(end)


@dataclass(slots=True)
class Call:
    """A call of an agent, when it began and ended, and in which activity it was sent, if in any.

    `recalled` is the entry of the record of an earlier run that has answered it, -1 for a person's value.
    """

    command: RunAgent
    began: int
    ended: int | None = None
    failure: str | None = None
    activity: str | None = None
    result: Value = UNDEFINED
    recalled: int | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A node of a pass came to a state."""

    time: int
    place: PassId
    name: str
    state: NodeState


@dataclass(slots=True)
class Journal:
    """The notes of one run, over all executions that continue each other.

    `calls` are by the address of their node, `addresses` by the path of a call. `answers` are the calls that
    have a result, in the order in which these were handed on. `board` is that of the run as it is now.
    """

    passes: dict[PassId, Pass] = field(default_factory=dict[PassId, Pass])
    moves: list[Move] = field(default_factory=list[Move])
    calls: dict[str, list[Call]] = field(default_factory=dict[str, list[Call]])
    addresses: dict[str, str] = field(default_factory=dict[str, str])
    answers: list[Call] = field(default_factory=list[Call])
    console: list[ConsoleLine] = field(default_factory=list[ConsoleLine])
    board: Board | None = None
    _open: dict[int, Call] = field(default_factory=dict[int, Call])
    _by_path: dict[str, Call] = field(default_factory=dict[str, Call])

    def begun(self, scheduler: Scheduler) -> None:
        """The run is played by this scheduler; what a run before it has left is on its board."""
        self.board = scheduler.board
        for run in scheduler.board.runs.values():
            self._note(run)

    def moved(self, run: GraphRun, name: str) -> None:
        """A node is in another state."""
        self._note(run)
        node = run.nodes[name]
        self.moves.append(Move(run.clock.now_ms, (run.id, run.iteration), name, node.state))

    def called(self, command: RunAgent) -> None:
        """An agent is called: once more where a run of the chain repeats what was not answered."""
        flight = None if self.board is None else self.board.calls.get(command.call)
        if flight is None or self.board is None:
            return
        run = self.board.runs[flight.run]
        address = run.key_of(command.node)
        command_sent = self._open.get(command.call)
        if command_sent is None:
            call = self._open[command.call] = Call(command, run.clock.now_ms)
            self.calls.setdefault(address, []).append(call)
            self._by_path[command.path] = call
            self.addresses[command.path] = address

    def sent(self, path: str, activity: str) -> None:
        """The call at `path` is on its way, in the activity of the call at `activity`."""
        call = self._by_path.get(path)
        if call is not None:
            call.activity = activity

    def recalled(self, path: str, entry: int) -> None:
        """The call at `path` is answered by this entry of a record."""
        call = self._by_path.get(path)
        if call is not None:
            call.recalled = entry

    def answered(self, event: Event) -> None:
        """An answer is handed on."""
        call = self._open.pop(getattr(event, "call", 0), None)
        if call is None:
            return
        self._by_path.pop(call.command.path, None)
        call.ended = self._now()
        if isinstance(event, AgentFailed):
            call.failure = event.message
        elif isinstance(event, AgentCompleted):
            call.result = event.result
            self.answers.append(call)

    def answered_calls(self) -> tuple[AnsweredCall, ...]:
        """The calls that have a result, in the order of these."""
        return tuple(
            AnsweredCall(call.command, call.result, call.began, call.ended or call.began, call.recalled)
            for call in self.answers
        )

    def shown(self, path: str, text: str) -> None:
        """A console line."""
        self.console.append(ConsoleLine(self._now(), self.addresses.get(path, path), text))

    def _now(self) -> int:
        return 0 if self.board is None else self.board.clock.now_ms

    def _note(self, run: GraphRun) -> None:
        place = (run.id, run.iteration)
        earlier = self.passes.get(place)
        if earlier is None or earlier.nodes is not run.nodes:
            self.passes[place] = Pass(run, run.iteration, run.nodes)
