"""Agents of ants that search for a short tour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from perdure.agents.agent import Sample, agent
from perdure.agents.distributed.maths import swarm
from perdure.agents.distributed.maths.chance import generator
from perdure.agents.distributed.maths.tensors import Array
from perdure.agents.distributed.values import array_of, count_of, number_of, optional, rows_of
from perdure.agents.schema import array, fields, flag, mapping, number
from perdure.errors import FinalError
from perdure.graph.values import Value, is_dict, is_list

_TOWN = "{cities, pheromone, best}: cities are lists of coordinates; the others are null at first"


@dataclass(frozen=True, kw_only=True)
class TourParams:
    """How an ant chooses."""

    alpha: Annotated[float, Field(ge=0, description="the pull of the trail")] = 1
    beta: Annotated[float, Field(ge=0, description="the pull of near cities")] = 3
    seed: Annotated[int, Field(ge=0, description="draws the tours, with ant and step")] = 0
    improve: Annotated[bool, Field(description="shorten the tour by 2-opt")] = False


@agent(
    "antTourAgent",
    pure=True,
    description="The tour of one ant through all cities, by trails and distances",
    category="search",
    inputs=fields("town", "ant", town=mapping(_TOWN), ant=number("from 0"), step=number("from 0 (0)")),
    output=fields(tour=array("cities by number, a closed tour", number()), length=number()),
    samples=[
        Sample(
            inputs={"town": {"cities": [[0, 0], [3, 4]]}, "ant": 1},
            result={"tour": [1, 0], "length": 10},
        )
    ],
)
def ant_tour(inputs: dict[str, Value], params: TourParams) -> Value:
    """Ant i begins in city i, modulo their number; its choices come from seed, ant and step."""
    place = "antTourAgent: inputs"
    distance, trail = _town(inputs.get("town"), place)
    ant, step = count_of(inputs, "ant", place), count_of(inputs, "step", place, 0)
    rng = generator(params.seed, ant, step)
    tour = swarm.ant_tour(distance, trail, ant % len(distance), rng, alpha=params.alpha, beta=params.beta)
    tour = swarm.two_opt(tour, distance) if params.improve else tour
    return {"tour": tour, "length": swarm.tour_length(tour, distance)}


@dataclass(frozen=True, kw_only=True)
class TrailParams:
    """How trails change, and when the search stops."""

    evaporation: Annotated[float, Field(ge=0, le=1, description="the share of a trail that is lost")] = 0.1
    steps: Annotated[int, Field(ge=1, description="`more` is false after this many")] = 30


@agent(
    "antTrailAgent",
    pure=True,
    description="Evaporates the trails, and lays new ones along the tours",
    category="search",
    inputs=fields(
        "town",
        "tours",
        town=mapping(_TOWN),
        tours=array("results of antTourAgent", mapping()),
        step=number("from 0 (0)"),
    ),
    output=fields(
        town=mapping("with the next pheromone and the best tour so far"),
        tour=array("the best so far", number()),
        length=number("of it"),
        steps=number("that are done"),
        more=flag("whether steps are left"),
    ),
    samples=[
        Sample(
            inputs={
                "town": {"cities": [[0, 0], [3, 4]]},
                "tours": [{"tour": [1, 0], "length": 10}],
            },
            params={"evaporation": 0.5, "steps": 1},
            result={
                "town": {
                    "cities": [[0, 0], [3, 4]],
                    "pheromone": [[0.5, 0.7], [0.7, 0.5]],
                    "best": {"tour": [1, 0], "length": 10},
                },
                "tour": [1, 0],
                "length": 10,
                "steps": 1,
                "more": False,
            },
        )
    ],
)
def ant_trail(inputs: dict[str, Value], params: TrailParams) -> Value:
    """The town after a step. Tours count in the order of the ants. Raises FinalError for no tour."""
    place = "antTrailAgent: inputs"
    town, step = inputs.get("town"), count_of(inputs, "step", place, 0)
    distance, trail = _town(town, place)
    tours = rows_of(inputs, "tours", place)
    walked: list[tuple[Sequence[int], float]] = [_tour(tour, len(distance), place) for tour in tours]
    after = swarm.evaporated(trail, walked, params.evaporation)
    earlier = [town["best"]] if is_dict(town) and is_dict(town.get("best")) else []
    best: Mapping[str, Any] = min([*earlier, *tours], key=lambda tour: tour["length"])
    best = {"tour": best["tour"], "length": best["length"]}
    return {
        "town": {**(town or {}), "pheromone": after.tolist(), "best": best},
        **best,
        "steps": step + 1,
        "more": step + 1 < params.steps,
    }


def _town(town: Value, place: str) -> tuple[Array, Array]:
    if not is_dict(town):
        raise FinalError(f"{place}.town: expected {_TOWN}")
    cities = array_of(town.get("cities"), f"{place}.town.cities")
    distance = swarm.distances(cities.tolist() if cities.ndim == 2 else [])
    if optional(town, "pheromone") is None:
        return distance, np.ones_like(distance)
    trail = array_of(town["pheromone"], f"{place}.town.pheromone")
    if trail.shape != distance.shape:
        raise FinalError(f"{place}.town.pheromone: expected a number for each two cities")
    return distance, trail


def _tour(tour: Mapping[str, Value], cities: int, place: str) -> tuple[Sequence[int], float]:
    order, length = tour.get("tour"), number_of(tour, "length", f"{place}.tours[]")
    if not is_list(order) or sorted(order) != list(range(cities)) or length <= 0:
        raise FinalError(f"{place}.tours[]: expected a tour through {cities} cities, each once")
    return [int(city) for city in order], length
