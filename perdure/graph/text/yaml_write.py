"""Values as YAML text for people: block style, strings plain if YAML reads them back as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from perdure.graph.javascript import stringify
from perdure.graph.text.shown import ACTING, escaped
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, ordered_keys

_PLAIN: Final = re.compile(r"[A-Za-z_/][\w ./()+-]*(?<! )")
_TAKEN: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off"})
"""Words that YAML, or its older version, takes for something else than text."""

_UNUSUAL_SPACE: Final = re.compile(r"[^\S \n]")


def write_yaml(value: Value) -> str:
    """YAML that perdure.graph.text.load reads as the same value; undefined members are left out."""
    return "\n".join(_lines(value, "")) + "\n"


def _lines(value: Value, indent: str) -> Iterator[str]:
    """The lines of a value that begins a line."""
    if not _has_lines(value):
        yield indent + _scalar(value)
    elif is_dict(value):
        for key in ordered_keys(value):
            if value[key] is not UNDEFINED:
                yield from _member(f"{indent}{_text(key)}:", value[key], indent)
    else:
        for item in value:
            yield from _item(item, indent)


def _has_lines(value: Value) -> bool:
    """Whether the value is written on lines of its own: a list or an object that is not empty."""
    if is_dict(value):
        return any(item is not UNDEFINED for item in value.values())
    return is_list(value) and bool(value)


def _member(head: str, value: Value, indent: str) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value and _is_block(value):
        yield f"{head} |{'' if value.endswith(chr(10)) else '-'}"
        for line in value.removesuffix("\n").split("\n"):
            yield f"{indent}  {line}" if line else ""
    elif _has_lines(value):
        yield head
        yield from _lines(value, indent + "  ")
    else:
        yield f"{head} {_scalar(value)}"


def _item(value: Value, indent: str) -> Iterator[str]:
    if _has_lines(value):
        inner = _lines(value, indent + "  ")
        yield f"{indent}- {next(inner)[len(indent) + 2 :]}"
        yield from inner
    else:
        yield f"{indent}- {_scalar(value)}"


def _is_block(text: str) -> bool:
    """Whether a literal block holds the text exactly: nothing to escape, no line end too many."""
    return not (
        text[0].isspace() or text.endswith("\n\n") or _UNUSUAL_SPACE.search(text) or ACTING.search(text)
    )


def _scalar(value: Value) -> str:
    if isinstance(value, str):
        return _text(value)
    return str(stringify(None if value is UNDEFINED else value))


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.isascii() and text.lower() not in _TAKEN:
        return text
    return escaped(str(stringify(text)))
