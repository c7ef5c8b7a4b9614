"""The agents: their samples, what they say about themselves, what they refuse."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perdure.agents.agent import Agent, AgentContext, Sample
from perdure.agents.catalog import load_agents, load_entry_point
from perdure.agents.distributed import plugins
from perdure.errors import AgentError, FinalError
from perdure.settings import Settings

pytestmark = pytest.mark.unit

AGENTS = load_agents("perdure.agents.distributed.agents")
HOMES: list[Path] = []
STOCK = "select stock from items where store = :store and item = :item"


@pytest.fixture(scope="module", autouse=True)
def worker(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a worker's own module would register."""
    HOMES.append(tmp_path_factory.mktemp("home"))
    path = tmp_path_factory.mktemp("pos") / "pos.db"
    with sqlite3.connect(path) as base:
        base.execute("create table items (store text, item text, stock int)")
        base.execute("insert into items values ('s1', 'milk', 10), ('s2', 'milk', 90)")
    base.close()
    plugins.dataset("coins")(lambda site, context: (np.array([[1.0], [-1.0]]), np.array([1, 0])))
    plugins.dataset("texts")(lambda site, context: (np.zeros((2, 1)), np.array([0.5, 1])))
    plugins.database("pos")(lambda context: path)
    plugins.database("gone")(lambda context: path.with_name("gone.db"))
    plugins.query("stock_of_item", STOCK)
    plugins.query(
        "everything", "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"
    )
    plugins.query("drop", "drop table items")
    plugins.site_secret(lambda site: str(site).encode() * 32)


def called(name: str, inputs: Any, params: Any = None) -> Any:
    context = AgentContext(agent=name, run="run-1", settings=Settings(home=HOMES[-1]))
    result = AGENTS[name].call(inputs, params or {}, context)
    return plain(asyncio.run(result) if inspect.iscoroutine(result) else result)


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def samples() -> list[Any]:
    return [
        pytest.param(agent, sample, id=f"{agent.name}-{at}")
        for agent in AGENTS.values()
        for at, sample in enumerate(agent.samples)
    ]


@pytest.mark.parametrize(("agent", "sample"), samples())
def test_sample(agent: Agent, sample: Sample) -> None:
    result = called(agent.name, sample.inputs, sample.params)
    assert near(result, sample.result), result


def near(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(near(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(near, left, right))
    if isinstance(left, float | int) and isinstance(right, float | int):
        return left == pytest.approx(right, abs=1e-9)
    return type(left) is type(right) and left == right


@pytest.mark.parametrize("agent", AGENTS.values(), ids=AGENTS)
def test_agent_is_documented(agent: Agent) -> None:
    assert agent.description
    assert agent.category
    assert agent.samples
    assert agent.output is not None
    assert not agent.pure or not agent.is_async


def test_the_entry_point_offers_them() -> None:
    assert load_entry_point("distributed").keys() == AGENTS.keys()


W = {"b": [0.0, 0.0], "w": [[0.0, 0.0]]}
NODE = {"id": 0, "x": 1, "near": [1]}
UPDATE = {"site": "a", "n": 1, "weights": W}
TOWN = {"cities": [[0, 0], [3, 4]]}
PARTICLE = {"id": 0, "x": [1], "v": [0], "best": [1], "value": 1}
STOP = {"id": 1, "at": [1, 0]}

REFUSED: list[tuple[str, Any, Any, str]] = [
    ("fedInitAgent", {}, {"model": "resnet"}, "this worker has no model 'resnet'"),
    ("fedInitAgent", {}, {"dtype": "int8"}, "params.dtype: expected float32 or float64, got 'int8'"),
    ("fedTrainAgent", {"site": "a"}, {"data": "coins"}, "inputs.weights: expected an object of named arrays"),
    (
        "fedTrainAgent",
        {"weights": W},
        {"data": "coins"},
        "inputs.site: expected the name or number of a site",
    ),
    ("fedTrainAgent", {"weights": W, "site": 1}, {"data": "cards"}, "this worker has no data set 'cards'"),
    ("fedTrainAgent", {"weights": W, "site": 1}, {"data": "coins", "lr": 0}, "params.lr: .*greater than 0"),
    ("fedTrainAgent", {"weights": W, "site": 1}, {}, "params.data: "),
    ("fedTrainAgent", {"weights": W, "site": 1}, {"data": "texts"}, "labels are class numbers"),
    (
        "fedTrainAgent",
        {"weights": {"b": [0, 0], "w": [[0, 0], [0, 0]]}, "site": 1},
        {"data": "coins"},
        "the model and the data do not fit together",
    ),
    (
        "fedTrainAgent",
        {"weights": {"w": ["x"]}, "site": 1},
        {"data": "coins"},
        "weights.w: expected an array",
    ),
    ("fedEvaluateAgent", {"weights": W, "round": -1}, {"data": "coins"}, "round: expected a whole number"),
    ("fedSummaryAgent", {"scores": []}, {}, "inputs.scores: the list is empty"),
    ("fedSummaryAgent", {"scores": [{"n": 3}]}, {}, r"scores\[0\].accuracy: expected a number, got nothing"),
    ("fedAverageAgent", {"updates": [], "weights": W}, {}, "inputs.updates: the list is empty"),
    ("fedAverageAgent", {"updates": [{"n": 1}], "weights": W}, {}, "none of weights, delta and sent"),
    ("fedAverageAgent", {"updates": [{**UPDATE, "round": 3}], "weights": W}, {}, "is later than the round"),
    ("fedAverageAgent", {"updates": [UPDATE], "weights": {"w": [0]}}, {}, "has the arrays b, w, expected w"),
    (
        "fedAverageAgent",
        {"updates": [{**UPDATE, "weights": {**W, "b": [float("nan"), 0]}}], "weights": W},
        {},
        "all were refused[\\s\\S]*it holds NaN",
    ),
    ("fedAverageAgent", {"updates": [UPDATE], "weights": W}, {"rule": "krum"}, "1 updates cannot tolerate 0"),
    ("fedAverageAgent", {"updates": [UPDATE], "weights": W}, {"rule": "best"}, "params.rule: "),
    ("gradientAgent", {"site": "a", "weights": {"v": [0]}}, {"data": "coins"}, "do not fit together"),
    (
        "sgdStepAgent",
        {"gradients": [{"gradient": W}], "weights": W},
        {},
        r"gradients\[0\].n: expected a number",
    ),
    ("consensusStepAgent", {"row": NODE, "all": [NODE]}, {}, "the neighbour 1: expected {id, x, near}"),
    ("consensusStepAgent", {"row": 1, "all": [NODE]}, {}, "inputs.row: expected {id, x, near}"),
    ("spreadAgent", {"rows": [{"x": 1}, {"x": [1]}]}, {}, "the values have different shapes"),
    ("spreadAgent", {"rows": [{"x": float("nan")}, {"x": 1}]}, {}, "a value is NaN"),
    ("gossipAgent", {"rows": [NODE]}, {}, "inputs.rows: expected {id, x, near}"),
    ("bidAgent", {"who": {}, "text": "{}"}, {}, "inputs.who: expected {name, limit}"),
    ("bidAgent", {"who": {"name": "a"}, "text": "no idea"}, {}, "there is no JSON object in 'no idea'"),
    ("bidAgent", {"who": {"name": "a"}, "text": "{ no } idea"}, {}, "there is no JSON object in"),
    ("negotiationAgent", {"turns": 1}, {}, "inputs.turns: expected the results of bidAgent"),
    ("negotiationAgent", {"turns": [{"offer": 1}]}, {}, r"inputs.turns\[0\]: expected {who, offer}"),
    ("negotiationAgent", {"turns": [], "transcript": 1}, {}, "inputs.transcript: expected the list"),
    ("splitAgent", {"items": 3}, {}, "inputs.items: expected a list"),
    ("splitAgent", {"items": [1]}, {"size": "h"}, r"inputs.items\[0\]: expected an object with 'h'"),
    ("criticAgent", {"solution": 1}, {"schema": {"type": 3}}, "params.schema: 3 is not valid"),
    ("mergeAgent", {"parts": [{"solution": []}, {"solution": {}}]}, {}, "all lists, or all objects"),
    ("psoBirthAgent", {}, {"low": 1, "high": 0}, "params.low 1.* is above params.high 0"),
    ("psoMoveAgent", {"me": {"id": 9}, "all": [PARTICLE]}, {}, "inputs.me: expected one of `all`"),
    (
        "psoMoveAgent",
        {"me": PARTICLE, "all": [{**PARTICLE, "value": None}]},
        {},
        r"all\[0\].value: expected a number",
    ),
    ("psoBestAgent", {"scored": [PARTICLE]}, {}, r"scored\[0\].score: expected a number, got nothing"),
    ("antTourAgent", {"town": {"cities": [[0, 0]]}, "ant": 0}, {}, "at least two cities"),
    ("antTourAgent", {"town": {**TOWN, "pheromone": [1]}, "ant": 0}, {}, "a number for each two cities"),
    ("antTourAgent", {"town": 1, "ant": 0}, {}, "inputs.town: expected {cities, pheromone, best}"),
    (
        "antTrailAgent",
        {"town": TOWN, "tours": [{"tour": [0, 0], "length": 1}]},
        {},
        "expected a tour through 2 cities, each once",
    ),
    ("assignAgent", {"orders": [{"id": 1}], "depots": [STOP]}, {}, r"orders\[0\].at: expected \[x, y\]"),
    (
        "assignAgent",
        {"orders": [STOP, STOP], "depots": [{**STOP, "capacity": 1}]},
        {},
        "no room for the order 1",
    ),
    ("routeAgent", {"depot": STOP}, {}, "expected a depot with its orders"),
    ("swapAgent", {"routes": [STOP]}, {}, r"inputs.routes\[0\]: expected {depot, at, stops, cost}"),
    ("sqlAgent", {}, {"data": "pos", "query": "salaries"}, "this worker has no query 'salaries'"),
    ("sqlAgent", {}, {"data": "hr", "query": "stock_of_item"}, "this worker has no database 'hr'"),
    ("sqlAgent", {"store": ["s1"]}, {"data": "pos", "query": "stock_of_item"}, "inputs.store: a query takes"),
    (
        "sqlAgent",
        {"store": "s1"},
        {"data": "pos", "query": "stock_of_item"},
        "the query 'stock_of_item': .*item",
    ),
    ("sqlAgent", {}, {"data": "pos", "query": "drop"}, "attempt to write a readonly database"),
    ("sqlAgent", {}, {"data": "gone", "query": "everything"}, "the database 'gone': unable to open"),
    ("sqlAgent", {}, {"data": "pos", "query": "everything"}, "gives more than 10,000 rows"),
    ("stockRuleAgent", {"stock": 3}, {}, "inputs.velocity: expected a number, got nothing"),
    ("stockRuleAgent", {"stock": 3, "velocity": 1}, {"safetyFactor": 0}, "params.safetyFactor: "),
    ("confidenceAgent", {"scores": []}, {}, "expected a finite number for each class"),
    ("confidenceAgent", {"scores": [1, float("nan")]}, {}, "expected a finite number for each class"),
]


@pytest.mark.parametrize(("name", "inputs", "params", "message"), REFUSED, ids=[case[3] for case in REFUSED])
def test_refused(name: str, inputs: Any, params: Any, message: str) -> None:
    with pytest.raises(AgentError, match=message):
        called(name, inputs, params)


def test_the_hint_where_nothing_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_DATASETS", {})
    with pytest.raises(FinalError) as caught:
        plugins.dataset_of("cards")
    assert caught.value.hint == "a module passed with --agents registers one with @dataset"


def test_a_graph_cannot_paste_sql() -> None:
    inputs = {"store": "s1' or '1' = '1", "item": "milk"}
    assert called("sqlAgent", inputs, {"data": "pos", "query": "stock_of_item"}) == {
        "rows": [],
        "value": None,
    }


def trained(site: str, **more: Any) -> Any:
    inputs = {"weights": W, "site": site, "round": 2}
    return called("fedTrainAgent", inputs, {"data": "coins", "batch": 2, **more})


def test_another_attempt_gives_the_same_bits() -> None:
    assert trained("a") == trained("a")
    assert {key: trained("a", send="delta")[key] for key in ("n", "loss")} == {
        "n": 2,
        "loss": trained("a")["loss"],
    }


def keys() -> dict[str, str]:
    import base64

    from perdure.agents.distributed.maths.signatures import public_key
    from perdure.agents.distributed.training import signing_key

    return {site: base64.b64encode(public_key(signing_key(site))).decode() for site in ("a", "b")}


FORGERIES: dict[str, Any] = {
    "other weights": lambda row: {**row, "weights": {**row["weights"], "b": [1.0, 1.0]}},
    "another weight": lambda row: {**row, "n": 1000},
    "another site": lambda row: {**row, "site": "b"},
    "an unknown site": lambda row: {**row, "site": "c"},
    "an old round": lambda row: {**row, "round": 1},
    "no signature": lambda row: {**row, "signature": ""},
    "not base64": lambda row: {**row, "signature": "?"},
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_forged_updates_are_refused_and_listed(forge: Any) -> None:
    rows = [forge(trained("a", sign=True)), trained("b", sign=True)]
    result = called("fedAverageAgent", {"updates": rows, "weights": W, "round": 2}, {"keys": keys()})
    assert result["accepted"] == ["b"]
    assert [row["site"] for row in result["refused"]] == [rows[0]["site"]]
    assert result["weights"] == rows[1]["weights"]


def test_an_update_of_another_run_is_refused() -> None:
    rows = [trained("a", sign=True)]
    context = AgentContext(agent="fedAverageAgent", run="run-2")
    inputs = {"updates": rows, "weights": W, "round": 2}
    with pytest.raises(FinalError, match="all were refused"):
        AGENTS["fedAverageAgent"].call(inputs, {"keys": keys()}, context)


def test_late_updates_count_less() -> None:
    rows = [{**UPDATE, "delta": {"b": [1, 1], "w": [[1, 1]]}, "round": number} for number in (5, 2)]
    for row in rows:
        del row["weights"]
    result = called("fedAverageAgent", {"updates": rows, "weights": W, "round": 5}, {"rule": "buffer"})
    assert (result["weights"]["b"], result["ages"]) == ([0.75, 0.75], [0, 3])


def test_weights_that_are_late_are_no_update() -> None:
    inputs = {"updates": [{**UPDATE, "round": 2}], "weights": W, "round": 5}
    with pytest.raises(
        FinalError, match=r"updates\[0\].weights: the update is late[^$]*hint: set send: delta"
    ):
        called("fedAverageAgent", inputs, {"rule": "buffer"})


def test_noise_is_secret_and_repeats() -> None:
    inputs = {"updates": [UPDATE], "weights": W}
    results: list[Any] = []
    for secret in (b"x" * 32, b"x" * 32, b"y" * 32):
        plugins.site_secret(lambda site, secret=secret: secret)
        results.append(called("fedAverageAgent", inputs, {"rule": "private"})["weights"])
    plugins.site_secret(lambda site: str(site).encode() * 32)
    assert results[0] == results[1] != results[2]


def test_a_round_that_costs_too_much_is_refused() -> None:
    params = {"limit": 6, "noise": 2, "delta": 1e-5}
    rounds = [called("dpAccountantAgent", {"round": number}, params) for number in range(3)]
    assert [each["epsilon"] for each in rounds] == sorted({each["epsilon"] for each in rounds})
    last = next(
        number for number in range(50) if not called("dpAccountantAgent", {"round": number}, params)["more"]
    )
    with pytest.raises(FinalError, match=f"round {last + 1} would cost ε .* in all, more than 6"):
        called("dpAccountantAgent", {"round": last + 1}, params)


def test_the_server_remembers() -> None:
    inputs: dict[str, Any] = {"updates": [{**UPDATE, "weights": {"b": [1, 1], "w": [[1, 1]]}}], "weights": W}
    first = called("fedAverageAgent", inputs, {"optimizer": "adam", "eta": 0.1})
    again = called(
        "fedAverageAgent", {**inputs, "server": first["server"]}, {"optimizer": "adam", "eta": 0.1}
    )
    assert first["server"]["rounds"] == 1
    assert again["server"]["rounds"] == 2
    assert again["weights"]["b"][0] > first["weights"]["b"][0] > 0


@pytest.mark.parametrize(
    ("rule", "rounds", "why"),
    [
        ("majority", [[1, 2], [2, 2]], "2 of 2 agree"),
        ("monotonicConcession", [[90, 60], [80, 70], [76, 74]], "2 offers meet"),
        ("monotonicConcession", [[90, 60], [80, 70], [80, 70]], "deadlock: no party moved"),
        (
            "monotonicConcession",
            [[90, 60], [85, 61], [84, 62], [83, 63]],
            "too far apart; no rounds are left",
        ),
        ("contractNet", [[90, 60]], "the lowest of 2 bids"),
        ("majority", [[1, 2], [], [], []], "no party made an offer; no rounds are left"),
    ],
)
def test_a_negotiation_ends(rule: str, rounds: list[list[float]], why: str) -> None:
    transcript: list[Any] = []
    params = {"rule": rule, "majority": 2, "rounds": 4, "tolerance": 5}
    for number, offers in enumerate(rounds):
        turns = [{"who": "ab"[at], "offer": offer, "accept": []} for at, offer in enumerate(offers)]
        verdict = called(
            "negotiationAgent", {"turns": turns, "transcript": transcript, "round": number}, params
        )
        transcript = verdict["transcript"]
        assert verdict["open"] == (number + 1 < len(rounds))
    assert why in verdict["why"]


def test_a_party_cannot_take_back_what_it_conceded() -> None:
    transcript: list[Any] = []
    for number, offers in enumerate([[90, 60], [80, 60], [95, 60]]):
        turns = [{"who": "ab"[at], "offer": offer} for at, offer in enumerate(offers)]
        inputs = {"turns": turns, "transcript": transcript, "round": number}
        transcript = called("negotiationAgent", inputs, {"rule": "monotonicConcession"})["transcript"]
    assert [record["offers"]["a"] for record in transcript] == [90, 80, 80]
    assert [record["retreated"] for record in transcript] == [[], [], ["a"]]


def swarm_of(params: dict[str, Any]) -> tuple[float, int]:
    swarm = called("psoBirthAgent", {}, {"particles": 15, "dimensions": 2, "low": -5, "high": 5, "seed": 3})[
        "swarm"
    ]
    for step in range(100):
        scored = [{**each, "score": sum(x * x for x in each["x"])} for each in swarm]
        best = called("psoBestAgent", {"scored": scored, "step": step}, {"steps": 100, "tolerance": 1e-6})
        if not best["more"]:
            break
        swarm = [
            called("psoMoveAgent", {"me": each, "all": best["swarm"], "step": step}, params)
            for each in best["swarm"]
        ]
    return best["value"], best["steps"]


@pytest.mark.parametrize("topology", ["ring", "all"])
def test_a_swarm_finds_the_least_of_the_sphere(topology: str) -> None:
    value, steps = swarm_of({"topology": topology, "seed": 3})
    assert value <= 1e-6
    assert steps < 100
    assert swarm_of({"topology": topology, "seed": 3}) == (value, steps)


def test_ants_come_close_to_the_shortest_tour() -> None:
    """Cities on a circle, in a random order: the shortest tour is known."""
    order = np.random.default_rng(1).permutation(50)
    angles = 2 * np.pi * order / 50
    town: Any = {"cities": np.stack([np.cos(angles), np.sin(angles)], axis=1).tolist()}
    for step in range(4):
        tours = [
            called("antTourAgent", {"town": town, "ant": ant, "step": step}, {"improve": True, "seed": 5})
            for ant in range(8)
        ]
        trail = called("antTrailAgent", {"town": town, "tours": tours, "step": step})
        town = trail["town"]
    shortest = 50 * 2 * np.sin(np.pi / 50)
    assert shortest - 1e-9 <= trail["length"] <= 1.03 * shortest


def test_routes_are_those_of_ortools() -> None:
    rng = np.random.default_rng(2)
    orders = [{"id": number, "at": rng.uniform(-9, 9, 2).tolist()} for number in range(12)]
    depot = {"id": "d", "at": [0, 0], "orders": orders}
    ours = called("routeAgent", {"depot": depot})
    theirs = called("routeAgent", {"depot": depot}, {"solver": "ortools", "seconds": 0.3})
    assert theirs["cost"] <= ours["cost"] <= 1.1 * theirs["cost"]
    assert {stop["id"] for stop in theirs["stops"]} == set(range(12))


@pytest.mark.parametrize(
    ("sizes", "skew"), [([4] * 6, 1), ([9, 1, 1, 1, 1, 1], 27 / 14), ([], 1), ([0, 0], 1)]
)
def test_a_split_shows_its_skew(sizes: list[int], skew: float) -> None:
    items = [{"h": size} for size in sizes]
    result = called("splitAgent", {"items": items}, {"parts": 3, "by": "size", "size": "h"})
    assert result["skew"] == pytest.approx(skew)
    assert sorted(item["h"] for part in result["parts"] for item in part["items"]) == sorted(sizes)


def test_a_temperature_lowers_the_confidence() -> None:
    cold = called("confidenceAgent", {"scores": [2, 0]}, {"temperature": 1})
    warm = called("confidenceAgent", {"scores": [2, 0]}, {"temperature": 2})
    assert cold["confidence"] > warm["confidence"] == pytest.approx(1 / (1 + np.exp(-1)))
    assert (cold["unsure"], warm["unsure"]) == (False, True)
