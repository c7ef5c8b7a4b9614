"""Every recorded call of an agent: GraphAI's result, failure and message."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.catalog import catalog
from perdure.agents.shipped import sleeper
from tests.conformance.agents import difference_of, engine_agent

HERE = Path(__file__).parent
UPSTREAM = HERE.parents[1] / "../shared/conformance/upstream/agents.json"
AGENTS = catalog()
DEVIATIONS: dict[str, str] = json.loads((HERE / "deviations.json").read_text(encoding="utf-8"))["agents"]


@dataclass(frozen=True)
class Case:
    """One recorded call; `key` is what deviations.json calls it."""

    key: str
    body: dict[str, Any]


def recorded(path: Path, source: str) -> list[Any]:
    if not path.exists():
        reason = f"the recordings of {source} are not here"
        return [pytest.param(Case(source, {}), id=source, marks=pytest.mark.skip(reason=reason))]
    bodies = json.loads(path.read_text(encoding="utf-8"))
    return [
        pytest.param(Case(f"{source}/{index}", body), id=f"{source}-{index}-{body['agent']}")
        for index, body in enumerate(bodies)
    ]


CASES = [*recorded(HERE / "own/agents.json", "own"), *recorded(UPSTREAM, "upstream")]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "test.txt").write_text("hello\n")
    return tmp_path


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(seconds: float) -> None:
        assert seconds >= 0

    monkeypatch.setattr(sleeper, "rest", at_once)


@pytest.mark.anyio
@pytest.mark.parametrize("case", CASES)
async def test_recorded_call(case: Case, files: Path) -> None:
    name = case.body["agent"]
    body = json.loads(json.dumps(case.body).replace("{{FILES}}", str(files)))
    difference = await difference_of(engine_agent(name) or AGENTS[name], body, files)
    if case.key in DEVIATIONS:
        assert difference, f"{case.key} deviates no longer: remove it from deviations.json"
    else:
        assert not difference


def test_deviations_are_of_known_cases() -> None:
    assert set(DEVIATIONS) <= {param.values[0].key for param in CASES}
