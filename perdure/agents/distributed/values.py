"""What agents read of their inputs, with errors that name the place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from perdure.agents.blobs import opened
from perdure.agents.distributed.maths.tensors import Array, Tensors
from perdure.errors import FinalError
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, is_number


def array_of(value: Value, place: str) -> Array:
    """An array, or nested lists of numbers, which become doubles. Raises FinalError for anything else."""
    value = opened(value)
    if isinstance(value, np.ndarray):
        return cast(Array, value)
    try:
        array: Array = np.array(value, np.float64 if is_list(value) or is_number(value) else None)
    except (ValueError, TypeError):
        array = np.array(None)
    if array.dtype.kind != "f":
        raise FinalError(f"{place}: expected an array, or lists of numbers of equal lengths")
    return array


def tensors_of(value: Value, place: str) -> Tensors:
    """Named arrays, sorted by name, so that every sum, digest and flat vector has one order."""
    value = opened(value)
    if not is_dict(value) or not value:
        raise FinalError(
            f"{place}: expected an object of named arrays, got {_kind(value)}",
            hint="pass the weights that fedInitAgent, fedTrainAgent or fedAverageAgent returned",
        )
    return {name: array_of(value[name], f"{place}.{name}") for name in sorted(value)}


def optional(inputs: Mapping[str, Value], name: str, default: Any = None) -> Any:
    """The input `name`, or the default if it is missing or null."""
    value = inputs.get(name, UNDEFINED)
    return default if value is None or value is UNDEFINED else value


def number_of(inputs: Mapping[str, Value], name: str, place: str, default: float | None = None) -> float:
    """A finite number among the inputs. Raises FinalError for anything else, or without a default."""
    value = optional(inputs, name, default)
    if not is_number(value) or not math.isfinite(value):
        raise FinalError(f"{place}.{name}: expected a number, got {_kind(inputs.get(name, UNDEFINED))}")
    return value


def count_of(inputs: Mapping[str, Value], name: str, place: str, default: int | None = None) -> int:
    """A whole number from 0 among the inputs."""
    value = number_of(inputs, name, place, default)
    if value < 0 or value != int(value):
        raise FinalError(f"{place}.{name}: expected a whole number from 0, got {value}")
    return int(value)


def rows_of(inputs: Mapping[str, Value], name: str, place: str) -> list[dict[str, Value]]:
    """A list of objects among the inputs. Raises FinalError for anything else, or for an empty list."""
    value = inputs.get(name, UNDEFINED)
    if not is_list(value) or not all(map(is_dict, value)):
        raise FinalError(f"{place}.{name}: expected a list of objects, got {_kind(value)}")
    if not value:
        raise FinalError(f"{place}.{name}: the list is empty", hint="check which rows were missing")
    return value


def site_of(inputs: Mapping[str, Value], place: str) -> int | str:
    """The name of a site: a whole number from 0, or a string that is not empty."""
    site: Any = inputs.get("site", UNDEFINED)
    if isinstance(site, str):
        if site:
            return site
    elif is_number(site) and site >= 0 and site == int(site):
        return int(site)
    raise FinalError(f"{place}.site: expected the name or number of a site, got {_kind(site)}")


def _kind(value: Value) -> str:
    if value is UNDEFINED or value is None:
        return "nothing"
    if isinstance(value, str | bool | int | float):
        return repr(value)[:60]
    return f"a list of {len(value)}" if is_list(value) else f"a value of type {type(value).__name__}"
