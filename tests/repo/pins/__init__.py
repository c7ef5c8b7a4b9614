"""What a version of Perdure promises, as text files that are compared whole.

`surface.txt` holds the public names and their signatures, `limits.txt` every number that a module declares
as a constant. A change of either is seen in the diff. One that is meant is written down by

    python -m tests.repo.pins
"""

from __future__ import annotations

from pathlib import Path

from tests.repo.pins.limits import limits
from tests.repo.pins.surface import surface

FOLDER = Path(__file__).parent
REWRITE = "if it is meant: python -m tests.repo.pins"
PINS = {"surface.txt": surface, "limits.txt": limits}


def text_of(name: str) -> str:
    """The pin as the code has it now."""
    return "".join(f"{line}\n" for line in PINS[name]())


def write() -> None:
    for name in PINS:
        (FOLDER / name).write_text(text_of(name), encoding="utf-8")
