"""Libraries of the extras: imported when an agent needs one, with an error that says what to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from perdure.errors import FinalError
from perdure.version import installation


def library(module: str, extra: str) -> Any:
    """The module. Raises FinalError, with the name of the `extra`, if it is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise FinalError(
            f"the library {error.name} is not installed on this worker",
            hint=f"install it with: {installation(extra)}",
        ) from None
