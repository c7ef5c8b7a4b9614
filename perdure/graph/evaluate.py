"""Making values of what is distant, where the objects of the store are at hand."""

from __future__ import annotations

from collections.abc import Callable

from perdure.graph.deferred import BlobRef, Composite, Concat, Deferred, Merged, Projection, replaced
from perdure.graph.reference import SELF, Reference, parse_step
from perdure.graph.template import clean, joined
from perdure.graph.values import Value, is_dict, is_list

Load = Callable[[BlobRef], Value]
"""Gives the value of an object; nobody changes it."""


def evaluate(value: Value, load: Load) -> Value:
    """`value` with nothing distant in it at any depth. Parts may be shared with what `load` gave.

    Raises:
        FunctionError: from a function of a reference that has no result.
    """
    return replaced(value, lambda distant: _evaluated(distant, load))


def _evaluated(distant: Deferred, load: Load) -> Value:
    match distant:
        case BlobRef():
            return load(distant)
        case Projection(source, steps, cleaned):
            read = tuple(parse_step(prop, functions=functions) for prop, functions in steps)
            text = "".join(f".{prop}" for prop, _ in steps)
            projected = Reference(SELF, read, text).read(_evaluated(source, load))
            return clean(projected) if cleaned else projected
        case Composite(value):
            return evaluate(value, load)
        case Concat(parts):
            return joined(evaluate(part, load) for part in parts)
        case Merged(base, over):
            return merged(_evaluated(base, load), evaluate(over, load))
        case _:
            raise TypeError(f"{distant!r} is unknown")


def merged(result: Value, over: dict[str, Value]) -> Value:
    """The result with passThrough over it: objects, and objects in a list; others as they are."""
    if is_dict(result):
        return {**result, **over}
    if is_list(result):
        return [{**item, **over} if is_dict(item) else item for item in result]
    return result
