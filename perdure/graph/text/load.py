"""Reads the text of a graph: YAML 1.2 or JSON, as GraphAI reads them, and nothing that could hurt.

Sizes are checked before anything is parsed, depth, counts, aliases and tags while the text is read,
before a value is built. See docs/language.md, "Text".
"""

from __future__ import annotations

import re
from typing import Final

from perdure.errors import GraphError, Problem
from perdure.graph.text.document import LIMITS, Document, Limits
from perdure.graph.text.json_text import read_json
from perdure.graph.text.tree import Tree
from perdure.graph.text.yaml_text import read_yaml
from perdure.graph.values import Value

_NO_CHARACTER: Final = re.compile("[\0\ud800-\udfff]")


def load(
    text: str | bytes, *, source: str = "", json: bool | None = None, limits: Limits = LIMITS
) -> Document:
    """The document in `text`.

    Args:
        text: YAML or JSON; bytes are UTF-8.
        source: Name of the file, for messages.
        json: Whether `text` is JSON; None decides by the ending of `source`.
        limits: What the document may cost.

    Raises:
        GraphError: With one problem, its line and its column, where the text cannot be read.
    """
    tree = Tree(limits, source)
    decoded = _decode(text, tree)
    if json or (json is None and source.lower().endswith(".json")):
        read_json(decoded, tree)
    else:
        read_yaml(decoded, tree)
    return Document(tree.root, source, tree.spots)


def load_value(text: str) -> Value:
    """The value of a small YAML text, such as an argument of a command. Raises GraphError."""
    return load(text).data


def _decode(text: str | bytes, tree: Tree) -> str:
    """`text` as characters, its size and its characters checked."""
    limits = tree.limits
    size = len(text) if isinstance(text, bytes) or text.isascii() else len(text.encode(errors="replace"))
    if size > limits.size:
        tree.fail(
            "too-large",
            None,
            f"the text has {size:,} bytes; at most {limits.size:,} are read",
            "keep data in files or inputs, not in the graph",
        )
    text = _characters(text, tree).removeprefix("\ufeff")
    bad = _NO_CHARACTER.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        tree.fail(
            "bad-character",
            (line, column),
            f"the text holds U+{ord(bad[0]):04X}, which is not a character",
            "remove it",
        )
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    marks = text.count(",") + text.count("\n")
    if marks > limits.marks:
        tree.fail(
            "too-many-values",
            None,
            f"{marks:,} commas and line ends; at most {limits.marks:,} are read",
            "keep data in files or inputs, not in the graph",
        )
    return text


def _characters(text: str | bytes, tree: Tree) -> str:
    if isinstance(text, str):
        return text
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        problem = Problem("encoding", "", "the text is not UTF-8", "save the file as UTF-8", line)
        raise GraphError([problem], tree.source) from None
