"""The command that calls a node's agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from perdure.engine import node_semantics
from perdure.engine.board import Rules
from perdure.engine.messages import RunAgent
from perdure.engine.plan import ComputedPlan
from perdure.engine.state import GraphRun
from perdure.graph.values import Value


def may_call(rules: Rules, agent: str, plan: ComputedPlan) -> bool:
    """Whether there is such an agent; which agents another task queue has is not known here."""
    agents = rules.agents
    return agents is None or agent in agents or plan.options.queue is not None


def agent_call(
    rules: Rules, run: GraphRun, name: str, agent: str, inputs: Value, params: Mapping[str, Value]
) -> RunAgent:
    """The command that calls `agent` for a node, under the call that the node has."""
    node, plan = run.nodes[name], run.plan.computed[name]
    options = plan.options
    if run.batch > 1 and options.batch == 1:
        options = replace(options, batch=run.batch)
    config = rules.options.config
    if config:
        config = node_semantics.config_of(config, agent, whole=node.reserved)
    key = run.key_of(name)
    if plan.repeat_until is not None and node.retries:
        key = f"{key}#{node.retries}"  # a repetition is other work: under one key its answer never changed
    return RunAgent(  # by position: by name it takes more than twice as long
        node.call or 0,
        name,
        run.path_of(name),
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
        options,
    )
