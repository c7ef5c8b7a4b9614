"""The scheduler: events in, commands out; nothing in between waits, reads a clock or does I/O.

Theory of operation
    `start` begins the root graph; `handle` takes one event. Both return the commands that follow,
    in order. A node is queued when it waits for nothing, started when a slot is free (slots.py),
    and over when its call is answered and no retry is left (lifecycle/nodes.py). A graph is over when
    none of its nodes is queued or running and its loop has ended (lifecycle/graphs.py). A node of a
    nested graph or map has graphs inside (lifecycle/nested.py); when they are over it settles, by a turn
    of its own, so that shells decide in which order. What a node means is in node_semantics.py, loops in
    loops.py, the table of states in state.py; all that changes is on one board (board.py).

The same events give the same commands: order is document order, and sets are for membership only.
Between two events a run can be written down and taken up again elsewhere (snapshot.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from math import inf
from typing import assert_never

from perdure.engine import loops
from perdure.engine.board import Board, Rules
from perdure.engine.fuel import Fuel, open_graph_limit
from perdure.engine.granting.authority import Authority
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.engine.lifecycle.call_answers import CallAnswers
from perdure.engine.lifecycle.events import GraphEvents
from perdure.engine.lifecycle.graphs import GraphLifecycle
from perdure.engine.lifecycle.nested import NestedGraphs
from perdure.engine.lifecycle.nodes import NodeLifecycle
from perdure.engine.lifecycle.value_arrivals import ValueArrivals
from perdure.engine.lifecycle.value_requests import ValueRequests
from perdure.engine.maps.opened_graphs import Outcome
from perdure.engine.maps.version_gates import Gates
from perdure.engine.messages import (
    Abort,
    AgentCompleted,
    AgentFailed,
    Command,
    Event,
    Fetch,
    Fetched,
    RunOptions,
    Settled,
    TimerFired,
)
from perdure.engine.plan import Plan
from perdure.engine.plan_cache import checked_plan
from perdure.engine.slots import Slots
from perdure.engine.state import GraphRun, NodeState, Observer
from perdure.engine.steering.apply import Steersman
from perdure.engine.steering.decisions import Survey
from perdure.engine.steering.request import Steering
from perdure.engine.steering.survey import survey
from perdure.errors import UsageError
from perdure.graph.values import Value


class Scheduler:
    """Runs one graph. `agents` are the names that may be called besides the engine's own, None for any.

    One that is named like an agent of the engine takes its place, as in GraphAI.

    `observe` is called for every change of a node's state. Raises GraphError for a graph that GraphAI
    would refuse, UsageError for an inject into a node that is not static.
    """

    def __init__(
        self,
        document: Mapping[str, Value],
        options: RunOptions | None = None,
        *,
        agents: Collection[str] | None = None,
        observe: Observer | None = None,
        event_steps: float = inf,
        gates: Gates | None = None,
        authority: Authority | None = None,
    ) -> None:
        rules = rules_of(options or RunOptions(), agents, event_steps, gates, authority)
        plan = checked_plan(document, rules.options.graphs, rules.agents, rules.is_bounded)
        board = new_board(plan, rules, observe)
        root = board.add_run(plan)
        _prepare(root, rules.options)
        rules.authority.enter(root, board.runs)
        self._play(board, rules)

    @classmethod
    def resumed(cls, board: Board, rules: Rules) -> Scheduler:
        """A scheduler that continues a board (perdure.engine.snapshot)."""
        scheduler = cls.__new__(cls)
        scheduler._play(board, rules)
        return scheduler

    def _play(self, board: Board, rules: Rules) -> None:
        self.board = board
        self.rules = rules
        fetches, events = ValueRequests(board), GraphEvents()
        self.nested = NestedGraphs(board, rules, events)
        self.nodes = NodeLifecycle(board, rules, self.nested, fetches, events)
        self.answers = CallAnswers(board, self.nodes, self.nested)
        self.graphs = GraphLifecycle(board, rules, self.nodes, fetches, events)
        self.values = ValueArrivals(board, fetches, self.nodes, self.graphs, events)
        self._steersman = Steersman(board, rules, self.nodes, self.graphs, self.values, fetches)
        events.opened, events.idle, events.ended = self.graphs.begin, self.graphs.proceed, self.nested.over

    @property
    def root(self) -> GraphRun:
        """The graph that the run is of."""
        return self.board.root

    @property
    def finished(self) -> bool:
        """Whether Finish was sent; every later event is ignored."""
        return self.board.finished

    def start(self, now_ms: int) -> list[Command]:
        """Begins the run; `now_ms` is the time in milliseconds since the epoch."""
        self.board.clock.now_ms = now_ms
        self.board.fuel.refill()
        self.graphs.begin(self.root)
        return self._commands()

    def handle(self, event: Event, now_ms: int) -> list[Command]:
        """The commands that follow from one event; none once the run has finished."""
        board = self.board
        board.clock.now_ms = now_ms
        if board.finished:
            return []
        board.fuel.refill()
        match event:
            case AgentCompleted():
                self.answers.answer(event.call, Outcome(event.result))
            case Fetched(call, value):
                self.values.arrived(call, Outcome(value=value))
            case AgentFailed(call, message) if self._is_fetch(call):
                self.values.arrived(call, Outcome(failure=message))
            case AgentFailed(call, message, state, final, refused):
                outcome = Outcome(failure=message, refused=refused)
                self.answers.answer(call, outcome, NodeState(state), final)
            case Settled(call):
                self.answers.finish_turn(call)
            case TimerFired(call) if call == board.fuel.pause:
                self._end_pause(call)
            case TimerFired(call):
                self.answers.time_out(call)
            case Abort():
                self._abort()
            case _:
                assert_never(event)
        return self._commands()

    def survey(self, request: Steering) -> Survey:
        """What a change means for each node of the run as it is. Raises GraphError, UsageError."""
        return survey(self.board, self.rules, request)

    def steer(self, survey: Survey, now_ms: int) -> list[Command]:
        """Changes the run between two events, as a survey of it says; the commands that follow.

        Raises UsageError where it refuses a node, and then has changed nothing.
        """
        survey.check()
        self.board.clock.now_ms = now_ms
        self.board.fuel.refill()
        self._steersman.apply(survey)
        return self._commands()

    def _end_pause(self, call: int) -> None:
        """Continues what was put off: iterations and rows first, then nodes that wait in the queue."""
        board, fuel = self.board, self.board.fuel
        del board.calls[call]
        fuel.pause, put_off, fuel.put_off = None, fuel.put_off, {}
        for number, name in put_off:
            run = board.runs.get(number)
            if run is None or run.outcome is not None:
                continue
            if name:
                self.nested.open_more(run, name)
            elif run.is_idle:
                self.graphs.iterate(run)
        self.nodes.start_queued()

    def _is_fetch(self, call: int) -> bool:
        flight = self.board.calls.get(call)
        return flight is not None and isinstance(flight.command, Fetch)

    def _commands(self) -> list[Command]:
        """The commands since the last time, in order."""
        if self.nodes.put_off:
            self.nodes.catch_up()
        board = self.board
        commands, board.commands = board.commands, []
        return commands

    def _abort(self) -> None:
        """GraphAI's abort: what runs is cancelled, the rest stays as it is."""
        self.board.stop(list(self.root.walk(self.board.runs)))
        failure = next(iter(self.root.errors().values()), None)
        self.graphs.finish(self.root, failure, aborted=True)


def rules_of(
    options: RunOptions,
    agents: Collection[str] | None,
    event_steps: float = inf,
    gates: Gates | None = None,
    authority: Authority | None = None,
) -> Rules:
    """What holds for a run whose shell can call `agents`, None for any; no `authority` restricts nothing."""
    names = None if agents is None else frozenset({*agents, *GRAPH_AGENTS, *options.bypass_agents})
    own = frozenset(GRAPH_AGENTS).difference(agents or ())
    authority = replace(authority or Authority(), own=own)
    return Rules(options, names, own, event_steps, gates or Gates(), authority)


def new_board(plan: Plan, rules: Rules, observe: Observer | None) -> Board:
    """An empty board for a run of `plan`."""
    quotas = rules.options.quotas
    fuel = Fuel(rules.event_steps, quotas.steps, rules.event_steps, weighs=rules.gates.weighs)
    slots = Slots(plan.concurrency, plan.labels)
    limit = open_graph_limit(plan.concurrency, rules.gates.foresees)
    is_bounded = rules.is_bounded
    return Board(slots, observe, quotas=quotas, is_bounded=is_bounded, fuel=fuel, open_limit=limit)


def _prepare(run: GraphRun, options: RunOptions) -> None:
    """Gives the root what the caller of the run wants it to begin with."""
    for name, value in options.injects:
        if name not in run.plan.statics:
            raise UsageError(f"injectValue with Invalid nodeId, {name}")
        run.values[name] = value
    run.renew()
    if options.loop_count is not None:
        run.rule = {"count": options.loop_count}
    if options.previous_results is not None:
        loops.update(run, options.previous_results)
