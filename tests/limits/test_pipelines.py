"""The limits of training pipelines."""

from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import AgentContext
from perdure.agents.distributed.maths import profiles
from perdure.agents.distributed.pipeline.examples import _table
from perdure.errors import FinalError
from perdure.settings import Settings


def schema_of(kinds: int) -> dict[str, Any]:
    """The rule of a column with this many strings, each three times."""
    column: Any = [f"k{number:03}" for number in range(kinds)] * 3
    return profiles.inferred(profiles.statistics({"kind": column}))["columns"]["kind"]


def test_strings_that_a_column_admits() -> None:
    assert len(schema_of(100)["values"]) == 100
    assert "values" not in schema_of(101)


def test_strings_that_an_anomaly_names() -> None:
    column: Any = list("abcdefgh")
    rule = {"columns": {"kind": {"kind": "string", "required": True, "values": ["a", "b"]}}}
    (anomaly,) = profiles.anomalies(profiles.statistics({"kind": column}), rule)
    assert "'c', 'd', 'e', 'f', 'g', ..." in str(anomaly)


def test_bytes_of_a_table(tmp_path: Path) -> None:
    with (tmp_path / "t.csv").open("wb") as file:
        file.truncate(20_000_001)
    with pytest.raises(FinalError, match="20"):
        _table({"file": "t.csv"}, AgentContext(settings=Settings(file_root=tmp_path)))
