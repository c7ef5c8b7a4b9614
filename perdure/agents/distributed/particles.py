"""Agents of a particle swarm that searches for a minimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from perdure.agents.agent import Sample, agent
from perdure.agents.distributed.maths import swarm
from perdure.agents.distributed.maths.chance import generator
from perdure.agents.distributed.values import array_of, count_of, number_of, optional, rows_of
from perdure.agents.schema import array, fields, flag, mapping, number
from perdure.errors import FinalError
from perdure.graph.values import Value, is_dict, is_list

_PARTICLE = "{id, x, v, best, value}: best is where its lowest value was; both are null before the first"


@dataclass(frozen=True, kw_only=True)
class BirthParams:
    """Where particles begin."""

    particles: Annotated[int, Field(ge=1, description="how many")] = 12
    dimensions: Annotated[int, Field(ge=1, description="of the space")] = 2
    low: Annotated[float, Field(description="the least of each coordinate")] = -1
    high: Annotated[float, Field(description="the most of each coordinate")] = 1
    seed: Annotated[int, Field(ge=0, description="draws the positions")] = 0


@agent(
    "psoBirthAgent",
    pure=True,
    description="Particles at random positions, unless there are some",
    category="search",
    inputs=fields(swarm=array("particles that exist already", mapping())),
    output=fields(swarm=array(_PARTICLE, mapping())),
    samples=[
        Sample(
            inputs={"swarm": [{"id": 0, "x": [1], "v": [0], "best": [1], "value": 1}]},
            result={"swarm": [{"id": 0, "x": [1], "v": [0], "best": [1], "value": 1}]},
        )
    ],
)
def pso_birth(inputs: dict[str, Value], params: BirthParams) -> Value:
    """Each particle has a generator of its own: more particles do not change the first ones."""
    if is_list(inputs.get("swarm")):
        return {"swarm": inputs["swarm"]}
    if params.low > params.high:
        raise FinalError(f"psoBirthAgent: params.low {params.low} is above params.high {params.high}")
    born: list[Value] = []
    for number_ in range(params.particles):
        place = generator(params.seed, number_).uniform(params.low, params.high, params.dimensions)
        still = [0.0] * params.dimensions
        born.append({"id": number_, "x": place.tolist(), "v": still, "best": None, "value": None})
    return {"swarm": born}


@dataclass(frozen=True, kw_only=True)
class MoveParams:
    """Constants of the swarm; the defaults are those of Clerc and Kennedy."""

    w: Annotated[float, Field(description="inertia")] = 0.72
    c1: Annotated[float, Field(description="the pull of the particle's own best position")] = 1.49
    c2: Annotated[float, Field(description="the pull of its group's")] = 1.49
    topology: Annotated[Literal["ring", "all"], Field(description="the group: two neighbours, or all")] = (
        "ring"
    )
    seed: Annotated[int, Field(ge=0, description="draws the moves, with particle and step")] = 0


@agent(
    "psoMoveAgent",
    pure=True,
    description="Moves one particle by inertia, its own best position and that of its group",
    category="search",
    inputs=fields(
        "me",
        "all",
        me=mapping(_PARTICLE),
        all=array("all particles, this one included", mapping()),
        step=number("from 0 (0)"),
    ),
    output=mapping("the particle at its next position"),
    samples=[
        Sample(
            inputs={
                "me": {"id": 0, "x": [1], "v": [0.5], "best": [1], "value": 1},
                "all": [{"id": 0, "x": [1], "v": [0.5], "best": [1], "value": 1}],
            },
            params={"w": 0.5},
            result={"id": 0, "x": [1.25], "v": [0.25], "best": [1], "value": 1},
        )
    ],
)
def pso_move(inputs: dict[str, Value], params: MoveParams) -> Value:
    """Chance comes from seed, particle and step, so a move that is repeated elsewhere is the same.

    Raises FinalError for a particle that is not among `all`, or that has no value yet.
    """
    place = "psoMoveAgent: inputs"
    me, everyone = inputs.get("me"), rows_of(inputs, "all", place)
    step = count_of(inputs, "step", place, 0)
    ids = [particle.get("id") for particle in everyone]
    if not is_dict(me) or me.get("id") not in ids:
        raise FinalError(f"{place}.me: expected one of `all`, {_PARTICLE}")
    values = [number_of(particle, "value", f"{place}.all[{at}]") for at, particle in enumerate(everyone)]
    leader = everyone[swarm.leader_of(ids.index(me["id"]), values, params.topology)]
    x, v = swarm.moved(
        array_of(me.get("x"), f"{place}.me.x"),
        array_of(me.get("v"), f"{place}.me.v"),
        array_of(me.get("best"), f"{place}.me.best"),
        array_of(leader.get("best"), f"{place}.all[].best"),
        generator(params.seed, str(me["id"]), step),
        w=params.w,
        c1=params.c1,
        c2=params.c2,
    )
    return {**me, "x": x.tolist(), "v": v.tolist()}


@dataclass(frozen=True, kw_only=True)
class BestParams:
    """When the search stops."""

    steps: Annotated[int, Field(ge=1, description="`more` is false after this many")] = 100
    tolerance: Annotated[float | None, Field(description="`more` is false at this value or below")] = None


@agent(
    "psoBestAgent",
    pure=True,
    description="Notes the best position of each particle, and of all",
    category="search",
    inputs=fields(
        "scored",
        scored=array("particles with the `score` of their position: {..., score}", mapping()),
        step=number("from 0 (0)"),
    ),
    output=fields(
        swarm=array(_PARTICLE, mapping()),
        x=array("the best position so far", number()),
        value=number("its value"),
        steps=number("that are done"),
        more=flag("whether steps are left and the tolerance is not reached"),
    ),
    samples=[
        Sample(
            inputs={"scored": [{"id": 0, "x": [2], "v": [0], "best": [3], "value": 9, "score": 4}]},
            params={"tolerance": 5},
            result={
                "swarm": [{"id": 0, "x": [2], "v": [0], "best": [2], "value": 4}],
                "x": [2],
                "value": 4,
                "steps": 1,
                "more": False,
            },
        )
    ],
)
def pso_best(inputs: dict[str, Value], params: BestParams) -> Value:
    """Lower is better. Raises FinalError for a particle without a score."""
    place = "psoBestAgent: inputs"
    step = count_of(inputs, "step", place, 0)
    particles: list[dict[str, Value]] = []
    for index, row in enumerate(rows_of(inputs, "scored", place)):
        score = number_of(row, "score", f"{place}.scored[{index}]")
        kept = {key: value for key, value in row.items() if key != "score"}
        before = optional(row, "value")
        if before is None or score < before:
            kept |= {"best": row.get("x"), "value": score}
        particles.append(kept)
    best = min(particles, key=lambda particle: particle["value"])
    reached = params.tolerance is not None and best["value"] <= params.tolerance
    return {
        "swarm": particles,
        "x": best["best"],
        "value": best["value"],
        "steps": step + 1,
        "more": not reached and step + 1 < params.steps,
    }
