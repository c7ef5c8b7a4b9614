"""The steps of a training pipeline, each alone: data that is wrong, models that are not good enough."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from perdure.agents.agent import AgentContext
from perdure.agents.distributed.maths import evaluate, features, profiles, tables
from perdure.agents.distributed.pipeline.models import judge, train, transform
from perdure.agents.distributed.pipeline.publishing import current_model, push
from perdure.agents.distributed.pipeline.registry import Registry
from perdure.errors import FinalError, UsageError
from perdure.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.unit]

MACHINES = "kind,load,failed\n" + "".join(
    f"{('lathe', 'mill')[row % 2]},{row * 7 % 31},{'yes' if row * 7 % 31 > 15 else 'no'}\n"
    for row in range(90)
)


def test_a_table_is_read_by_column() -> None:
    columns = tables.read_csv('\ufeffa,b\n1,"x, y"\n\n,\n'.lstrip("\ufeff"))
    assert columns["b"] == ["x, y", None]
    np.testing.assert_array_equal(columns["a"], [1, np.nan])


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "the table is empty"),
        ("a,a\n1,2\n", "two columns have the same name"),
        ("a,b\n1,2\n3\n", "line 3: 1 cells, expected 2"),
    ],
)
def test_what_is_no_table(text: str, finding: str) -> None:
    with pytest.raises(FinalError, match=finding):
        tables.read_csv(text)


def test_rows_that_are_added_move_no_other() -> None:
    shares = {"train": 0.7, "eval": 0.3}
    lines = [f"{row},{row * row % 17}" for row in range(400)]
    before = tables.dealt(tables.read_csv("\n".join(["a,b", *lines[:300]])), shares, 3)
    after = tables.dealt(tables.read_csv("\n".join(["a,b", *lines])), shares, 3)
    for name in shares:
        kept = [*before[name]["a"]]
        assert [*after[name]["a"]][: len(kept)] == kept
    assert 60 < len(before["eval"]["a"]) < 120
    assert [*tables.dealt(tables.read_csv("a\n1\n2\n3"), {"x": 0.5, "y": 0.5}, 0)] == ["x", "y"]


@pytest.mark.parametrize("shares", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}])
def test_shares_that_are_none(shares: dict[str, float]) -> None:
    with pytest.raises(FinalError, match="must be above 0 and add up to 1"):
        tables.dealt(tables.read_csv("a\n1"), shares, 0)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (MACHINES, []),
        ("kind,load,failed\n", ["empty", "missing", "missing", "missing"]),
        ("load,failed\n3,no\n", ["missing"]),
        ("kind,load,failed,extra\nmill,3,no,1\n", ["unexpected"]),
        ("kind,load,failed\nmill,high,no\n", ["kind"]),
        ("kind,load,failed\nmill,,no\nmill,3,no\n", ["missing"]),
        ("kind,load,failed\nmill,91,no\n", ["range"]),
        ("kind,load,failed\nsaw,3,no\n", ["values"]),
    ],
)
def test_anomalies(text: str, kinds: list[str]) -> None:
    schema = profiles.inferred(profiles.statistics(tables.read_csv(MACHINES)))
    schema = profiles.pinned(schema, {"load": {"min": 0, "max": 90}})
    of = profiles.anomalies(profiles.statistics(tables.read_csv(text)), schema)
    assert [one["kind"] for one in of] == kinds


def test_pins_replace_what_was_inferred() -> None:
    schema = {
        "columns": {"a": {"kind": "number", "required": True}, "b": {"kind": "string", "required": True}}
    }
    assert profiles.pinned(schema, {"a": {"required": False}, "b": None}) == {
        "columns": {"a": {"kind": "number", "required": False}}
    }
    with pytest.raises(FinalError, match=r"pinned\.a: expected kind, required"):
        profiles.pinned(schema, {"a": {"least": 1}})


def test_what_is_asked_is_scaled_as_what_was_learned() -> None:
    learned = tables.read_csv("size,colour,y\n1,red,a\n3,blue,b\n")
    graph = features.fitted(learned, ["size"], ["colour"], "y")
    assert graph == json.loads(json.dumps(graph))
    x, y = features.applied(tables.read_csv("size,colour,y\n5,green,b\n,red,a\n"), graph)
    assert x.tolist() == [[3, 0, 0], [0, 0, 1]]
    assert y.tolist() == [1, 0]
    with pytest.raises(FinalError, match="have no label 'c'"):
        features.applied(tables.read_csv("size,colour,y\n5,red,c\n"), graph)


def test_the_area_under_the_curve_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    for size in (2, 9, 200):
        scores = rng.integers(0, 7, size).astype(np.float64)
        positive = np.arange(size) % 2 == 0
        assert evaluate.auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    with pytest.raises(FinalError, match="both classes"):
        evaluate.auc(np.zeros(3), np.ones(3, bool))


def called(function: Any, inputs: Any, params: Any = None, context: AgentContext | None = None) -> Any:
    return function.agent.call(inputs, params or {}, context or AgentContext())


def trained(seed: int = 0) -> Any:
    splits = tables.dealt(tables.read_csv(MACHINES), {"train": 0.7, "eval": 0.3}, 0)
    params = {"scale": ["load"], "categories": ["kind"], "label": "failed"}
    made = called(transform, {"examples": splits}, params)
    return {**made, **called(train, made, {"epochs": 5, "seed": seed})}


def test_a_model_has_to_be_good_enough_and_no_worse() -> None:
    made = trained()
    worse = {**made["model"], "weights": {name: -array for name, array in made["model"]["weights"].items()}}

    def judged(model: Any, baseline: Any = None, **params: Any) -> Any:
        inputs = {"model": model, "baseline": baseline, "examples": made["examples"]}
        return called(judge, inputs, {"metric": "accuracy", **params})

    good = judged(made["model"], worse, least=0.8)
    assert (good["blessed"], good["report"]["reason"]) == (True, "")
    assert judged(made["model"], made["model"])["blessed"]
    assert judged(worse, least=0.8)["report"]["reason"].endswith("is below 0.8")
    assert "is not as good: the model in use has" in judged(worse, made["model"])["report"]["reason"]
    assert "is not better by 0.1" in judged(made["model"], made["model"], better=0.1)["report"]["reason"]


def test_slices_show_what_a_mean_hides() -> None:
    made = trained()
    splits = tables.dealt(tables.read_csv(MACHINES), {"train": 0.7, "eval": 0.3}, 0)
    inputs = {"model": made["model"], "examples": made["examples"], "tables": splits}
    report = called(judge, inputs, {"slices": ["kind"]})["report"]
    assert sum(part["n"] for part in report["slices"]["kind"].values()) == report["n"]
    assert set(report["slices"]["kind"]) == {"lathe", "mill"}


@pytest.mark.parametrize(
    ("change", "params", "finding"),
    [
        ({"tables": {"train": {"kind": ["mill"]}}}, {"slices": ["kind"]}, "inputs.tables.eval: expected the"),
        ({"tables": {"eval": {"kind": ["mill"]}}}, {"slices": ["kind"]}, "inputs.tables.eval: expected the"),
        ({}, {"slices": ["kind"]}, "inputs.tables: expected an object"),
        ({"graph": None}, {"metric": "auc", "positive": "yes"}, r"inputs.model.graph: expected \{label\}"),
        ({}, {"metric": "auc", "positive": "perhaps"}, "params.positive: 'perhaps' is none of the model's"),
    ],
)
def test_what_does_not_belong_to_the_model_is_named(change: Any, params: Any, finding: str) -> None:
    made = trained()
    model = {name: part for name, part in made["model"].items() if name not in change}
    inputs = {"model": model, "examples": made["examples"], **change}
    with pytest.raises(FinalError, match=f"evaluateAgent: {finding}[^$]*hint: "):
        called(judge, inputs, params)


@pytest.fixture
def context(tmp_path: Path) -> AgentContext:
    return AgentContext(settings=Settings(home=tmp_path), run="r", idempotency_key="call")


async def pushed(context: AgentContext, model: Any, **inputs: Any) -> Any:
    return await called(push, {"model": model, **inputs}, {"name": "failures"}, context)


async def test_a_model_is_published_and_read(context: AgentContext) -> None:
    made = trained()
    missing = await called(current_model, {}, {"name": "failures", "missing": "empty"}, context)
    assert missing == {"exists": False, "model": None, "version": None, "lineage": None}
    with pytest.raises(FinalError, match="no model 'failures' with the alias 'blessed'"):
        await called(current_model, {}, {"name": "failures"}, context)
    done = await pushed(context, made["model"], expected=None, lineage={"auc": 0.9})
    read = await called(current_model, {}, {"name": "failures"}, context)
    assert (read["exists"], read["version"], read["lineage"]) == (True, done["version"], {"auc": 0.9})
    assert read["model"]["graph"] == made["model"]["graph"]
    for name, array in made["model"]["weights"].items():
        np.testing.assert_array_equal(read["model"]["weights"][name], array)


async def test_of_many_that_replace_the_same_model_one_does(context: AgentContext) -> None:
    models = [
        {"weights": {"w": np.full(3, float(number))}, "kind": "softmax", "graph": {}} for number in range(12)
    ]
    calls = [
        pushed(replace(context, idempotency_key=f"call {number}"), model, expected=None)
        for number, model in enumerate(models)
    ]
    done = await asyncio.gather(*calls, return_exceptions=True)
    won = [one for one in done if isinstance(one, dict)]
    assert [one["number"] for one in won] == [1]
    assert all("by now, expected nothing" in str(one) for one in done if not isinstance(one, dict))
    read = await called(current_model, {}, {"name": "failures"}, context)
    assert read["version"] == won[0]["version"]
    free = await asyncio.gather(*(pushed(context, model) for model in models))
    assert len({one["number"] for one in free}) >= len(models) - 1


async def test_another_attempt_finds_what_was_published_although_another_run_followed(
    context: AgentContext,
) -> None:
    first, second = ({"weights": {"w": np.full(2, value)}, "kind": "softmax"} for value in (1.0, 2.0))
    done = await pushed(context, first, expected=None)
    await pushed(replace(context, idempotency_key="other"), second, expected=done["version"])
    assert await pushed(replace(context, attempt=2), first, expected=None) == done
    with pytest.raises(FinalError, match="by now, expected nothing"):
        await pushed(replace(context, idempotency_key="third", attempt=2), first, expected=None)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65])
async def test_names_stay_within_the_registry(context: AgentContext, name: str) -> None:
    with pytest.raises(FinalError, match="is not a name of a model"):
        await called(current_model, {}, {"name": name}, context)


async def test_an_address_that_is_wrong(context: AgentContext) -> None:
    settings = replace(context.settings, models="ftp://models")
    with pytest.raises(UsageError, match="PERDURE_MODELS=ftp://models: ") as caught:
        Registry.of(settings)
    assert caught.value.variable == "PERDURE_MODELS"
