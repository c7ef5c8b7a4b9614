"""The public names, each with what it is called with."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from typing import Any

MODULES = (
    "perdure",
    "perdure.agents.agent",
    "perdure.agents.filters",
    "perdure.client",
    "perdure.errors",
    "perdure.protocol.payloads",
    "perdure.plugin",
    "perdure.monitoring.report",
    "perdure.runs",
    "perdure.settings",
    "perdure.memory.run",
    "perdure.memory.shell",
    "perdure.monitoring.view",
    "perdure.testing",
    "perdure.worker",
)
"""What people import to start and watch runs, to write agents and filters, and to test them."""


SPECIAL = ("__init__", "__call__", "__enter__", "__exit__", "__aenter__", "__aexit__")
"""What of a class is called without its name."""

ONE_LINE = 100
"""What a line of the file holds; a longer signature has a line for each parameter."""


def surface() -> Iterator[str]:
    """A heading for each module, and a line for each of its names and each of their members."""
    for number, name in enumerate(MODULES):
        yield from [""] * (number > 0)
        yield f"# {name}"
        yield from _module(import_module(name))


def _module(module: Any) -> Iterator[str]:
    declared = getattr(module, "__all__", None)
    for name in declared or [name for name in sorted(vars(module)) if _belongs(module, name)]:
        value = getattr(module, name)
        home = getattr(value, "__module__", module.__name__)
        if home != module.__name__ and home in MODULES:
            yield f"{name}  # see {home}"
        elif inspect.isclass(value):
            yield from _class(name, value)
        elif callable(value):
            yield from _function(name, value)
        else:
            yield name


def _belongs(module: Any, name: str) -> bool:
    value = vars(module)[name]
    is_code = inspect.isclass(value) or inspect.isfunction(value)
    return not name.startswith("_") and is_code and value.__module__ == module.__name__


def _class(name: str, kind: type[Any]) -> Iterator[str]:
    bases = ", ".join(base.__name__ for base in kind.__bases__ if base is not object)
    yield f"class {name}({bases})" if bases else f"class {name}"
    for member, value in sorted(vars(kind).items()):
        if member in SPECIAL and inspect.isfunction(value) and value.__module__ == kind.__module__:
            yield from (f"  {line}" for line in _function(member, value))
        elif not member.startswith("_"):
            yield from (f"  {line}" for line in _member(member, value))


def _member(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, property | cached_property):
        function: Any = value.fget if isinstance(value, property) else value.func
        yield f"{name} -> {_text(inspect.signature(function).return_annotation)}"
    elif isinstance(value, classmethod | staticmethod):
        yield from _function(name, value.__func__, f"{type(value).__name__} ")
    elif inspect.isfunction(value):
        yield from _function(name, value)


def _function(name: str, function: Any, prefix: str = "") -> Iterator[str]:
    """One line, or one for each parameter where that would be long."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        prefix += "async "
    signature = inspect.signature(function)
    parameters = list(_parameters(signature))
    result = (
        "" if signature.return_annotation is signature.empty else f" -> {_text(signature.return_annotation)}"
    )
    line = f"{prefix}{name}({', '.join(parameters)}){result}"
    if len(line) <= ONE_LINE:
        yield line
        return
    yield f"{prefix}{name}("
    yield from (f"    {parameter}" for parameter in parameters)
    yield f"){result}"


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    last = None
    for item in signature.parameters.values():
        if item.kind is item.KEYWORD_ONLY and last not in (item.KEYWORD_ONLY, item.VAR_POSITIONAL):
            yield "*"
        if last is item.POSITIONAL_ONLY and item.kind is not last:
            yield "/"
        last = item.kind
        if not item.name.startswith("_"):
            yield _parameter(item)
    if last is inspect.Parameter.POSITIONAL_ONLY:
        yield "/"


def _parameter(item: inspect.Parameter) -> str:
    stars = {item.VAR_POSITIONAL: "*", item.VAR_KEYWORD: "**"}.get(item.kind, "")
    kind = "" if item.annotation is item.empty else f": {_text(item.annotation)}"
    # Without addresses, which are others each time.
    default = "" if item.default is item.empty else f" = {re.sub(' at 0x[0-9a-f]+', '', repr(item.default))}"
    return f"{stars}{item.name}{kind}{default}"


def _text(annotation: Any) -> str:
    """An annotation as the source has it."""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
