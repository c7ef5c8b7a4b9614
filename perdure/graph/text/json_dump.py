"""Values to compact JSON, where JSON holds all of them."""

from __future__ import annotations

import json
from typing import Final

import orjson

from perdure.graph.values import Value

_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def dump(value: Value, *, ordered: bool = False) -> bytes:
    """The JSON of `value`, in UTF-8; where `ordered` is set, the members of objects by their names.

    Raises TypeError or ValueError where JSON does not hold it: for undefined, NaN and the infinities, and
    for what is deferred.
    """
    try:
        data = orjson.dumps(value, option=_OPTIONS | orjson.OPT_SORT_KEYS if ordered else _OPTIONS)
        if value is None or b"null" not in data:  # which it writes for NaN too
            return data
    except TypeError:
        pass  # it also refuses integers above 64 bits, deep values, and halves of UTF-16 pairs
    try:
        return _written(value, ordered, ascii=False).encode()
    except UnicodeEncodeError:  # a lone half of a UTF-16 pair, which JSON escapes can hold
        return _written(value, ordered, ascii=True).encode()


def _written(value: Value, ordered: bool, ascii: bool) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"), sort_keys=ordered, ensure_ascii=ascii)
