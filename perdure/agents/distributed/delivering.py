"""Agents that plan deliveries: each depot its own routes, then what is worth swapping between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from perdure.agents.agent import Sample, agent
from perdure.agents.distributed.maths import routes
from perdure.agents.distributed.maths.routes import Point, Route, Stop
from perdure.agents.distributed.values import count_of, optional, rows_of
from perdure.agents.schema import array, fields, flag, mapping, number
from perdure.errors import FinalError
from perdure.graph.values import Value, is_dict, is_list, is_number

_DEPOT = "{id, at, capacity, ...}: at is [x, y], capacity a number of orders (no limit)"
_ROUTE = "{depot, at, stops, cost}: stops are orders {id, at}, in the order of the drive"


@agent(
    "assignAgent",
    pure=True,
    description="Gives each order to the nearest depot with room",
    category="planning",
    inputs=fields("orders", "depots", orders=array("{id, at}", mapping()), depots=array(_DEPOT, mapping())),
    output=fields(depots=array("the depots with their `orders`", mapping())),
    samples=[
        Sample(
            inputs={
                "orders": [{"id": 1, "at": [5, 1]}, {"id": 2, "at": [-3, 0]}],
                "depots": [{"id": "west", "at": [-4, 0]}, {"id": "east", "at": [4, 0]}],
            },
            result={
                "depots": [
                    {"id": "west", "at": [-4, 0], "orders": [{"id": 2, "at": [-3, 0]}]},
                    {"id": "east", "at": [4, 0], "orders": [{"id": 1, "at": [5, 1]}]},
                ]
            },
        )
    ],
)
def assign(inputs: dict[str, Value]) -> Value:
    """Orders are taken in their order. Raises FinalError if the depots have no room for all."""
    depots = rows_of(inputs, "depots", "assignAgent: inputs")
    orders = rows_of(inputs, "orders", "assignAgent: inputs")
    stops = [_stop(order, f"assignAgent: inputs.orders[{at}]") for at, order in enumerate(orders)]
    empty = [_depot(depot, f"assignAgent: inputs.depots[{at}]") for at, depot in enumerate(depots)]
    assigned = routes.nearest(stops, empty)
    return {
        "depots": [
            {**depot, "orders": [_order(stop) for stop in route.stops]}
            for depot, route in zip(depots, assigned, strict=True)
        ]
    }


@dataclass(frozen=True, kw_only=True)
class RouteParams:
    """How to search."""

    solver: Annotated[
        Literal["local", "ortools"],
        Field(description="nearest neighbour with 2-opt, or OR-Tools (perdure[opt])"),
    ] = "local"
    seconds: Annotated[float, Field(gt=0, le=3600, description="that OR-Tools searches")] = 2


@agent(
    "routeAgent",
    description="A short route from a depot through its orders and back",
    category="planning",
    inputs=fields("depot", depot=mapping("a depot with its `orders`, as assignAgent returns it")),
    output=mapping(_ROUTE),
    samples=[
        Sample(
            inputs={
                "depot": {
                    "id": "west",
                    "at": [0, 0],
                    "orders": [{"id": 1, "at": [0, 3]}, {"id": 2, "at": [4, 0]}, {"id": 3, "at": [4, 3]}],
                }
            },
            result={
                "depot": "west",
                "at": [0, 0],
                "stops": [{"id": 1, "at": [0, 3]}, {"id": 3, "at": [4, 3]}, {"id": 2, "at": [4, 0]}],
                "cost": 14,
            },
        )
    ],
)
def route(inputs: dict[str, Value], params: RouteParams) -> Value:
    """The route, with its length. Raises FinalError if OR-Tools is asked for and not installed."""
    depot = inputs.get("depot")
    if not is_dict(depot) or not is_list(depot.get("orders")):
        raise FinalError("routeAgent: inputs.depot: expected a depot with its orders")
    place = "routeAgent: inputs.depot"
    stops = [_stop(order, f"{place}.orders[{at}]") for at, order in enumerate(depot["orders"])]
    start = _depot(depot, place)
    empty = Route(depot=start.depot, at=start.at, stops=tuple(stops), capacity=start.capacity)
    if params.solver == "ortools":
        return _shown(routes.driven_by_ortools(empty, params.seconds))
    return _shown(routes.driven(empty))


@dataclass(frozen=True, kw_only=True)
class SwapParams:
    """How long to try, and what is costly."""

    rounds: Annotated[int, Field(ge=0, description="orders that may move to another depot")] = 10
    limit: Annotated[float | None, Field(ge=0, description="`costly` above this total")] = None


@agent(
    "swapAgent",
    pure=True,
    description="Moves orders between depots as long as that makes all routes together shorter",
    category="planning",
    inputs=fields("routes", routes=array(_ROUTE, mapping())),
    output=fields(
        routes=array(_ROUTE, mapping()),
        cost=number("of all routes"),
        saved=number("against the routes that came"),
        costly=flag("whether the cost is above the limit"),
    ),
    samples=[
        Sample(
            inputs={
                "routes": [
                    {"depot": "w", "at": [0, 0], "stops": [{"id": 1, "at": [9, 0]}]},
                    {"depot": "e", "at": [10, 0], "stops": []},
                ]
            },
            params={"limit": 5},
            result={
                "routes": [
                    {"depot": "w", "at": [0, 0], "stops": [], "cost": 0},
                    {"depot": "e", "at": [10, 0], "stops": [{"id": 1, "at": [9, 0]}], "cost": 2},
                ],
                "cost": 2,
                "saved": 16,
                "costly": False,
            },
        )
    ],
)
def swap(inputs: dict[str, Value], params: SwapParams) -> Value:
    """The routes after the swaps. A capacity that a route names is kept."""
    rows = rows_of(inputs, "routes", "swapAgent: inputs")
    before = [_route(row, f"swapAgent: inputs.routes[{at}]") for at, row in enumerate(rows)]
    after = routes.swapped(before, params.rounds)
    cost = sum(route.cost for route in after)
    return {
        "routes": [_shown(route) for route in after],
        "cost": cost,
        "saved": sum(route.cost for route in before) - cost,
        "costly": params.limit is not None and cost > params.limit,
    }


def _point(value: Value, place: str) -> Point:
    if not is_list(value) or len(value) != 2 or not all(map(is_number, value)):
        raise FinalError(f"{place}.at: expected [x, y]")
    return tuple(float(number) for number in value)


def _stop(order: Value, place: str) -> Stop:
    if not is_dict(order):
        raise FinalError(f"{place}: expected {{id, at}}")
    return Stop(id=order.get("id"), at=_point(order.get("at"), place))


def _depot(depot: Mapping[str, Value], place: str) -> Route:
    limited = optional(depot, "capacity") is not None
    capacity = count_of(depot, "capacity", place) if limited else None
    return Route(depot=depot.get("id"), at=_point(depot.get("at"), place), capacity=capacity)


def _route(row: Mapping[str, Value], place: str) -> Route:
    stops = row.get("stops")
    if not is_list(stops):
        raise FinalError(f"{place}: expected {_ROUTE}")
    depot = _depot(row, place)
    made = tuple(_stop(stop, f"{place}.stops[{at}]") for at, stop in enumerate(stops))
    return Route(depot=row.get("depot"), at=depot.at, stops=made, capacity=depot.capacity)


def _order(stop: Stop) -> Value:
    return {"id": stop.id, "at": list(stop.at)}


def _shown(route: Route) -> dict[str, Value]:
    shown: dict[str, Value] = {
        "depot": route.depot,
        "at": list(route.at),
        "stops": [_order(stop) for stop in route.stops],
        "cost": route.cost,
    }
    return shown if route.capacity is None else {**shown, "capacity": route.capacity}
