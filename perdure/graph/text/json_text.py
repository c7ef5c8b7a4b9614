"""JSON text to values: RFC 8259 as JSON.parse reads it, under limits and with positions. Iterative."""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from perdure.graph.text.document import Position
from perdure.graph.text.tree import Tree, short
from perdure.graph.values import Value, number

_SPACE: Final = re.compile(r"[ \t\n]*")
_SIMPLE_STRING: Final = re.compile(r'"([^"\\\x00-\x1f]*)"')
_STRING_PART: Final = re.compile(r'(?:[^"\\]+|\\.){0,1000}', re.DOTALL)  # bounded, for re keeps a stack
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD: Final = re.compile(r"[-+]?[A-Za-z_]\w*")
_WORDS: Final[dict[str, Value]] = {"null": None, "true": True, "false": False}
_NOT_FINITE: Final = ("NaN", "Infinity", "-Infinity", "+Infinity")
_MAX_DIGIT_COUNT: Final = 400  # a double has 309 before the point; int() refuses more than 4,300


def read_json(text: str, tree: Tree) -> None:
    """Reads `text`, whose line ends are LF, into `tree`. Raises GraphError."""
    reader = _Reader(text, tree)
    brackets: list[str] = []  # what closes the lists and objects that are open
    while True:
        opened = reader.skip()
        if opened in ("[", "{"):
            bracket = reader.open(opened)
            if reader.skip() != bracket:
                brackets.append(bracket)
                if bracket == "}":
                    reader.key()
                continue
            reader.close()
        else:
            reader.scalar(opened)
        while brackets:
            following = reader.skip()
            if following == ",":
                reader.index += 1
                if brackets[-1] == "}":
                    reader.key()
                break
            if following != brackets[-1]:
                reader.expected(f"',' or '{brackets[-1]}'")
            brackets.pop()
            reader.close()
        else:
            if reader.skip():
                reader.expected("the end of the text")
            return


class _Reader:
    """The text, the position in it, and the tree that its pieces go to."""

    def __init__(self, text: str, tree: Tree) -> None:
        self.text = text
        self.tree = tree
        self.index: int = 0
        self.line: int = 1
        self.line_start: int = 0

    @property
    def at(self) -> Position:
        return self.line, self.index - self.line_start + 1

    def skip(self) -> str:
        """Moves over white space and returns the character that follows, "" at the end."""
        text, start = self.text, self.index
        match = _SPACE.match(text, start)
        assert match is not None
        end = match.end()
        if end > start:
            lines = text.count("\n", start, end)
            if lines:
                self.line += lines
                self.line_start = text.rfind("\n", 0, end) + 1
            self.index = end
        return text[end : end + 1]

    def open(self, bracket: str) -> str:
        """Starts a list or an object; returns what closes it."""
        self.tree.open([] if bracket == "[" else {}, self.at)
        self.index += 1
        return "]" if bracket == "[" else "}"

    def close(self) -> None:
        """Ends the innermost list or object at its bracket."""
        self.index += 1
        self.tree.close()

    def key(self) -> None:
        """Reads a key and its colon."""
        if self.skip() != '"':
            self.expected("a key in double quotes")
        at = self.at
        self.tree.key(self.string(), at)
        if self.skip() != ":":
            self.expected("':'")
        self.index += 1

    def scalar(self, first: str) -> None:
        """Reads what is neither a list nor an object; `first` is its first character."""
        at = self.at
        if first == '"':
            self.tree.scalar(self.string(), at)
            return
        word = _WORD.match(self.text, self.index)
        if word is not None and word[0] in _WORDS:
            self.index = word.end()
            self.tree.scalar(_WORDS[word[0]], at)
        elif word is not None and word[0] in _NOT_FINITE:
            self.tree.fail(
                "not-json-value", at, f"{word[0]} is not a JSON value", "write a finite number or a string"
            )
        else:
            self.number(at)

    def number(self, at: Position) -> None:
        """Reads a number."""
        match = _NUMBER.match(self.text, self.index)
        if match is None:
            self.expected("a value")
        self.index = match.end()
        source = match[0]
        integral = (
            match[1] is None and match[2] is None and source != "-0" and len(source) <= _MAX_DIGIT_COUNT
        )
        self.tree.scalar(number(int(source) if integral else float(source)), at)

    def string(self) -> str:
        """Reads the string that starts here."""
        start = self.index
        simple = _SIMPLE_STRING.match(self.text, start)
        if simple is not None:
            self.index = simple.end()
            return simple[1]
        end = start + 1
        while (match := _STRING_PART.match(self.text, end)) and match.end() > end:
            end = match.end()
        if self.text[end : end + 1] != '"':
            self.fail("a string is never closed")
        try:
            value: str = json.loads(self.text[start : end + 1])
        except json.JSONDecodeError as error:
            self.index += error.pos
            self.fail(f"{error.msg.removesuffix(' at').lower()} in a string")
        self.index = end + 1
        return value

    def expected(self, what: str) -> NoReturn:
        """Raises GraphError: something else was expected here."""
        actual = self.text[self.index : self.index + 10].split("\n")[0]
        self.fail(
            f"expected {what}, found {short(actual)}" if actual else f"expected {what}, but the text ends"
        )

    def fail(self, finding: str) -> NoReturn:
        """Raises GraphError at the current position."""
        hint = "correct the text; comments, single quotes and trailing commas are not JSON"
        self.tree.fail("json-syntax", self.at, finding, hint)
