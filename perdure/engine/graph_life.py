"""The life of a graph: it begins, iterates, ends."""

from __future__ import annotations

from perdure.engine import loops, nodes
from perdure.engine.board import Board, Rules
from perdure.engine.known import Unknown
from perdure.engine.messages import Fetch, Finish
from perdure.engine.nested import NestedGraphs
from perdure.engine.node_life import NodeLife
from perdure.engine.state import GraphRun, NodeState, Outcome
from perdure.errors import AgentError, FunctionError
from perdure.graph.values import UNDEFINED


class GraphLife:
    """Begins and ends all graphs of a run: the root, and those inside nodes."""

    def __init__(self, board: Board, rules: Rules) -> None:
        self.board = board
        self.rules = rules
        self._nested = NestedGraphs(board, rules, self.begin)
        self.nodes = NodeLife(board, rules, self._nested, self._idle)

    def begin(self, run: GraphRun) -> None:
        """Gives static nodes their values and queues what can run."""
        if loops.is_endless(run):
            self._end(run, Outcome(failure="loop.while is no reference, so the loop could never end"))
            return
        try:
            self._inject(run)
            missing = loops.missing_statics(run)
            ran = not missing and self._queue_ready(run)
        except (FunctionError, AgentError) as error:
            self._end(run, Outcome(failure=str(error)))
            return
        if missing:
            self.board.stop([run])  # what was asked for to decide about its nodes
            text = "Static node(s) must have value. Set value, injectValue, or set update."
            self._end(run, Outcome(failure=f"{text} Affected nodeIds: {', '.join(missing)}"))
        elif not ran:
            self._nothing_ran(run)
        elif not run.active:
            self._iterate(run)

    def _inject(self, run: GraphRun) -> None:
        """Gives static nodes their results; nothing is queued before all have theirs."""
        for name in run.plan.statics:
            if loops.set_result(run, name):
                self.board.moved(run, name)
                self.nodes.notify(run, name, queue=False)

    def _queue_ready(self, run: GraphRun) -> bool:
        """Queues what can run; False when nothing can."""
        run.starting = True
        try:
            return any([self.nodes.queue_if_ready(run, name) for name in run.plan.computed]) or run.active > 0
        finally:
            run.starting = False

    def _idle(self, run: GraphRun) -> None:
        """Nothing of `run` is active any more; nothing was, where the values fetched first said so."""
        still = (NodeState.WAITING, NodeState.SKIPPED)
        if all(run.nodes[name].state in still for name in run.plan.computed):
            self._nothing_ran(run)
        else:
            self._iterate(run)

    def _nothing_ran(self, run: GraphRun) -> None:
        """No node could begin: a graph ends with nothing at all, a later iteration as the last one."""
        if run.iteration:
            self._over(run)
        else:
            self._end(run, Outcome(value={}), nothing_ran=True)

    def _iterate(self, run: GraphRun) -> None:
        """Nothing of `run` is active any more: another iteration, or its end."""
        force = self.rules.options.force_loop and run.parent is None  # GraphAI does not hand it inwards
        try:
            while loops.advance(run, force):
                self.board.count_iteration()
                self._inject(run)
                self._show_statics(run)
                if not self._queue_ready(run):
                    break
                if run.active:
                    return
        except Unknown as unknown:
            self.nodes.fetches.send(run, "", unknown, "iterate")
            return
        except (FunctionError, AgentError) as error:
            self._end(run, Outcome(failure=str(error)))
            return
        self._over(run)

    def _over(self, run: GraphRun) -> None:
        failure = next(iter(run.errors().values()), None)
        value = UNDEFINED if run.parent is None else run.results(run.want_all)
        self._end(run, Outcome(value, failure))

    def fetched(self, call: int, outcome: Outcome) -> None:
        """What a Fetch asked for is here, or will never be."""
        found = self.board.calls.pop(call, None)
        run = None if found is None else self.board.runs.get(found.run)
        if found is None or run is None or not isinstance(found.command, Fetch):
            return
        fetch, fetches = found.command, self.nodes.fetches
        if outcome.failure is None:
            fetches.learn(run, found.node, fetch, outcome.value)
        if fetch.then == "iterate":
            if outcome.failure is None:
                self._iterate(run)
            else:
                self._end(run, Outcome(failure=outcome.failure))
        elif outcome.failure is None:
            fetches.resume(run, found.node, fetch)
        else:
            fetches.give_up(run, found.node, fetch, outcome.failure)
        fetches.over()

    def _show_statics(self, run: GraphRun) -> None:
        for name, static in run.plan.statics.items():
            if static.console is not None:
                self.board.show(run, name, nodes.console_after(run, static.console, run.nodes[name].result))

    def _end(self, run: GraphRun, outcome: Outcome, nothing_ran: bool = False) -> None:
        run.outcome = outcome
        if run.parent is not None:
            self._nested.over(run, outcome)
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
