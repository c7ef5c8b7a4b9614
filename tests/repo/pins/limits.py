"""Every number that is a constant of a module."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tests.support.constants import numbers


def limits() -> Iterator[str]:
    """A line for each."""
    for module, name, value in numbers():
        shown = f"{value.total_seconds():g} s" if isinstance(value, timedelta) else f"{value:_}"
        yield f"{module}.{name} = {shown}"
