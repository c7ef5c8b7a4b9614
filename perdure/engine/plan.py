"""A graph compiled once: references and templates parsed, dependents computed, defaults applied.

`compile_plan` takes a document that the checks accept. A plan is immutable and holds no value of
a run, so all rows of a map share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any, Final

from perdure.engine.messages import NodeOptions
from perdure.engine.placing.node_options import number_of, options_of
from perdure.graph.fields import DEFAULT_CONCURRENCY, LOOP_INDEX, VERSION, is_computed, needs_of
from perdure.graph.javascript import to_string, utf16_length, utf16_slice
from perdure.graph.reference import FunctionCall, Reference, parse_path, parse_reference
from perdure.graph.template import Template
from perdure.graph.template_compiler import compile_inputs, compile_output
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, js_truthy, ordered_keys
from perdure.policy.budgets import Budget
from perdure.policy.grant import Grant
from perdure.policy.parse import budget_of, grant_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticPlan:
    """A node that holds data. `update` is read after each iteration of a loop."""

    value: Value = UNDEFINED
    update: Reference | None = None
    console: Value = None


# Not frozen, though no code may change it: one is made for every node, and freezing trebles its cost.
@dataclass(slots=True, kw_only=True)
class ComputedPlan:
    """A node that calls an agent, with everything of it that can be parsed before the run.

    `needs` are the nodes it waits for. `graph` is the nested document itself, or the reference that
    will give it. `probe` is `inputs` without `params`, by which anyInput decides; one that may fail
    is looked at on every result, even when the node has started: the failure is that of the node
    which gave the result. Where `is_measured`, the inputs may be larger than a value may be: they have
    several references, and what one of them reads is within the bound. `queue` makes an object with
    the task queue under this name, where that comes from data; `hedge_queue` does so for the second of two
    calls, and `fallback` for what the node has instead of a result. `allow` narrows what the
    call, or the graphs inside the node, may do. A node `is_plain` where it names its agent, and says nothing
    else that a grant is about.
    """

    agent: str | Reference
    inputs: Template
    is_measured: bool = False
    needs: frozenset[str] = frozenset()
    probe: Template | None = None
    probe_may_fail: bool = False
    params: Mapping[str, Value] = field(default_factory=dict[str, Value])
    output: Template | None = None
    pass_through: Template | None = None
    condition: Reference | None = None
    unless: Reference | None = None
    default: Value = UNDEFINED
    fallback: Template | None = None
    retry: float = 0
    repeat_until: Value | Reference = None
    graph: Value | Reference = None
    queue: Template | None = None
    hedge_queue: Template | None = None
    session: Template | None = None
    is_result: bool = False
    priority: float = 0
    label: str | None = None
    console: Value = None
    filter_params: Value = field(default_factory=dict[str, Value])
    options: NodeOptions = field(default_factory=NodeOptions)
    allow: Grant | None = None
    budget: Budget | None = None
    is_plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A compiled graph. `order` is document order as JavaScript sees it, without hidden nodes.

    `required` are the static nodes that nothing updates: they must have a value; `updated` are the others,
    without the index of the loop. `batch` is the largest of
    its nodes. `needs` is all that the graph asks to be allowed, None where it does not say.
    """

    document: Mapping[str, Value]
    order: tuple[str, ...]
    statics: Mapping[str, StaticPlan]
    computed: Mapping[str, ComputedPlan]
    dependents: Mapping[str, tuple[str, ...]]
    result_nodes: tuple[str, ...]
    required: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    loop: Mapping[str, Value] | None = None
    loop_while: Reference | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    labels: Mapping[str, int] = field(default_factory=dict[str, int])
    version: Value = VERSION
    verbose: bool = False
    batch: int = 1
    needs: Grant | None = None
    needs_budget: Budget | None = None
    has_budgets: bool = False


def compile_plan(document: Mapping[str, Value], graphs: Mapping[str, Value] | None = None) -> Plan:
    """The plan of a checked document. `graphs` answers graphLoader by file name; None ignores it."""
    nodes: Mapping[str, Value] = document["nodes"]
    order = tuple(map(intern, ordered_keys(nodes)))  # as references are: to compare them costs nothing
    statics = {name: _static(nodes[name]) for name in order if not is_computed(nodes[name])}
    updated = tuple(name for name, static in statics.items() if static.update is not None)
    statics[LOOP_INDEX] = StaticPlan(value=0, update=parse_reference(f":{LOOP_INDEX}.add(1)"))
    computed = {name: _computed(nodes[name], graphs) for name in order if is_computed(nodes[name])}
    loop = document.get("loop")
    concurrency = document.get("concurrency", UNDEFINED)
    if concurrency is UNDEFINED:
        concurrency = DEFAULT_CONCURRENCY
    limits: dict[str, Value] = concurrency if is_dict(concurrency) else {"global": concurrency}
    labels: dict[str, int] = limits.get("labels") or {}
    version = document.get("version")
    return Plan(
        document=document,
        order=order,
        statics=statics,
        computed=computed,
        dependents=_dependents(computed),
        result_nodes=tuple(name for name in order if _is_result(nodes[name])),
        required=tuple(name for name, static in statics.items() if static.update is None),
        updated=updated,
        loop=loop if is_dict(loop) else None,
        loop_while=parse_reference(loop.get("while")) if is_dict(loop) else None,
        concurrency=int(limits["global"]),
        labels={label: int(limit) for label, limit in labels.items()},
        version=VERSION if version is None else version,
        verbose=document.get("verbose") is True,
        batch=max((node.options.batch for node in computed.values()), default=1),
        needs=grant_of(needs_of(document)),
        needs_budget=budget_of(needs_of(document)),
        has_budgets=any(node.budget is not None for node in computed.values()),
    )


def _dependents(computed: Mapping[str, ComputedPlan]) -> dict[str, tuple[str, ...]]:
    """The dependents of each node; nodes with the same dependents share one tuple."""
    names: dict[str, list[str]] = {}
    for name, node in computed.items():
        for source in node.needs:
            names.setdefault(source, []).append(name)
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    return {source: shared.setdefault(tuple(those), tuple(those)) for source, those in names.items()}


def spread(value: Value) -> dict[str, Value]:
    """`{...value}`: what JavaScript makes a mapping of, such as the characters of a string."""
    if is_dict(value):
        return value
    if is_list(value):
        return {str(index): item for index, item in enumerate(value)}
    if isinstance(value, str):
        return {str(index): utf16_slice(value, index, index + 1) for index in range(utf16_length(value))}
    return {}


def _is_result(node: Value) -> bool:
    return is_dict(node) and _has(node, "isResult")


def _static(node: Value) -> StaticPlan:
    if not is_dict(node):
        return StaticPlan()
    return StaticPlan(
        value=node.get("value", UNDEFINED),
        update=parse_reference(node["update"]) if _has(node, "update") else None,
        console=node.get("console"),
    )


def _may_fail(reference: Reference) -> bool:
    return any(isinstance(step, FunctionCall) for step in reference.steps)


def _has(node: dict[str, Value], key: str) -> bool:
    return key in node and js_truthy(node[key])


def _computed(node: dict[str, Value], graphs: Mapping[str, Value] | None) -> ComputedPlan:
    """A node. The tables say what one key means; here is what follows from several."""
    of_keys = {name: parse(node[key]) for key, name, parse in _KEYS if key in node}
    of_keys |= {name: parse(node[key]) for key, name, parse in _TRUTHY_KEYS if _has(node, key)}
    inputs_field = node["inputs"] if _has(node, "inputs") else None
    raw = spread(inputs_field)
    inputs = compile_inputs(inputs_field if isinstance(inputs_field, str) else raw)
    agent, graph = parse_reference(node["agent"]), _graph(node, graphs)
    probe = compile_inputs({k: raw[k] for k in raw if k != "params"}) if _has(node, "anyInput") else None
    templates = (inputs, *map(of_keys.get, ("pass_through", "queue", "fallback", "hedge_queue", "session")))
    return ComputedPlan(
        agent=node["agent"] if agent is None else agent,
        inputs=inputs,
        is_measured=len(inputs.references) > 1,
        needs=_needs(templates, (agent, graph, of_keys.get("condition"), of_keys.get("unless"))),
        probe=probe,
        probe_may_fail=probe is not None and any(_may_fail(probed) for probed in probe.references),
        graph=graph,
        options=options_of(node),
        is_plain=not (node.keys() & _CHOOSING or any(isinstance(key, Reference) for key in (agent, graph))),
        **of_keys,
    )


def _queue(text: Value) -> Template | None:
    template = compile_inputs({"queue": text})
    return template if template.references else None


def _hedge_queue(hedge: Value) -> Template | None:
    """What makes an object with the queue of `hedge` alone, None where it names none."""
    return compile_inputs({"queue": hedge["queue"]}) if is_dict(hedge) and "queue" in hedge else None


def _needs(templates: Iterable[Template | None], singles: Iterable[Value | Reference]) -> frozenset[str]:
    """The nodes that these refer to."""
    references = [one for template in templates if template is not None for one in template.references]
    references += [single for single in singles if isinstance(single, Reference)]
    return frozenset(reference.node for reference in references if reference.node)


def _graph(node: dict[str, Value], graphs: Mapping[str, Value] | None) -> Value | Reference:
    """The nested document, the reference that will give it, or None; graphLoader wins over graph."""
    graph = node.get("graph")
    loader = node.get("graphLoader")
    if js_truthy(loader) and graphs is not None:
        file = loader.get("fileName", UNDEFINED) if is_dict(loader) else UNDEFINED
        loaded = graphs.get(to_string(file))
        return loaded if js_truthy(loaded) else None
    if not js_truthy(graph):
        return None
    return parse_reference(graph) if isinstance(graph, str) else graph


def _repeat_until(value: Value) -> Value | Reference:
    """The path of `repeatUntil.exists`; a literal, which always exists; None for no check."""
    exists = value.get("exists") if is_dict(value) else None
    if not js_truthy(exists):
        return None
    return parse_path(exists, functions=False) or exists


_CHOOSING = frozenset({"queue", "hedge", "allow", "session"})


def _session(session: Value) -> Template:
    """What makes an object with the id of a session."""
    return compile_inputs({"session": session["id"] if is_dict(session) else session})


_KEYS: Final[Sequence[tuple[str, str, Callable[[Value], Any]]]] = (
    ("params", "params", spread),
    ("retry", "retry", number_of),
    ("priority", "priority", number_of),
    ("repeatUntil", "repeat_until", _repeat_until),
    ("queue", "queue", _queue),
    ("fallback", "fallback", lambda value: compile_inputs({"fallback": value})),
    ("hedge", "hedge_queue", _hedge_queue),
    ("session", "session", _session),
    ("allow", "allow", grant_of),
    ("allow", "budget", budget_of),
    ("label", "label", lambda value: value if isinstance(value, str) else None),
    ("console", "console", lambda value: value),
    ("filterParams", "filter_params", lambda value: {} if value is None else value),
)
"""The keys of a node, the fields of ComputedPlan that they set, and what makes a key's value the field's."""

_TRUTHY_KEYS: Final[Sequence[tuple[str, str, Callable[[Value], Any]]]] = (
    ("passThrough", "pass_through", lambda value: compile_inputs(spread(value))),
    ("output", "output", lambda value: compile_output(spread(value))),
    ("if", "condition", parse_reference),
    ("unless", "unless", parse_reference),
    ("defaultValue", "default", lambda value: value),
    ("isResult", "is_result", js_truthy),
)
"""The same; a value that JavaScript takes for false is as none at all."""
