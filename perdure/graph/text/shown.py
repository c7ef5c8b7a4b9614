"""Text of graphs, models and pages as people see it: it informs, and does nothing.

A control character moves the cursor, sets a title or makes a link; a bidirectional one changes the order in
which text is seen; one without a width hides. None is left in output, logs and tables.
"""

from __future__ import annotations

import re
from typing import Final

from perdure.errors import with_hint, without_hint

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_HIDDEN: Final = (
    "\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"
)
"""DEL, C1, the soft hyphen, bidirectional controls, what has no width, line ends of Unicode, tags."""

ACTING: Final = re.compile(f"[\x00-\x08\x0b-\x1f{_HIDDEN}\ud800-\udfff]")
"""What is never shown as it is; line ends and tabs are apart."""

_IN_JSON: Final = re.compile(f"[{_HIDDEN}]")


def plain(text: str) -> str:
    """`text` for a terminal, its lines kept. Colours go, what else acts is written as an escape."""
    return ACTING.sub(_escape, _COLOUR.sub("", text))


def line(text: str) -> str:
    """`text` as one line for a terminal or a log: a line end in it could forge the next line."""
    return plain(text).replace("\n", "\\n").replace("\t", " ")


def message(text: str) -> str:
    """A finding and its hint, if it has one: one line each, whatever lines a graph or an agent put in."""
    finding, hint = without_hint(text)
    return with_hint(line(finding), line(hint))


def escaped(text: str) -> str:
    """JSON or YAML with the same values; what acts is written as an escape, as within quotes it may be."""
    return _IN_JSON.sub(_json_escape, text)


def markdown(text: str) -> str:
    """`text` as a code span, for a cell of a table too: no link, no heading, no cell of its own."""
    return f"`{line(text).translate(_MARKDOWN)}`"


_MARKDOWN: Final = str.maketrans({"`": "\u02cb", "|": "\u00a6"})


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
