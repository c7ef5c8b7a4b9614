"""Characters that act instead of being seen: on a terminal, in a log, on a page."""

from __future__ import annotations

import unicodedata
from typing import Final

_SHAPED: Final = {
    *range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD,
    *range(0x13430, 0x13460), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B),
}  # fmt: skip
"""What Unicode calls format characters and shows: marks of numbers and verses, hieroglyphs, music."""

ACTING: Final = tuple(
    chr(code)
    for code in range(0x110000)
    if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp") and chr(code) not in "\n\t"
    if code not in _SHAPED
)
"""C0 except line ends and tabs, C1, bidirectional controls, what has no width, line ends of Unicode."""


def acting(text: str) -> set[str]:
    """Those that are in `text`."""
    return set(ACTING) & set(text)
