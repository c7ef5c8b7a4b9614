"""Where in an agent's code an error was raised."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

_PERDURE = str(Path(__file__).parents[1])
_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def code_place(error: BaseException) -> str:
    """The last line of code that is neither Perdure's nor a library's ("agents.py:12 in shout"), or "".

    Of an error with causes, the first cause counts.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((_PERDURE, *_LIBRARIES, "<")):
            return f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}"
    return ""
