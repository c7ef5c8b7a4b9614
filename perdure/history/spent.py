"""What a run has used and cost so far, of its read model. Results that were reused cost nothing."""

from __future__ import annotations

from perdure.engine.granting.prices import Prices, Spent
from perdure.history.model import RunModel
from perdure.settings import Settings
from perdure.settings.price_file import read_price_file


def prices_of(settings: Settings) -> Prices:
    """The user's own table of prices, an empty one if there is none. Raises UsageError."""
    return Prices.read(read_price_file(settings.prices), settings.prices)


def spent_by_node(model: RunModel, prices: Prices) -> dict[str, Spent]:
    """What the calls with a result used, by the address of their node: those that say so."""
    spent: dict[str, Spent] = {}
    calls = [
        (call.command.key, call.result, call.command.params) for call in model.calls if call.recalled is None
    ]
    if model.problem is not None:  # there are no calls
        calls = [(node.address, node.result, node.params) for node in model.nodes.values()]
    for address, result, params in calls:
        used = prices.spent(result, params)
        if used.tokens:
            spent[address] = spent.get(address, Spent()) + used
    return spent


def total(spent: dict[str, Spent]) -> Spent:
    """The sum."""
    return sum(spent.values(), Spent())
