"""The board on which a run is played: its graphs, its open calls, the slots, the commands to send.

What decides is elsewhere; the board records, and can take whole graphs off again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from perdure.engine.fuel import MAX_OPEN_GRAPH_COUNT, PAUSE_MS, Fuel
from perdure.engine.granting.authority import Authority
from perdure.engine.live_bytes import Measure, carried_bytes, open_bytes, recount, row_bytes
from perdure.engine.maps.opened_graphs import Nested
from perdure.engine.maps.places import covers
from perdure.engine.maps.quorum import Missing
from perdure.engine.maps.version_gates import Gates
from perdure.engine.messages import (
    CancelCall,
    Command,
    Console,
    Finish,
    Quotas,
    RunOptions,
    Starting,
    StartTimer,
)
from perdure.engine.plan import Plan
from perdure.engine.resolved_values import ResolvedValues
from perdure.engine.slots import Slots
from perdure.engine.state import Clock, GraphRun, NodeState, Observer
from perdure.errors import QuotaExceeded
from perdure.graph.sizes import bounded_size
from perdure.graph.values import Value

ROOT_RUN_ID = 1
"""The number of the first graph."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for a whole run.

    `agents` are the names that may be called, None for any; `own` those of the engine, which run graphs.
    `event_steps` is the fuel of one event (perdure.engine.fuel), `authority` decides what is allowed.
    """

    options: RunOptions
    agents: frozenset[str] | None
    own: frozenset[str]
    event_steps: float = inf
    gates: Gates = field(default_factory=Gates)
    authority: Authority = field(default_factory=Authority)

    @property
    def is_bounded(self) -> bool:
        """Whether fuel and the bounds of numbers and values hold, as they do for all runs but old ones."""
        return self.event_steps < inf


# Not frozen, as Outcome is not.
@dataclass(slots=True)
class InFlight:
    """A command that waits for its answer, the node it belongs to, and when it was sent."""

    run: int
    node: str
    command: Starting
    since: int


@dataclass(slots=True)
class Board:
    """Everything that changes while a run executes; `paused` are places of nodes that do not start."""

    slots: Slots
    observe: Observer | None = None
    clock: Clock = field(default_factory=Clock)
    resolved: ResolvedValues = field(default_factory=ResolvedValues)
    runs: dict[int, GraphRun] = field(default_factory=dict[int, GraphRun])
    calls: dict[int, InFlight] = field(default_factory=dict[int, InFlight])
    commands: list[Command] = field(default_factory=list[Command])
    last_call: int = 0
    last_run: int = 0
    finished: bool = False
    quotas: Quotas = field(default_factory=Quotas)
    used_calls: int = 0
    used_iterations: int = 0
    live: int = 0
    _measure: Measure = field(default_factory=Measure)
    is_bounded: bool = False
    fuel: Fuel = field(default_factory=Fuel)
    open_limit: float = MAX_OPEN_GRAPH_COUNT
    paused: dict[str, None] = field(default_factory=dict[str, None])

    @property
    def root(self) -> GraphRun:
        """The graph that the run is of."""
        return self.runs[ROOT_RUN_ID]

    def is_paused(self, run: GraphRun, name: str) -> bool:
        """Whether a node is not to start."""
        return any(covers(place, run.key_of(name)) for place in self.paused)

    def queue(self, run: GraphRun, name: str) -> None:
        """Puts a node into the queue."""
        plan, is_paused = run.plan.computed[name], bool(self.paused) and self.is_paused(run, name)
        self.slots.push(run.id, name, plan.priority, plan.label, is_paused=is_paused)

    def new_call(self) -> int:
        """A number that no call of this run ever had."""
        self.last_call += 1
        return self.last_call

    def count_call(self) -> None:
        """One more call of an agent. Raises QuotaExceeded."""
        self.used_calls += 1
        if self.used_calls > self.quotas.calls:
            raise QuotaExceeded("calls", self.quotas.calls, "calls of agents")

    def count_iteration(self) -> None:
        """One more iteration of a loop. Raises QuotaExceeded."""
        self.used_iterations += 1
        if self.used_iterations > self.quotas.iterations:
            raise QuotaExceeded("iterations", self.quotas.iterations, "iterations of loops")

    def measured(self, run: GraphRun, result: Value) -> Value:
        """What a node of `run` is about to have as its result. Raises SizeExceeded where it is too large."""
        if self.is_bounded:
            self._measure.note(result, bounded_size(result, run.value_limit))
        return result

    def hold_result(self, run: GraphRun, result: Value) -> None:
        """A node of `run` is to have this result. Raises QuotaExceeded."""
        if self.is_bounded and (size := self._measure.result(result)):
            self.fuel.weigh(size)
            self.hold(run, size)

    def hold(self, run: GraphRun, size: int) -> None:
        """Graph `run` holds `size` bytes more. Raises QuotaExceeded where that is too much for the run."""
        run.live += size
        self.live += size
        if self.live > self.quotas.live:
            raise QuotaExceeded("live", self.quotas.live, "bytes of results and open graphs at a time")

    def collect_row(self, run: GraphRun, nested: Nested, child: GraphRun, value: Value) -> None:
        """The row `child` of a node of `run` is over with these results. Raises QuotaExceeded."""
        nested.results[nested.row_of(child.id, child.map_index)] = value
        nested.children.remove(child.id)
        del self.runs[child.id]
        if self.is_bounded:
            size = self._measure.row(value)
            nested.live += size
            self.live -= child.live
            self.hold(run, size)

    def miss_row(self, run: GraphRun, nested: Nested, child: GraphRun, missing: Missing) -> None:
        """The row `child` of a node of `run` is over without a result. Raises QuotaExceeded."""
        self.forget([*child.walk(self.runs)])
        nested.children.remove(child.id)
        nested.missing[nested.row_of(child.id, child.map_index)] = missing
        if self.is_bounded:
            size = row_bytes(missing.message)
            nested.live += size
            self.hold(run, size)

    def carry_over(self, run: GraphRun) -> None:
        """Another iteration of `run` begins, and holds what its loop carries over. Raises QuotaExceeded."""
        if self.is_bounded:
            self.hold(run, carried_bytes(run) - run.live)

    def recount(self) -> None:
        """Counts again what all graphs hold, and what their maps have yet to begin."""
        self.fuel.bound = sum(run.bound_steps() for run in self.runs.values())
        if self.is_bounded:
            self._measure = Measure()
            for run in self.runs.values():
                recount(run)
            self.live = sum(run.live for run in self.runs.values())

    @property
    def is_full(self) -> bool:
        """Whether the maximum number of graphs is open, so that a node may not open a second one."""
        return len(self.runs) >= self.open_limit and self.fuel.per_event < inf

    def pause(self) -> None:
        """This event has had its steps: the remaining work continues when a timer has fired."""
        if self.fuel.pause is None:
            self.fuel.pause = self.new_call()
            self.send(self.root, "", StartTimer(self.fuel.pause, PAUSE_MS))

    def put_off(self, run: GraphRun, name: str = "") -> None:
        """Puts off an iteration of `run`, or the graphs that its node `name` is to open."""
        self.fuel.put_off[run.id, name] = None
        self.pause()

    def add_run(
        self, plan: Plan, parent: tuple[GraphRun, str] | None = None, index: int | None = None
    ) -> GraphRun:
        """A graph to run: the root, or for row `index` of the node that is `parent`. Raises QuotaExceeded."""
        self.last_run += 1
        run = self.put_run(self.last_run, plan)
        if parent is not None:
            outer, name = parent
            run.parent = (outer.id, name)
            run.depth = outer.depth + 1
            if run.depth > self.quotas.depth:
                raise QuotaExceeded("depth", self.quotas.depth, "graphs inside each other")
            own = outer.plan.computed[name].options.batch
            run.batch = own if own > 1 else outer.batch
            run.map_index = index
            end = "." if index is None else f"[{index}]."
            run.path, run.key = outer.path_of(name) + end, outer.key_of(name) + end
        if self.is_bounded:
            run.own_bytes = open_bytes(run)
            self.hold(run, run.own_bytes)
        return run

    def put_run(self, number: int, plan: Plan) -> GraphRun:
        """A graph of this number, as it is before anything has happened to it."""
        run = GraphRun(number, plan, self.clock, self.resolved)  # by name it takes twice as long
        run.rule = plan.loop
        if not self.is_bounded:
            run.value_limit = inf
        self.runs[number] = run
        return run

    def send(self, run: GraphRun, name: str, command: Starting) -> None:
        """Sends a command that will be answered."""
        self.calls[command.call] = InFlight(run.id, name, command, self.clock.now_ms)
        self.commands.append(command)

    def finish(self, command: Finish) -> None:
        """Sends the last command."""
        self.finished = True
        self.commands.append(command)

    def cancel(self, call: int | None) -> None:
        """The call is abandoned."""
        if call is not None and self.calls.pop(call, None) is not None:
            self.commands.append(CancelCall(call))

    def cancel_timers(self, nested: Nested) -> None:
        """The times at which the rows of a node end are of no use any more."""
        for timer in nested.timers:
            self.cancel(timer)
        nested.timers.clear()

    def show(self, run: GraphRun, name: str, text: str | None) -> None:
        """Sends what a node's `console` asks to show, if anything."""
        if text is not None:
            self.commands.append(Console(run.path_of(name), text))

    def discard(self, run: GraphRun, nested: Nested) -> None:
        """Stops the graphs inside a node of `run` that are not over, and forgets all of them."""
        self.cancel_timers(nested)
        self.fuel.bound -= nested.bound_steps
        doomed = [inner for child in nested.children for inner in self.runs[child].walk(self.runs)]
        self.forget(doomed)
        run.live -= nested.live
        self.live -= nested.live

    def forget(self, doomed: list[GraphRun]) -> None:
        """Stops these graphs, and takes them off."""
        self.stop(doomed)
        for inner in doomed:
            del self.runs[inner.id]
            self.live -= inner.live
            self.fuel.bound -= inner.bound_steps()

    def stop(self, doomed: list[GraphRun]) -> None:
        """Cancels what runs in these graphs and takes what waits out of the queue."""
        active = [run for run in doomed if not run.is_idle]
        idle = {run.id for run in doomed if run.is_idle and run.outcome is None}
        for run in active:
            for name in run.plan.computed:
                node = run.nodes[name]
                if node.state is NodeState.EXECUTING:
                    self._stop_node(run, name)
                else:
                    self.cancel(node.call)  # a fetch, by which a node that waits is decided
        if active:
            self.slots.drop({run.id for run in active})
        if idle:  # the end of an iteration depends on a value
            for call in [call for call, flight in self.calls.items() if flight.run in idle]:
                self.cancel(call)

    def _stop_node(self, run: GraphRun, name: str) -> None:
        node, label = run.nodes[name], run.plan.computed[name].label
        self.cancel(node.call)
        for call in (node.timer, node.deadline, node.hedge_timer, node.hedge):
            self.cancel(call)
        if node.nested is not None:
            self.cancel_timers(node.nested)
        if node.reserved:
            self.slots.close_nested(run.id, label)
        self.slots.release(label)
        run.move(name, NodeState.ABORT, self.observe)
