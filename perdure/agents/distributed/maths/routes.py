"""Delivery routes: which depot serves an order, in which order a vehicle drives, what is worth swapping.

`route` is nearest neighbour and 2-opt, exact enough for a dozen stops; OR-Tools (extra `opt`) searches
longer. All distances are Euclidean, in the unit of the coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from perdure.agents.distributed.extras import library
from perdure.agents.distributed.maths.swarm import distances, tour_length, two_opt
from perdure.agents.distributed.maths.tensors import Array
from perdure.errors import FinalError

Point = tuple[float, ...]

METRE_FACTOR: Final = 1000
"""OR-Tools adds whole numbers: distances are rounded to a thousandth."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """An order: its id as it came, and where."""

    id: Any
    at: Point


@dataclass(frozen=True, kw_only=True)
class Route:
    """What one depot drives: a closed route from the depot through its stops."""

    depot: Any
    at: Point
    stops: tuple[Stop, ...] = ()
    capacity: int | None = None

    @property
    def cost(self) -> float:
        """The length of the route, 0 without stops."""
        if not self.stops:
            return 0.0
        return tour_length(
            range(len(self.stops) + 1), distances([self.at, *(stop.at for stop in self.stops)])
        )


def nearest(stops: Sequence[Stop], routes: Sequence[Route]) -> list[Route]:
    """Each stop at the nearest depot with room, in the order of the stops; the first of equal ones.

    Raises FinalError if there is no room for all.
    """
    chosen: list[list[Stop]] = [list(route.stops) for route in routes]
    for stop in stops:
        free = [
            at
            for at, route in enumerate(routes)
            if route.capacity is None or len(chosen[at]) < route.capacity
        ]
        if not free:
            raise FinalError(
                f"the depots have no room for the order {stop.id!r}", hint="add a depot, or raise a capacity"
            )
        best = min(free, key=lambda at: math.dist(routes[at].at, stop.at))
        chosen[best].append(stop)
    return [replace(route, stops=tuple(mine)) for route, mine in zip(routes, chosen, strict=True)]


def driven(route: Route) -> Route:
    """The stops in a good order: nearest neighbour, then 2-opt."""
    if len(route.stops) < 2:
        return route
    distance = distances([route.at, *(stop.at for stop in route.stops)])
    tour, left = [0], list(range(1, len(distance)))
    while left:
        tour.append(left.pop(min(range(len(left)), key=lambda at: distance[tour[-1], left[at]])))
    return _in_order(route, two_opt(tour, distance))


def driven_by_ortools(route: Route, seconds: float) -> Route:
    """The stops in the order that OR-Tools finds within `seconds`, never worse than `driven`."""
    if len(route.stops) < 3:
        return driven(route)
    distance = distances([route.at, *(stop.at for stop in route.stops)])
    tour = _solved(distance, seconds)
    solved = _in_order(route, tour) if tour is not None else route
    return min(driven(route), solved, key=lambda tour: tour.cost)


def _solved(distance: Array, seconds: float) -> list[int] | None:
    routing: Any = library("ortools.constraint_solver.pywrapcp", "opt")
    options: Any = library("ortools.constraint_solver.routing_enums_pb2", "opt")
    manager = routing.RoutingIndexManager(len(distance), 1, 0)
    model = routing.RoutingModel(manager)

    def cost(start: int, end: int) -> int:
        return round(float(distance[manager.IndexToNode(start), manager.IndexToNode(end)]) * METRE_FACTOR)

    model.SetArcCostEvaluatorOfAllVehicles(model.RegisterTransitCallback(cost))
    search = routing.DefaultRoutingSearchParameters()
    search.first_solution_strategy = options.FirstSolutionStrategy.PATH_CHEAPEST_ARC
    search.local_search_metaheuristic = options.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    search.time_limit.FromMilliseconds(round(seconds * 1000))
    solution = model.SolveWithParameters(search)
    if solution is None:
        return None
    tour: list[int] = []
    index = model.Start(0)
    while not model.IsEnd(index):
        tour.append(manager.IndexToNode(index))
        index = solution.Value(model.NextVar(index))
    return tour


def swapped(routes: Sequence[Route], rounds: int) -> list[Route]:
    """Moves one stop at a time to the route where that saves the most, at most `rounds` times."""
    current = [driven(route) for route in routes]
    for _ in range(rounds):
        moves = [
            move
            for source in range(len(current))
            for stop in range(len(current[source].stops))
            for target in range(len(current))
            if target != source and (move := _moved(current, source, stop, target)) is not None
        ]
        if not moves:
            break
        best = min(moves, key=_cost)
        if _cost(best) >= _cost(current) - 1e-9:
            break
        current = best
    return current


def _moved(routes: Sequence[Route], source: int, stop: int, target: int) -> list[Route] | None:
    capacity = routes[target].capacity
    if capacity is not None and len(routes[target].stops) >= capacity:
        return None
    stops = routes[source].stops
    changed = list(routes)
    changed[source] = driven(replace(routes[source], stops=stops[:stop] + stops[stop + 1 :]))
    changed[target] = driven(replace(routes[target], stops=(*routes[target].stops, stops[stop])))
    return changed


def _cost(routes: Sequence[Route]) -> float:
    return sum(route.cost for route in routes)


def _in_order(route: Route, tour: Sequence[int]) -> Route:
    start = tour.index(0)
    order = [*tour[start + 1 :], *tour[:start]]
    return replace(route, stops=tuple(route.stops[at - 1] for at in order))
