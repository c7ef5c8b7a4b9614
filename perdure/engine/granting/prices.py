"""What calls of language models have used, and what that cost by a table of the user's own.

No prices are built in: they change, and a wrong number is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from perdure.errors import UsageError
from perdure.graph.values import Value, is_dict, is_number

_SIDES: Final = {
    "input": ("prompt_tokens", "input_tokens"),
    "output": ("completion_tokens", "output_tokens"),
}
_RATES: Final = "rates"
_TOKENS_PER_PRICE_COUNT: Final = 1_000_000

MAX_TOKEN_COUNT: Final = 10**12
"""Tokens that a call counts at most: an answer may say that it has used infinitely many."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a call, or several, used: tokens as the models counted them, and money, 0 where it is unknown."""

    tokens: float = 0.0
    money: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.tokens + other.tokens, self.money + other.money)


@dataclass(frozen=True, slots=True)
class Rates:
    """What is paid besides tokens: an hour of a worker, a gigabyte that is moved, a run of the server."""

    worker_hour: float = 0.0
    gigabyte: float = 0.0
    run: float = 0.0

    def cost(self, worker_hours: float, byte_count: float, runs: int) -> float:
        """Of all of these together."""
        return worker_hours * self.worker_hour + byte_count / 1e9 * self.gigabyte + runs * self.run


@dataclass(frozen=True, slots=True)
class Prices:
    """The price of a million tokens, by model and by side: input and output. Empty by default.

    `rates` are the prices of the rest.
    """

    by_model: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    rates: Rates = Rates()

    @classmethod
    def read(cls, table: Mapping[str, Value], place: str) -> Prices:
        """The prices in a table like ``{"gpt-5": {"input": 1.25, "output": 10}}``. Raises UsageError.

        The table "rates" has the fields of Rates.
        """
        rates = _rates(table[_RATES], place) if _RATES in table else Rates()
        table = {model: prices for model, prices in table.items() if model != _RATES}
        for model, prices in table.items():
            numbers = prices.values() if is_dict(prices) else [None]
            if not all(isinstance(number, int | float) and number >= 0 for number in numbers) or (
                is_dict(prices) and prices.keys() - _SIDES.keys()
            ):
                hint = f'["{model}"] with input = 1.25 and output = 10, for a million tokens'
                raise UsageError(f"{place}: the prices of {model!r} cannot be read", hint=hint)
        return cls({model: dict(prices) for model, prices in table.items()}, rates)

    def spent(self, result: Value, params: Value = None) -> Spent:
        """What the call used that has this result, and had these params."""
        usage = result.get("usage") if is_dict(result) else None
        if not is_dict(usage):
            return Spent()
        prices = self._of(next(_names(result, params), ""))
        money = sum(_first(usage, names) * prices.get(side, 0.0) for side, names in _SIDES.items())
        return Spent(_tokens(usage), money / _TOKENS_PER_PRICE_COUNT)

    def estimate(self, params: Mapping[str, Value], prompt: float, answer: float) -> Spent:
        """What a call may use of these tokens: of a model without a name, at the highest prices there are."""
        model = params.get("model")
        named = self._of(model) if isinstance(model, str) else None
        tables: list[Mapping[str, float]] = [named] if named else [*self.by_model.values()]
        money = 0.0
        for side, count in (("input", prompt), ("output", answer)):
            money += count * max((table.get(side, 0.0) for table in tables), default=0.0)
        return Spent(prompt + answer, money / _TOKENS_PER_PRICE_COUNT)

    def _of(self, model: str) -> Mapping[str, float]:
        """The prices of a model, or of the longest name that begins its own: gpt-5 for gpt-5-2025-08-07."""
        known = [name for name in self.by_model if name == model or model.startswith(f"{name}-")]
        return self.by_model[max(known, key=len)] if known else {}


def _rates(table: Value, place: str) -> Rates:
    by_name: Mapping[str, Value] = table if is_dict(table) else {"": None}
    numbers = {
        name: float(rate) for name, rate in by_name.items() if isinstance(rate, int | float) and rate >= 0
    }
    if len(numbers) < len(by_name) or numbers.keys() - {item.name for item in fields(Rates)}:
        hint = "[rates] with worker_hour = 0.12, gigabyte = 0.09 and run = 0.00025, each from 0 on"
        raise UsageError(f"{place}: the rates cannot be read", hint=hint)
    return Rates(**numbers)


def _names(result: Value, params: Value) -> Iterator[str]:
    """The model as the service has named it, or as it was asked for."""
    for holder in (result, params):
        name = holder.get("model") if is_dict(holder) else None
        if isinstance(name, str):
            yield name


def count_of(value: Value) -> float | None:
    """A number of tokens from an answer or a graph, MAX_TOKEN_COUNT at most; None where it is none."""
    if not is_number(value) or not value >= 0:  # NaN is not either
        return None
    return float(min(value, MAX_TOKEN_COUNT))


def _first(usage: Mapping[str, Value], names: tuple[str, ...]) -> float:
    """The first of these counts that is there."""
    counts = (count_of(usage.get(name)) for name in names)
    return next((count for count in counts if count is not None), 0.0)


def _tokens(usage: Mapping[str, Value]) -> float:
    """All of them."""
    return _first(usage, ("total_tokens",)) or sum(_first(usage, names) for names in _SIDES.values())
