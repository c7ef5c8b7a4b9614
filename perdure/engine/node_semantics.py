"""What one node means: when it is ready, what its agent is called with, what its result is.

Everything here reads a GraphRun and decides; nothing is queued, started or reported.
Expressions may raise FunctionError (bad JSON in jsonParse); the scheduler makes it the node's failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Final, cast

from perdure.engine.board import Rules
from perdure.engine.fuel import Fuel
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.engine.messages import NodeOptions, RunAgent
from perdure.engine.plan import ComputedPlan, spread
from perdure.engine.state import AsOf, GraphRun
from perdure.errors import AgentError, SizeExceeded
from perdure.graph import evaluate
from perdure.graph.deferred import Composite, Deferred, Merged, described
from perdure.graph.javascript import to_string
from perdure.graph.reference import Reference
from perdure.graph.sizes import MAX_VALUE_BYTES, bounded, indented, size_of
from perdure.graph.template import Scope, Template, clean
from perdure.graph.template_compiler import compile_output
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, is_object, js_truthy, truthy

_NONE: Final = frozenset[str]()

_SIZED: Final = frozenset({list, dict, *Deferred.__subclasses__()})
"""The types of values that are measured, in addition to strings."""


@dataclass(frozen=True, slots=True)
class Self:
    """The scope of `output`: a node's own result, whatever the reference names, and the time."""

    value: Value
    now_ms: int
    loop: int = 0

    def result(self, node: str) -> Value:
        """The node's own result."""
        del node
        return self.value


def read(run: GraphRun, reference: Reference) -> Value:
    """The value a reference has now, as far as it is here."""
    return reference.read(run.result(reference.node))


def _members(template: Template, scope: Scope) -> dict[str, Value]:
    """What a template that was compiled from a mapping renders."""
    return cast("dict[str, Value]", template.render(scope))


def forget(run: GraphRun, waiter: str, source: str) -> bool:
    """`waiter` learns that `source` has a result; True when it waits for nothing any more.

    With anyInput, one defined value is enough.
    """
    plan, node = run.plan.computed[waiter], run.nodes[waiter]
    if plan.probe is None:
        pending = node.pending
        if isinstance(pending, set):
            pending.discard(source)
        elif source in pending:  # all fresh nodes share this set, so it stays as it is
            node.pending = _NONE if len(pending) == 1 else {*pending} - {source}
    elif (node.pending or plan.probe_may_fail) and any(
        run.resolved.resolve_shallow(value) is not UNDEFINED for value in _flat(_members(plan.probe, run))
    ):
        node.pending = _NONE
    return not node.pending


def _flat(inputs: dict[str, Value]) -> Iterator[Value]:
    for value in inputs.values():
        if is_list(value):
            yield from value
        else:
            yield value


def is_skipped(run: GraphRun, plan: ComputedPlan) -> bool:
    """Whether the agent is skipped, by the present values of `if` and `unless`."""
    shallow = run.resolved.resolve_shallow
    return (plan.condition is not None and not truthy(shallow(read(run, plan.condition)))) or (
        plan.unless is not None and truthy(shallow(read(run, plan.unless)))
    )


def inputs_of(
    run: GraphRun, plan: ComputedPlan, fuel: Fuel, by_value: float = inf, approved_ms: int | None = None
) -> dict[str, Value]:
    """The named inputs as they are now; with anyInput, without what is null or undefined.

    For a call that people have approved, `approved_ms` is its time. Raises SizeExceeded for more bytes than a
    value may have, or than `by_value` without the store.
    """
    rendered: Any = plan.inputs.render(run if approved_ms is None else AsOf(run, approved_ms))
    if plan.is_measured and run.value_limit == MAX_VALUE_BYTES:
        fuel.weigh(_checked_size(rendered, by_value))
    if plan.probe is None:
        return rendered
    return clean({key: run.resolved.resolve_shallow(value) for key, value in rendered.items()})


def _checked_size(inputs: dict[str, Value], by_value: float) -> int:
    """Bytes of the inputs, without strings. Raises SizeExceeded where all are more than they may be."""
    total = strings = 0
    for value in inputs.values():
        kind = value.__class__
        if kind is str:
            strings += len(value)
        elif kind in _SIZED:
            total += size_of(value)
    if total + strings > MAX_VALUE_BYTES:
        raise SizeExceeded(total + strings, MAX_VALUE_BYTES)
    if total + strings > by_value:
        here = sum(size_of(value, stored=False) for value in inputs.values())
        if here > by_value:
            raise SizeExceeded(here, int(by_value))
    return total


def params_of(run: GraphRun, plan: ComputedPlan, inputs: dict[str, Value]) -> Mapping[str, Value]:
    """The node's params under those that `inputs.params` gave; its own, not a copy, where it gave none."""
    from_inputs = inputs.get("params")
    if from_inputs is None:
        return plan.params
    from_inputs = run.resolved.resolve(from_inputs)
    return {**plan.params, **from_inputs} if is_dict(from_inputs) else plan.params


def nested_inputs(run: GraphRun, inputs: dict[str, Value]) -> dict[str, Value]:
    """The inputs of a graph agent: nodes of its graph, of which must be known whether they have a value."""
    return {key: run.resolved.resolve_shallow(value) for key, value in inputs.items()}


def agent_of(run: GraphRun, reference: Reference) -> Value:
    """A dynamic agent: whatever the reference gives."""
    return run.resolved.resolve(read(run, reference))


def graph_of(run: GraphRun, graph: Value | Reference) -> Value:
    """The nested document of a node that has `graph`, UNDEFINED where that gives none.

    Raises AgentError for a graph that is not a mapping, whatever the agent.
    """
    if isinstance(graph, Reference):
        resolved = run.resolved.resolve(read(run, graph))
        return UNDEFINED if resolved is None else resolved
    if not is_object(graph):
        raise AgentError(f"graph must be a mapping, not {to_string(graph)!r}")
    return graph if is_dict(graph) and "nodes" in graph else UNDEFINED


def has_own_graph(agent: str) -> bool:
    """Whether an agent of the engine brings the graph that it runs."""
    return GRAPH_AGENTS[agent].document is not None


def config_of(config: Mapping[str, Value], agent: str, whole: bool) -> Mapping[str, Value]:
    """What an agent sees of the run's config: all of it with a graph, else the global and its own."""
    if whole:
        return config
    return {**spread(config.get("global")), **spread(config.get(agent))}


def may_call(rules: Rules, agent: str, plan: ComputedPlan) -> bool:
    """Whether there is such an agent; which agents another task queue has is not known here."""
    agents = rules.agents
    if agents is None or agent in agents:
        return True
    return plan.options.queue is not None or plan.queue is not None


def fallback_of(run: GraphRun, fallback: Template) -> Value:
    """What a node has instead of a result, as it is now."""
    return _members(fallback, run)["fallback"]


def agent_call(
    rules: Rules,
    run: GraphRun,
    name: str,
    agent: str,
    inputs: Value,
    params: Mapping[str, Value],
    queue: str | None = None,
    granted: Mapping[str, Value] | None = None,
    session: str | None = None,
) -> RunAgent:
    """The command that calls `agent` for a node, under the call that the node has.

    `queue` and `session` are those that data gave, `granted` is what the call may do.
    """
    node, plan = run.nodes[name], run.plan.computed[name]
    config = rules.options.config and config_of(rules.options.config, agent, whole=node.reserved)
    if not run.iteration and not node.retries:  # as path_of and key_of, which most nodes need not ask
        path, key = run.path + name, run.key + name
    else:
        path, key = run.path_of(name), run.key_of(name)
        if plan.repeat_until is not None and node.retries:
            key = f"{key}#{node.retries}"  # it is other work: under one key its answer would never change
    return RunAgent(  # by position: by name it takes more than twice as long
        node.call or 0,
        name,
        path,
        key,
        agent,
        inputs,
        params,
        config,
        plan.filter_params,
        node.retries,
        plan.is_result,
        run.plan.version,
        run.plan.verbose,
        _options(run, plan, queue, session) if queue or session or run.batch > 1 else plan.options,
        granted,
    )


def _options(run: GraphRun, plan: ComputedPlan, queue: str | None, session: str | None) -> NodeOptions:
    """How an agent is called: in batches if its map is, on the queue and in the session that data gave."""
    options = plan.options
    if session is not None and options.session is not None:
        options = replace(options, session=replace(options.session, id=session))
    elif run.batch > 1 and options.batch == 1:
        options = replace(options, batch=run.batch)
    return options if queue is None else replace(options, queue=queue)


def merged(run: GraphRun, plan: ComputedPlan, result: Value) -> Value:
    """The result with passThrough over it: objects, and objects in a list; others as they are."""
    if plan.pass_through is None:
        return result
    result = run.resolved.resolve_shallow(result)
    items = result if is_list(result) else ()
    far = isinstance(result, Deferred) or any(isinstance(item, Deferred) for item in items)
    if not far and not is_dict(result) and not any(is_dict(item) for item in items):
        return result
    over = _members(plan.pass_through, run)
    if far:
        base = result if isinstance(result, Deferred) else Composite(result)
        return bounded(Merged(base, over), run.value_limit)
    return bounded(evaluate.merged(result, over), run.value_limit)


def mapped(run: GraphRun, plan: ComputedPlan, whole: Value) -> Value:
    """What consumers see of a merged result: `output` in place of it, passThrough over that again."""
    if plan.output is None:
        return whole
    members = _members(plan.output, Self(whole, run.now_ms))
    shown = {**members, **_members(plan.pass_through, run)} if plan.pass_through else members
    return bounded(shown, run.value_limit)


def is_missing(run: GraphRun, plan: ComputedPlan, whole: Value) -> bool:
    """Whether repeatUntil asks for another attempt, by the merged result."""
    if not isinstance(plan.repeat_until, Reference):
        return False
    value = run.resolved.resolve_shallow(plan.repeat_until.read(whole))
    return value is None or value is UNDEFINED


def console_before(plan: ComputedPlan, inputs: Value) -> str | None:
    """What `console` shows before the agent runs."""
    shown = plan.console if isinstance(plan.console, bool) else spread(plan.console).get("before")
    if shown is True:
        return _written(described(inputs))
    return to_string(shown) if js_truthy(shown) else None


def _written(value: Value) -> str:
    try:
        return to_string(indented(value))
    except SizeExceeded as error:
        return f"[{error}]"


def console_after(run: GraphRun, console: Value, result: Value) -> str | None:
    """What `console` shows of the result."""
    shown = console if isinstance(console, bool) else spread(console).get("after")
    result = described(result)
    if shown is True:
        return result if isinstance(result, str) else _written(result)
    if is_dict(shown):
        return _written(compile_output(shown).render(Self(result, run.now_ms)))
    return to_string(shown) if js_truthy(shown) else None
