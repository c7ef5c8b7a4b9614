"""What the decorator of agents reads of a function or a class."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any, Final

ARGUMENTS: Final = ("inputs", "params", "context")


def state_and_function(
    name: str, declared: Callable[..., Any]
) -> tuple[type[Any] | None, Callable[..., Any]]:
    """The class of a stateful agent and its method, or None and the function."""
    if not isinstance(declared, type):
        return None, declared
    function = getattr(declared, "call", None)
    if not callable(function):
        raise TypeError(f"agent {name!r}: class {declared.__qualname__} has no method `call`")
    if hasattr(declared, "checkpoint") != hasattr(declared, "restore"):
        raise TypeError(f"agent {name!r}: {declared.__qualname__} has one of `checkpoint` and `restore`")
    return declared, function


def arguments_of(
    name: str, function: Callable[..., Any], state: type[Any] | None, blobs: Collection[str]
) -> tuple[str, ...]:
    """The arguments that the function takes. Raises TypeError for others, and where it cannot open blobs."""
    taken = tuple(inspect.signature(function).parameters)[0 if state is None else 1 :]
    strange = [argument for argument in taken if argument not in ARGUMENTS]
    if strange:
        raise TypeError(
            f"agent {name!r}: {function.__qualname__} takes {', '.join(strange)}; "
            f"an agent takes any of {', '.join(ARGUMENTS)}"
        )
    if blobs and inspect.iscoroutinefunction(function):
        raise TypeError(
            f"agent {name!r}: {function.__qualname__} is async and cannot open blobs, which takes a while; "
            "make it a plain function, which runs in a thread of its own"
        )
    return taken
