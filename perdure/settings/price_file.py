"""Reads the table of prices that PERDURE_PRICES names."""

from __future__ import annotations

import tomllib
from pathlib import Path

from perdure.errors import UsageError
from perdure.graph.values import Value


def read_price_file(path: str) -> dict[str, Value]:
    """The table, {} without a path. Raises UsageError for a file that cannot be read."""
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        hint = "PERDURE_PRICES is a TOML file with a table for each model: docs/operations.md"
        raise UsageError(f"{path}: {error}", hint=hint) from error
