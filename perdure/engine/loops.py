"""Iterations: what static nodes take over from the pass before, and whether there is another."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.engine.state import GraphRun, NodeState, Observer
from perdure.graph.javascript import to_number
from perdure.graph.values import UNDEFINED, Value, js_truthy, truthy


def advance(run: GraphRun, force: bool) -> bool:
    """Ends an iteration; True when another begins, its nodes fresh and its static values set.

    `force` lets the loop continue after errors. Static nodes are updated after the last pass too.
    May raise FunctionError.
    """
    if run.rule is None or (not force and run.errors()):
        return False
    previous = run.results(True, hidden=True)
    updates = _updates(run, previous)  # before anything changes: it may raise ValueNeeded
    _foresee_condition(run, previous, updates)
    _set_values(run, updates)
    for name in run.plan.statics:
        set_result(run, name)
    if not _continues(run):
        return False
    run.iteration += 1
    run.renew()
    _set_values(run, updates)
    return True


def is_endless(run: GraphRun) -> bool:
    """Whether the loop's condition is a literal: GraphAI would never stop."""
    literal = run.plan.loop_while is None
    return literal and run.rule is not None and run.rule.get("while", UNDEFINED) is not UNDEFINED


def certain_passes(run: GraphRun) -> float:
    """How many passes follow the one that begins, unless a node fails.

    0 where a condition may end the loop: a pass in which no node begins is the last.
    """
    count = to_number((run.rule or {}).get("count", UNDEFINED))
    if any(plan.condition is not None or plan.unless is not None for plan in run.plan.computed.values()):
        return 0
    return count - run.iteration - 1 if count > run.iteration else 0


def update(run: GraphRun, previous: Mapping[str, Value]) -> None:
    """Gives every static node with `update` its value from one snapshot of results."""
    _set_values(run, _updates(run, previous))


def _updates(run: GraphRun, previous: Mapping[str, Value]) -> dict[str, Value]:
    """The next values of the static nodes with `update`. May raise ValueNeeded or FunctionError."""
    updates: dict[str, Value] = {}
    for name, static in run.plan.statics.items():
        source = static.update
        if source is not None:
            value = source.read(previous.get(source.node, UNDEFINED))
            updates[name] = run.resolved.resolve_shallow(value)
    return updates


def _set_values(run: GraphRun, updates: Mapping[str, Value]) -> None:
    for name, value in updates.items():
        run.nodes[name].value = value


def _foresee_condition(run: GraphRun, previous: Mapping[str, Value], updates: Mapping[str, Value]) -> None:
    """Raises ValueNeeded for a value that `loop.while` will depend on once the nodes are updated."""
    condition = run.plan.loop_while
    if condition is not None:
        value = updates.get(condition.node, UNDEFINED)
        if value is UNDEFINED:
            value = previous.get(condition.node, UNDEFINED)
        run.resolved.resolve_shallow(condition.read(value))


def set_result(run: GraphRun, name: str, observe: Observer | None = None) -> bool:
    """Makes a static node's value its result, where it has one."""
    node = run.nodes[name]
    if node.value is UNDEFINED:
        return False
    node.result = node.value
    run.move(name, NodeState.INJECTED, observe)
    return True


def missing_statics(run: GraphRun) -> list[str]:
    """Static nodes without a value that nothing will ever give one."""
    return [name for name in run.plan.required if run.nodes[name].result is UNDEFINED]


def _continues(run: GraphRun) -> bool:
    rule = run.rule or {}
    count = rule.get("count", UNDEFINED)
    # JavaScript's loose `<`: a value that is not a number is never greater
    if count is not UNDEFINED and not run.iteration + 1 < to_number(count):
        return False
    if not js_truthy(rule.get("while", UNDEFINED)) or run.plan.loop_while is None:
        return True
    condition = run.plan.loop_while
    value = run.results(True, hidden=True).get(condition.node, UNDEFINED)
    return truthy(run.resolved.resolve_shallow(condition.read(value)))
