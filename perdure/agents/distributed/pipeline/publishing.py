"""The agents that publish a model under an alias, and that give the one which an alias names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.distributed.pipeline.reading import parts_of
from perdure.agents.distributed.pipeline.registry import Entry, Registry
from perdure.agents.distributed.values import optional, tensors_of
from perdure.agents.schema import anything, fields, flag, mapping, number, text
from perdure.errors import FinalError
from perdure.graph.values import UNDEFINED, Value


@dataclass(frozen=True, kw_only=True)
class AliasParams:
    """Which model."""

    name: Annotated[str, Field(description="of the model")]
    alias: Annotated[str, Field(description="the name of its role, such as blessed")] = "blessed"


@dataclass(frozen=True, kw_only=True)
class ModelParams(AliasParams):
    """Which model, and what if there is none."""

    missing: Annotated[
        Literal["fail", "empty"], Field(description="empty gives nulls for an alias that names nothing")
    ] = "fail"


@agent(
    "modelAgent",
    description="Gives the model that an alias names",
    category="pipeline",
    output=fields(
        exists=flag(),
        model=mapping("{weights, kind, graph}, or null"),
        version=text("or null"),
        lineage=anything("how it was judged when it was published"),
    ),
    samples=[
        Sample(
            params={"name": "churn", "missing": "empty"},
            result={"exists": False, "model": None, "version": None, "lineage": None},
        )
    ],
)
async def current_model(params: ModelParams, context: AgentContext) -> Value:
    """Raises FinalError for an alias that names nothing, unless `missing` is empty."""
    registry = Registry.of(context.settings)
    entry = await registry.current(params.name, params.alias)
    if entry is None and params.missing == "empty":
        return {"exists": False, "model": None, "version": None, "lineage": None}
    if entry is None:
        raise FinalError(
            f"modelAgent: there is no model {params.name!r} with the alias {params.alias!r}",
            hint="publish one with pushAgent, or set params.missing to empty",
        )
    weights, belongs = await registry.read(params.name, entry.version)
    model = {"weights": weights, **belongs}
    return {"exists": True, "model": model, "version": entry.version, "lineage": entry.lineage}


@agent(
    "pushAgent",
    description="Publishes a model: lets an alias name it, unless the alias has changed since",
    category="pipeline",
    inputs=fields(
        "model",
        model=mapping("{weights, kind, graph}"),
        expected=text("the version that the alias named when the model was judged, null for none"),
        lineage=anything("kept with the alias: how the model was judged"),
    ),
    output=fields(version=text(), number=number("how often the alias was set"), alias=text(), name=text()),
    samples=[
        Sample(
            inputs={"model": {"weights": {"b": [0, 0]}, "kind": "softmax", "graph": {}}, "expected": None},
            params={"name": "failures"},
            result={"version": "b0da7e3c055af85d", "number": 1, "alias": "blessed", "name": "failures"},
        )
    ],
)
async def push(inputs: dict[str, Value], params: AliasParams, context: AgentContext) -> Value:
    """Without `expected`, whatever the alias names is replaced. A model that it already names stays.

    Another attempt of the same call finds what the first one did. Raises FinalError where the alias names
    something else than expected: the model was judged against one that is not in use any more.
    """
    place = "pushAgent: inputs"
    model = parts_of(inputs, "model", place)
    weights = tensors_of(model.get("weights"), f"{place}.model.weights")
    belongs = {name: value for name, value in model.items() if name != "weights"}
    registry = Registry.of(context.settings)
    version = await registry.add(params.name, weights, belongs)
    about = {
        "version": version,
        "run": context.run,
        "key": context.idempotency_key,
        "lineage": optional(inputs, "lineage"),
    }
    entry = await _own(registry, params, context) or await _pointed(registry, params, inputs, about)
    return {"version": version, "number": entry.number, "alias": params.alias, "name": params.name}


async def _own(registry: Registry, params: AliasParams, context: AgentContext) -> Entry | None:
    if context.attempt == 1:
        return None
    return await registry.own(params.name, params.alias, context.idempotency_key)


async def _pointed(
    registry: Registry, params: AliasParams, inputs: Mapping[str, Value], about: Mapping[str, Any]
) -> Entry:
    while True:
        entry = await registry.current(params.name, params.alias)
        if entry is not None and entry.version == about["version"]:
            return entry
        _check_expected(inputs.get("expected", UNDEFINED), entry, params)
        if await registry.point(params.name, params.alias, entry, about):
            number = 1 + (entry.number if entry else 0)
            return Entry(number=number, version=about["version"], key=about["key"], lineage=about["lineage"])


def _check_expected(expected: Value, entry: Entry | None, params: AliasParams) -> None:
    named = entry.version if entry else None
    if expected is not UNDEFINED and expected != named:
        raise FinalError(
            f"pushAgent: {params.name} {params.alias} names {named or 'nothing'} by now, expected "
            f"{expected or 'nothing'}",
            hint="judge the model against the one in use, then publish it",
        )
