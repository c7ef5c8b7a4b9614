"""A change of a running graph, applied between two events: what a survey has decided, and its consequences.

Theory of operation
    First what is not to continue is cancelled, while all graphs are as they were. Then each graph gets its
    plan and its nodes. Then slots, and the counts of graphs, are made again from the states of the nodes, as
    when a snapshot is restored. Only then is anything queued or started: it happens to a run that is whole.

    Cancelled calls have freed slots, so what was queued before is started, too. A graph in which nothing is
    under way any more iterates or ends, as after any event.
"""

from __future__ import annotations

from collections.abc import Sequence

from perdure.engine import loops, node_semantics
from perdure.engine.board import Board, Rules
from perdure.engine.lifecycle import late_rows
from perdure.engine.lifecycle.graphs import GraphLifecycle
from perdure.engine.lifecycle.nodes import NodeLifecycle
from perdure.engine.lifecycle.value_arrivals import ValueArrivals
from perdure.engine.lifecycle.value_requests import ValueRequests
from perdure.engine.messages import Fetch, RunAgent
from perdure.engine.resolved_values import ValueNeeded
from perdure.engine.slots import Slots, Ticket
from perdure.engine.state import ACTIVE, GraphRun, NodeRun, NodeState
from perdure.engine.steering.decisions import GraphChange, Survey
from perdure.errors import AgentError, FunctionError

_HAVE_RESULT = (NodeState.COMPLETED, NodeState.INJECTED)


class Steersman:
    """Applies changes to the run on a board."""

    def __init__(
        self,
        board: Board,
        rules: Rules,
        nodes: NodeLifecycle,
        graphs: GraphLifecycle,
        values: ValueArrivals,
        fetches: ValueRequests,
    ) -> None:
        self._board = board
        self._rules = rules
        self._nodes = nodes
        self._graphs = graphs
        self._values = values
        self._fetches = fetches

    def apply(self, survey: Survey) -> None:
        """Makes the run what the survey says, and lets it continue."""
        board, changes = self._board, survey.graphs
        for change in changes:
            self._stop(change)
        open_changes = [change for change in changes if change.run.id in board.runs]
        for change in open_changes:
            self._replace(change)
        board.paused = survey.paused
        self._recount()
        self._begin(open_changes)

    # What is not to continue

    def _stop(self, change: GraphChange) -> None:
        board, run = self._board, change.run
        if run.id not in board.runs:
            return
        for name in change.replaced():
            node = run.nodes[name]
            if node.nested is not None:
                board.discard(run, node.nested)
            for call in (node.call, node.timer, node.deadline, node.hedge, node.hedge_timer):
                board.cancel(call)
            board.fuel.put_off.pop((run.id, name), None)
            node.error = None  # who remembers the failure sees that it no longer is one
        before, after = run.plan.document["nodes"], change.plan.document["nodes"]
        late_rows.drop(board, run, [name for name in run.late_rows if before[name] != after.get(name)])
        for call, flight in list(board.calls.items()):
            if (
                flight.run == run.id
                and isinstance(flight.command, Fetch)
                and flight.command.then == "iterate"
            ):
                board.cancel(call)

    # Plans and nodes

    def _replace(self, change: GraphChange) -> None:
        run, plan = change.run, change.plan
        for name, rows in change.rows.items():
            nested = run.nodes[name].nested
            assert nested is not None
            nested.plan = rows
        self._set_plan(run, change)
        kept = run.nodes
        initial = run.values
        run.nodes = {}
        for name, static in plan.statics.items():
            value = change.values.get(name, initial.get(name, static.value))
            is_kept = name in kept and name not in change.values
            run.nodes[name] = kept[name] if is_kept else NodeRun(value=value)
        for name, computed in plan.computed.items():
            is_kept = name in kept and name not in change.fresh
            run.nodes[name] = kept[name] if is_kept else NodeRun(pending=computed.needs)
        for name, value in change.results.items():
            run.nodes[name] = NodeRun(state=NodeState.COMPLETED, result=value)
        for name in change.skipped:
            run.nodes[name] = NodeRun(state=NodeState.SKIPPED, skip=True)
        for name in change.gone:
            run.values.pop(name, None)

    def _set_plan(self, run: GraphRun, change: GraphChange) -> None:
        plan = change.plan
        if run.parent is None:
            for name, value in change.values.items():
                if name in run.values or value is not plan.statics[name].value:
                    run.values[name] = value
        else:
            number, name = run.parent
            nested = self._board.runs[number].nodes[name].nested
            if nested is not None and run.map_index is None:
                nested.plan = plan
        if run.rule is run.plan.loop:
            run.rule = plan.loop
        run.plan = plan

    def _recount(self) -> None:
        """Slots and counts follow from the states of the nodes."""
        board = self._board
        tickets = board.slots.tickets()
        root = board.root.plan
        slots = board.slots = Slots(root.concurrency, root.labels)
        for run in board.runs.values():
            self._rules.authority.enter(run, board.runs)
            run.active = run.holds = 0
            for name, node in run.nodes.items():
                run.active += node.state in ACTIVE
                run.holds += node.state is NodeState.WAITING and node.call is not None
                if node.state is NodeState.EXECUTING:
                    slots.hold(run.id, run.plan.computed[name].label, node.reserved)
        self._reserve()
        for ticket in tickets:
            self._requeue(ticket)
        board.recount()

    def _reserve(self) -> None:
        """Calls of models that are on their way draw on a new budget, as after a restored snapshot."""
        for flight in self._board.calls.values():
            command, run = flight.command, self._board.runs[flight.run]
            if not isinstance(command, RunAgent) or not run.is_guarded:
                continue
            if self._rules.authority.use_of(command.agent)[0]:
                self._nodes.approvals.budgets.hold(run, command)

    def _requeue(self, ticket: Ticket) -> None:
        run = self._board.runs.get(ticket.run)
        node = None if run is None else run.nodes.get(ticket.node)
        if run is None or node is None or node.state is not NodeState.QUEUED:
            return
        self._board.queue(run, ticket.node)

    # What follows

    def _begin(self, changes: Sequence[GraphChange]) -> None:
        runs = [change.run for change in changes]
        for run in runs:
            run.holds += 1
        for change in changes:
            self._inject(change)
        fresh = [
            (change.run, name) for change in changes for name in change.plan.computed if name in change.fresh
        ]
        for run, name in fresh:
            self._wait_again(run, name)
        for run, name in fresh:
            self._queue(run, name)
        self._nodes.start_queued()
        for run in reversed(runs):
            run.holds -= 1
            if self._board.runs.get(run.id) is run and self._is_over(run):
                self._graphs.proceed(run)

    def _is_over(self, run: GraphRun) -> bool:
        return run.is_idle and run.outcome is None and (run.id, "") not in self._board.fuel.put_off

    def _inject(self, change: GraphChange) -> None:
        """Static nodes have their values; those who watch hear of what a person has set or skipped."""
        run, observe = change.run, self._board.observe
        for name in change.values:
            loops.set_result(run, name, observe)
        for name in (*change.results, *change.skipped):
            if observe is not None:
                observe(run, name)

    def _wait_again(self, run: GraphRun, name: str) -> None:
        """The node waits, and knows of the results that are there."""
        observe = self._board.observe
        if observe is not None:
            observe(run, name)
        plan = run.plan.computed[name]
        sources = [source for source in run.nodes if source in plan.needs]
        try:
            for source in sources:
                if run.nodes[source].state in _HAVE_RESULT:
                    node_semantics.forget(run, name, source)
        except ValueNeeded as unknown:
            self._fetches.wait(run, name, unknown)
        except (FunctionError, AgentError) as error:
            self._values.fail_waiting(run, name, str(error))

    def _queue(self, run: GraphRun, name: str) -> None:
        try:
            self._nodes.queue_if_ready(run, name)
        except (FunctionError, AgentError) as error:
            self._values.fail_waiting(run, name, str(error))
