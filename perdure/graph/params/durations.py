"""Times as graphs write them: ``30s``, ``10m``, ``1h``, ``3d``, or a number of milliseconds."""

from __future__ import annotations

import re
from typing import Final

from perdure.graph.values import Value, is_number

DURATION_HINT: Final = "give a time such as 30s, 10m, 1h or 3d, or a number of milliseconds"

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(ms|s|m|h|d)")
_UNIT_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration_ms(value: Value) -> float | None:
    """The milliseconds of a time such as ``1h`` or ``500``; None for one that is not a time above 0."""
    if is_number(value):
        return value if 0 < value < 1e15 else None
    matched = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        return None
    return float(matched[1]) * _UNIT_MS[matched[2]] or None
