"""The life of a graph: it begins, iterates, ends."""

from __future__ import annotations

from typing import Final

from perdure.engine import loops, node_semantics
from perdure.engine.board import Board, Rules
from perdure.engine.fuel import graph_steps
from perdure.engine.lifecycle import late_rows
from perdure.engine.lifecycle.events import GraphEvents
from perdure.engine.lifecycle.nodes import NodeLifecycle
from perdure.engine.lifecycle.value_requests import ValueRequests
from perdure.engine.maps.forecast import inner_steps
from perdure.engine.maps.opened_graphs import Outcome
from perdure.engine.messages import Finish, Quotas
from perdure.engine.resolved_values import ValueNeeded
from perdure.engine.state import GraphRun, NodeState
from perdure.errors import AgentError, FunctionError, QuotaExceeded
from perdure.graph.fields import PERSON_AGENTS
from perdure.graph.nested import every_node
from perdure.graph.values import UNDEFINED

_NOT_BEGUN: Final = (NodeState.WAITING, NodeState.SKIPPED)


class GraphLifecycle:
    """Begins and ends all graphs of a run; `events` hear of the end of each that is inside a node."""

    def __init__(
        self,
        board: Board,
        rules: Rules,
        node_lifecycle: NodeLifecycle,
        fetches: ValueRequests,
        events: GraphEvents,
    ) -> None:
        self.board = board
        self.rules = rules
        self._nodes = node_lifecycle
        self._fetches = fetches
        self._events = events

    def begin(self, run: GraphRun) -> None:
        """Gives static nodes their values and queues what can run."""
        if loops.is_endless(run) and not self._ends_otherwise(run):
            self.end(run, Outcome(failure="loop.while is not a reference, so the loop could never end"))
            return
        if self.rules.gates.foresees and run.rule is not None:
            self._foresee(run)
        self.board.fuel.left -= graph_steps(len(run.nodes))
        try:
            self._inject(run)
            missing = loops.missing_statics(run)
            ran = not missing and self._nodes.queue_ready(run)
        except (FunctionError, AgentError) as error:
            self.end(run, Outcome(failure=str(error)))
            return
        if missing:
            self.board.stop([run])  # what was asked for to decide about its nodes
            text = "Static node(s) must have value. Set value, injectValue, or set update."
            self.end(run, Outcome(failure=f"{text} Affected nodeIds: {', '.join(missing)}"))
        elif not ran:
            self._nothing_ran(run)
        elif run.is_idle:
            self.iterate(run)

    def _ends_otherwise(self, run: GraphRun) -> bool:
        """Whether a person who is asked in each pass, or a quota of the caller's, ends a loop without an end.

        Runs of earlier versions refuse such a loop (`foresees`).
        """
        asks = any(node.get("agent") in PERSON_AGENTS for _, node in every_node(run.plan.document))
        return self.rules.gates.foresees and (asks or self.rules.options.quotas != Quotas())

    def _foresee(self, run: GraphRun) -> None:
        """Raises QuotaExceeded for a loop that has more passes than the quotas allow."""
        passes, limit = loops.certain_passes(run), self.board.quotas.iterations
        if self.board.used_iterations + passes > limit:
            raise QuotaExceeded("iterations", limit, "iterations of loops")
        steps = 1 + len(run.nodes)
        if passes and self.rules.gates.foresees_rows:
            steps += inner_steps(run.plan.document, {}, self.rules.own)
        self.board.fuel.check(passes * steps)

    def _inject(self, run: GraphRun) -> None:
        """Gives static nodes their results; nothing is queued before all have theirs."""
        dependents, observe = run.plan.dependents, self.board.observe
        for name in run.plan.statics:
            if loops.set_result(run, name, observe) and name in dependents:
                self._nodes.notify(run, name, queue=False)

    def proceed(self, run: GraphRun) -> None:
        """Nothing of `run` is active any more; nothing was, where the values fetched first said so."""
        nodes = run.nodes
        for name in run.plan.computed:
            if nodes[name].state not in _NOT_BEGUN:
                self.iterate(run)
                return
        self._nothing_ran(run)

    def _nothing_ran(self, run: GraphRun) -> None:
        """No node could begin: a graph ends with nothing at all, a later iteration as the last one."""
        if run.iteration:
            self._over(run)
        else:
            self.end(run, Outcome(value={}), nothing_ran=True)

    def iterate(self, run: GraphRun) -> None:
        """Another iteration of a graph in which nothing is under way, or its end."""
        force = self.rules.options.force_loop and run.parent is None  # GraphAI does not hand it inwards
        try:
            while loops.advance(run, force):
                self.board.fuel.left -= 1 + len(run.nodes)
                self.board.count_iteration()
                self.board.carry_over(run)
                self._inject(run)
                self._show_statics(run)
                if not self._nodes.queue_ready(run):
                    break
                if not run.is_idle:
                    return
                if self.board.fuel.left <= 0:
                    self.board.put_off(run)
                    return
        except ValueNeeded as unknown:
            self._fetches.send(run, "", unknown, "iterate")
            return
        except (FunctionError, AgentError) as error:
            self.end(run, Outcome(failure=str(error)))
            return
        self._over(run)

    def _over(self, run: GraphRun) -> None:
        failure = next(iter(run.errors().values()), None)
        value = UNDEFINED if run.parent is None else run.results(run.want_all)
        self.end(run, Outcome(value, failure))

    def _show_statics(self, run: GraphRun) -> None:
        for name, static in run.plan.statics.items():
            if static.console is not None:
                lines = node_semantics.console_after(run, static.console, run.nodes[name].result)
                self.board.show(run, name, lines)

    def end(self, run: GraphRun, outcome: Outcome, nothing_ran: bool = False) -> None:
        """A graph is over, and with the root the whole run; `nothing_ran` of what it began with."""
        run.outcome = outcome
        if run.late_rows:
            late_rows.drop(self.board, run)
        if run.parent is not None:
            self._events.ended(run)
        elif nothing_ran:
            self.board.finish(Finish(all={}, results={}))
        else:
            self.finish(run, outcome.failure)

    def finish(self, run: GraphRun, failure: str | None, aborted: bool = False) -> None:
        """Ends the whole run, of which `run` is the root."""
        finish = Finish(
            all=run.results(True),
            results=run.results(False),
            errors=run.errors(),
            failure=failure,
            aborted=aborted,
        )
        self.board.finish(finish)
