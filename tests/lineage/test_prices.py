"""What calls used, and what that cost by a table of the user."""

from typing import Any

import pytest

from perdure.engine.granting.prices import Prices, Spent
from perdure.errors import UsageError

TABLE = Prices.read({"gpt-5": {"input": 1.25, "output": 10}, "gpt-5-mini": {"input": 0.25, "output": 2}}, "p")
OPENAI = {"usage": {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "total_tokens": 1_100_000}}


@pytest.mark.parametrize(
    ("result", "params", "spent"),
    [
        (OPENAI, {"model": "gpt-5"}, Spent(1_100_000, 2.25)),
        (OPENAI, {"model": "gpt-5-2025-08-07"}, Spent(1_100_000, 2.25)),
        (OPENAI, {"model": "gpt-5-mini-2025-08-07"}, Spent(1_100_000, 0.45)),
        (OPENAI, {"model": "gpt-55"}, Spent(1_100_000, 0.0)),
        (OPENAI, None, Spent(1_100_000, 0.0)),
        ({**OPENAI, "model": "gpt-5"}, {"model": "gpt-5-mini"}, Spent(1_100_000, 2.25)),
        ({"usage": {"input_tokens": 4, "output_tokens": 6}}, {}, Spent(10, 0.0)),
        ({"usage": {"total_tokens": "many"}}, {}, Spent(0, 0.0)),
        ({"usage": "much"}, {}, Spent()),
        ("text", {}, Spent()),
    ],
)
def test_a_call(result: Any, params: Any, spent: Spent) -> None:
    assert TABLE.spent(result, params) == spent


@pytest.mark.parametrize(
    "table", [{"m": 1}, {"m": {"input": "1"}}, {"m": {"input": -1}}, {"m": {"cached": 1}}, {"m": []}]
)
def test_a_table_that_is_wrong(table: Any) -> None:
    with pytest.raises(UsageError, match=r"prices\.toml: the prices of 'm' cannot be read"):
        Prices.read(table, "prices.toml")
