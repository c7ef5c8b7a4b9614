"""Results as a terminal shows them: long lists cut, numbers rounded. What is piped on is never touched."""

from __future__ import annotations

from typing import Final

from perdure.graph.values import Value, is_dict, is_list, is_number

ITEMS_COUNT: Final = 20
"""Items of a list that are shown."""
NUMBERS_COUNT: Final = 5
"""The same for a list of numbers only, such as an embedding."""
SIGNIFICANT_DIGITS_COUNT: Final = 6


def shortened(value: Value) -> Value:
    """`value` with at most a few items in each list, and floats with a few digits."""
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS_COUNT}g}")
    if is_dict(value):
        return {key: shortened(item) for key, item in value.items()}
    if not is_list(value):
        return value
    numbers = all(is_number(item) for item in value)
    most = NUMBERS_COUNT if numbers else ITEMS_COUNT
    if len(value) <= 2 * most:  # a few more lines cost less than a mark
        return [shortened(item) for item in value]
    what = "numbers" if numbers else "items"
    return [*(shortened(item) for item in value[:most]), f"... {len(value) - most} more {what}"]
