"""A hash of the code of an agent, by which a rerun notices that the code was another.

It is taken of the bytecode: that is what the worker executes, whatever has become of the file since, and
comments, docstrings and the place in the file do not count. What the function uses of its own module counts
with it: functions, classes, and constants such as the text of a prompt. Code of other modules does not.

Rejected
    The source: a worker that runs for weeks would give the hash of a file that was edited after its start.
    All that is imported: after each update of any package, every agent would have other code.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from inspect import unwrap
from types import CodeType, FunctionType
from typing import Any, Final, cast

CODE_DIGEST_CHARS: Final = 12
"""Characters of a digest behind the version of Python, which has its own bytecode."""

_SCALARS: Final = (str, int, float, bool, bytes, type(None))


def code_digest(function: Callable[..., Any]) -> str:
    """The digest, such as ``cpython-312:0a1b2c3d4e5f``; "" for what has no bytecode of its own."""
    first = unwrap(function)
    if not isinstance(first, FunctionType):
        return ""
    digest = hashlib.sha256()
    seen: set[int] = set()
    pending: list[FunctionType] = [first]
    while pending:
        used = pending.pop()
        if id(used) in seen:
            continue
        seen.add(id(used))
        for part in _parts(used.__code__, used.__doc__):
            digest.update(f"{part!r}\n".encode())
        for name, value in _used(used):
            functions, constant = _resolved(value, first.__module__)
            pending += functions
            digest.update(f"{name}={constant}\n".encode())
    return f"{sys.implementation.cache_tag}:{digest.hexdigest()[:CODE_DIGEST_CHARS]}"


def _parts(code: CodeType, doc: str | None) -> Iterator[object]:
    """What a function does, without its docstring and its lines."""
    yield code.co_code
    yield code.co_names
    yield code.co_varnames
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts(constant, None)
        elif isinstance(constant, frozenset):
            yield sorted(map(repr, cast("frozenset[object]", constant)))
        elif doc is None or constant != doc:
            yield constant


def _used(function: FunctionType) -> Iterator[tuple[str, object]]:
    """What the function reads beyond its arguments, by name."""
    for name in sorted({*_names(function.__code__)}):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not bound yet
            continue
    yield "defaults", function.__defaults__


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _resolved(value: object, module: str) -> tuple[list[FunctionType], str]:
    """The functions of this module that a value stands for, and a constant as it is written."""
    if isinstance(value, FunctionType):
        function = unwrap(value)
        return [function] if isinstance(function, FunctionType) and function.__module__ == module else [], ""
    if isinstance(value, type):
        members: Mapping[str, object] = vars(value) if value.__module__ == module else {}
        return [member for member in members.values() if isinstance(member, FunctionType)], ""
    return [], _written(value)


def _written(value: object) -> str:
    if isinstance(value, _SCALARS):
        return repr(value)
    if isinstance(value, tuple):
        items: tuple[object, ...] = value  # pyright: ignore[reportUnknownVariableType] -- of any items
        return f"({', '.join(map(_written, items))})"
    return ""
