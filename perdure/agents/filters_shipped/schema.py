"""The filter that checks inputs against the schema of their agent, before the agent is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from perdure.agents.agent import Agent
from perdure.agents.filters import Filter, FilteredCall, Next
from perdure.agents.type_hints import defined, listed, place
from perdure.errors import FinalError
from perdure.graph.values import Value

MAX_FINDING_CHARS: Final = 200
"""Characters of one finding that are shown: it quotes the value."""


def checking_inputs() -> Filter:
    """A filter that refuses inputs which do not fit `Agent.inputs`; agents without it take anything.

    The failure is final, and begins as GraphAI's does: ``node(agent) schema not matched``.
    """
    validators: dict[str, tuple[Agent, Any]] = {}

    async def check_inputs(call: FilteredCall, next: Next) -> Value:
        agent = call.agent
        if agent is not None and agent.inputs and agent.inputs.get("type") != "array":
            kept = validators.get(agent.name)
            if kept is None or kept[0] is not agent:
                kept = validators[agent.name] = (agent, _validator(agent.inputs))
            errors = kept[1].iter_errors(defined(call.inputs or {}))
            findings = [_shortened(f"{place('inputs', error.path)}: {error.message}") for error in errors]
            if findings:
                name = f"{call.context.node}({call.context.agent})"
                raise FinalError(f"{name} schema not matched: {listed(findings)}")
        return await next(call)

    return check_inputs


def _validator(schema: Mapping[str, Any]) -> Any:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 -- an import of 100 ms, for this filter only
    from referencing import Registry  # noqa: PLC0415 -- the same

    return Draft202012Validator(schema, registry=Registry())  # an empty one: no schema is fetched


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_FINDING_CHARS else text[:MAX_FINDING_CHARS] + "…"
