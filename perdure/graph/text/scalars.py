"""YAML's scalars: the value of the text between its marks. Core schema of YAML 1.2, as GraphAI reads it.

Source: yaml.org/spec/1.2.2, chapters 7, 8 and 10.3; where the specification leaves a choice, or
where it is not followed by the npm package `yaml` 2, that package decides.
"""

from __future__ import annotations

import math
import re
from typing import Final

from perdure.graph.javascript import number_to_string
from perdure.graph.values import Value, number

_NUMBER_START: Final = frozenset("-+.0123456789")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+)"
)
_OCTAL: Final = re.compile(r"0o[0-7]+")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+")
_WORDS: Final[dict[str, Value]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((sign + word for sign in ("", "+") for word in (".inf", ".Inf", ".INF")), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_MAX_SCALAR_DIGIT_COUNT: Final = 400  # a double has 309 before the point; int() refuses more than 4,300

_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|\n[ \t]*|([^xuU]))")
_ESCAPES: Final = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
    " ": " ",
    '"': '"',
    "/": "/",
    "\\": "\\",
    "\t": "\t",
}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def plain_value(text: str) -> Value:
    """What an unquoted scalar says: null, a truth value, a number (perhaps infinite) or the text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START:
        return text
    if _INTEGER.fullmatch(text):
        if len(text) > _MAX_SCALAR_DIGIT_COUNT or text.startswith("-0"):
            return number(float(text))
        return number(int(text))
    if _FLOAT.fullmatch(text):
        return number(float(text))
    if _OCTAL.fullmatch(text):
        return number(int(text[2:], 8))
    if _HEX.fullmatch(text):
        return number(int(text[2:], 16))
    return text


def key_text(value: Value) -> str:
    """The text of a scalar used as a key: null is "", 1.0 is "1", true is "true"."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_to_string(value)


def fold(text: str) -> str:
    """Lines joined: one line end is a space, n + 1 of them are n line ends. Outer blanks stay."""
    if "\n" not in text:
        return text
    first, *middle, last = text.split("\n")
    parts = [first.rstrip(" \t")]
    breaks = 0
    for line in (*(line.strip(" \t") for line in middle), None):
        if line == "":
            breaks += 1
            continue
        parts.append("\n" * breaks or " ")
        parts.append(last.lstrip(" \t") if line is None else line)
        breaks = 0
    return "".join(parts)


def double_quoted(text: str) -> str:
    """The content of a double-quoted scalar. Raises ValueError, naming the escape, for a wrong one."""
    if "\\" not in text:
        return fold(text)
    parts: list[str] = []
    start = 0
    while (at := text.find("\\", start)) >= 0:
        parts.append(fold(text[start:at]))
        match = _ESCAPE.match(text, at)
        if match is None or (match[4] and match[4] not in _ESCAPES):
            raise ValueError(text[at : at + 2])
        parts.append(_escaped(match))
        start = match.end()
    parts.append(fold(text[start:]))
    joined = "".join(parts)
    if _SURROGATE.search(joined):  # two escapes that are the halves of one character
        joined = joined.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return joined


def _escaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is None:
        return _ESCAPES[match[4]] if match[4] else ""
    if int(code, 16) > 0x10FFFF:
        raise ValueError(match[0])
    return chr(int(code, 16))


def block_value(lines: list[str], folded: bool, chomp: str) -> str:
    """The text of a block scalar. `lines` have lost their indentation; `chomp` is "", "-" or "+"."""
    count = len(lines)
    while count and not lines[count - 1]:
        count -= 1
    if not count:
        return "\n" * len(lines) if chomp == "+" else ""
    text = _fold_block(lines[:count]) if folded else "\n".join(lines[:count])
    if chomp == "-":
        return text
    return text + "\n" * (1 + len(lines) - count if chomp == "+" else 1)


def _fold_block(lines: list[str]) -> str:
    """Folded as in `fold`, but lines that start with a blank keep the line ends around them."""
    start = next(index for index, line in enumerate(lines) if line)
    parts = ["\n"] * start
    separator = ""
    after_indented = False
    for line in lines[start:]:
        if not line:
            if separator == "\n":
                parts.append("\n")
            separator = "\n"
            continue
        indented = line[0] in " \t"
        if indented and separator == " ":
            separator = "\n"
        elif indented and separator == "\n" and not after_indented:
            separator = "\n\n"
        parts += (separator, line)
        separator = "\n" if indented else " "
        after_indented = indented
    return "".join(parts)
