"""Deferred values computed, where the objects of the store are available.

Why it is here, and pure: an expression must mean what it means on values that are present. So this
uses the very functions of references and templates (`Reference.read`, `joined`, `clean`, `merged`) and
receives only a function that loads an object. Activities evaluate inputs of agents with it, and the
fetch of a run evaluates what decides.

Invariant
    Nothing deferred is left at any depth of the result. Parts of it may be shared with what `load` returned,
    which several callers use at a time: a caller that passes it on to an agent copies it first.

Rejected: to read single members from the bytes of an object without decoding it all. It would be a
second reading of JSON, of paths and of functions, whose answers would have to stay equal to the first;
and decoded objects are shared by the calls of a worker, which gains more.
"""

from __future__ import annotations

from collections.abc import Callable

from perdure.graph.deferred import BlobRef, Composite, Concat, Deferred, Merged, Projection, replaced
from perdure.graph.reference import SELF, Reference, parse_step
from perdure.graph.template import clean, joined
from perdure.graph.values import Value, is_dict, is_list

Load = Callable[[BlobRef], Value]
"""Returns the value of an object, which no caller changes."""


def evaluate(value: Value, load: Load) -> Value:
    """`value` with nothing deferred in it at any depth. Parts may be shared with what `load` gave.

    Raises:
        FunctionError: from a function of a reference that has no result.
    """
    return replaced(value, lambda deferred: _evaluated(deferred, load))


def _evaluated(deferred: Deferred, load: Load) -> Value:
    match deferred:
        case BlobRef():
            return load(deferred)
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
            raise TypeError(f"{deferred!r} is unknown")


def merged(result: Value, over: dict[str, Value]) -> Value:
    """The result with passThrough over it: objects, and objects in a list; others as they are."""
    if is_dict(result):
        return {**result, **over}
    if is_list(result):
        return [{**item, **over} if is_dict(item) else item for item in result]
    return result
