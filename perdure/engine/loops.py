"""Iterations: what static nodes take over from the pass before, and whether there is another."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.engine.state import GraphRun, NodeState
from perdure.graph.fields import LOOP_INDEX
from perdure.graph.javascript import to_number
from perdure.graph.reference import Reference
from perdure.graph.values import UNDEFINED, Value, js_truthy, truthy


def advance(run: GraphRun, force: bool) -> bool:
    """Ends an iteration; True when another begins, its nodes fresh and its static values set.

    `force` lets the loop continue after errors. Static nodes are updated after the last pass too.
    May raise FunctionError.
    """
    if run.rule is None or (not force and run.errors()):
        return False
    previous = run.results(True, hidden=True)
    _foresee(run, previous)
    update(run, previous)
    for name in run.plan.statics:
        set_result(run, name)
    if not _continues(run):
        return False
    run.iteration += 1
    run.renew()
    update(run, previous)
    return True


def is_endless(run: GraphRun) -> bool:
    """Whether the loop's condition is a literal: GraphAI would never stop."""
    literal = run.plan.loop_while is None
    return literal and run.rule is not None and run.rule.get("while", UNDEFINED) is not UNDEFINED


def update(run: GraphRun, previous: Mapping[str, Value]) -> None:
    """Gives every static node with `update` its value from one snapshot of results."""
    for name, static in run.plan.statics.items():
        if static.update is not None:
            run.nodes[name].value = _updated(run, static.update, previous)


def _updated(run: GraphRun, source: Reference, previous: Mapping[str, Value]) -> Value:
    return run.resolved.resolve_shallow(source.read(previous.get(source.node, UNDEFINED)))


def _foresee(run: GraphRun, previous: Mapping[str, Value]) -> None:
    """Raises ValueNeeded, before anything changes, for a value that the end of an iteration depends on."""
    updates = {name: static.update for name, static in run.plan.statics.items() if static.update is not None}
    values = {name: _updated(run, source, previous) for name, source in updates.items()}
    condition = run.plan.loop_while
    if condition is not None:
        value = values.get(condition.node, UNDEFINED)
        if value is UNDEFINED:
            value = previous.get(condition.node, UNDEFINED)
        run.resolved.resolve_shallow(condition.read(value))


def set_result(run: GraphRun, name: str) -> bool:
    """Makes a static node's value its result, where it has one."""
    node = run.nodes[name]
    if node.value is UNDEFINED:
        return False
    run.move(name, NodeState.INJECTED)
    node.result = node.value
    return True


def missing_statics(run: GraphRun) -> list[str]:
    """Static nodes without a value that nothing will ever give one."""
    return [
        name
        for name, static in run.plan.statics.items()
        if name != LOOP_INDEX and static.update is None and run.nodes[name].result is UNDEFINED
    ]


def _continues(run: GraphRun) -> bool:
    rule = run.rule or {}
    count = rule.get("count", UNDEFINED)
    # JavaScript's loose `<`: what is no number is never greater
    if count is not UNDEFINED and not run.iteration + 1 < to_number(count):
        return False
    if not js_truthy(rule.get("while", UNDEFINED)) or run.plan.loop_while is None:
        return True
    condition = run.plan.loop_while
    value = run.results(True, hidden=True).get(condition.node, UNDEFINED)
    return truthy(run.resolved.resolve_shallow(condition.read(value)))
