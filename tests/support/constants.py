"""The modules of the package, and the constants that they declare."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import perdure

PACKAGE = Path(perdure.__file__).parent


def modules() -> Iterator[tuple[str, Path]]:
    """The name and the file of every module of the package, those that run something left out."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ["perdure", *path.relative_to(PACKAGE).with_suffix("").parts]
        if parts[-1] != "__main__" and (path.parent / "__init__.py").exists():  # others are to be copied
            yield ".".join(parts).removesuffix(".__init__"), path


def numbers() -> Iterator[tuple[str, str, Any]]:
    """Module, name and value of each constant that is a number or a duration."""
    for module, path in modules():
        for name in constants(path):
            value = getattr(import_module(module), name)
            if isinstance(value, int | float | timedelta) and not isinstance(value, bool):
                yield module, name, value


def constants(path: Path) -> Iterator[str]:
    """The names in capitals that a file assigns to outside of functions and classes."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        yield from (item.id for item in targets if isinstance(item, ast.Name) and item.id.isupper())
