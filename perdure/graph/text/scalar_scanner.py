"""Where YAML's scalars start and end: the part of the scanner that reads characters.

Scalars are located by search instead of character by character, which makes the reader about twice as
fast as PyYAML's own. Everything runs in time linear in the text.
"""

# Overridden methods do what they do in PyYAML, which has no types of its own.
# ruff: noqa: D102 -- PyYAML documents what they do
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportIncompatibleMethodOverride=false, reportUnknownArgumentType=false

from __future__ import annotations

import re
from typing import Any, Final, NoReturn

from yaml.error import MarkedYAMLError
from yaml.scanner import Scanner
from yaml.tokens import ScalarToken

from perdure.graph.text.scalars import block_value, double_quoted, fold

END_OF_TEXT: Final = "\0"
"""Follows the text, several times: looking ahead needs no bounds. The text itself has none."""

BLANK: Final = " \t\n\0"
FLOW: Final = ",[]{}"
GAP: Final = re.compile(r"[ \t]*")
SPACES: Final = re.compile(r" *")
_LINE: Final = re.compile(r"( *)([^\n\0]*)(\n?)")
_SINGLE_PART: Final = re.compile(r"(?:[^'\0]+|''){0,1000}")  # bounded, for re keeps a stack of the parts
_DOUBLE_PART: Final = re.compile(r'(?:[^"\\\0]+|\\[^\0]){0,1000}')
_HEADER: Final = re.compile(r"[|>](?:([-+])([1-9])?|([1-9])([-+])?)?[ \t]*(?:(?<=[ \t])#[^\n]*)?\n")
# Alternatives that start with one fixed character are searched for about ten times as fast.
_PLAIN_END: Final = re.compile(r"\n|\0|:(?=[ \t\n\0])| #|\t#")
_FLOW_PLAIN_END: Final = re.compile(r"\n|\0|,|\[|\]|\{|\}|:(?=[ \t\n\0,\[\]{}])| #|\t#")
_MARKER: Final = re.compile(r"(?:---|\.\.\.)(?=[ \t\n\0])")


def past(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Where the match of a pattern ends that may match nothing."""
    match = pattern.match(text, start)
    return match.end() if match else start


class ScalarScanner(Scanner):
    """The text, the position in it, and the tokens of scalars.

    Marks are tuples of line and column, counted from 0.
    """

    def __init__(self, text: str) -> None:
        ending = "\n" if text.rpartition("\n")[2].strip(" ") else ""
        self.text = text + ending + END_OF_TEXT * 4
        self.index = self.line = self.column = 0
        self.encoding = None
        self.adjacent_key = (
            -1
        )  # where ':' is an indicator whatever follows: after a quoted scalar or a bracket
        super().__init__()

    # Reading: the whole text is in memory, base methods never cross a line end.

    def peek(self, index: int = 0) -> str:
        return self.text[self.index + index]

    def prefix(self, length: int = 1) -> str:
        return self.text[self.index : self.index + length]

    def forward(self, length: int = 1) -> None:
        self.index += length
        self.column += length

    def get_mark(self) -> Any:
        return self.line, self.column

    def jump(self, end: int) -> None:
        """Moves on to `end`, over any number of lines."""
        lines = self.text.count("\n", self.index, end)
        if lines:
            self.line += lines
            self.column = end - self.text.rfind("\n", 0, end) - 1
        else:
            self.column += end - self.index
        self.index = end

    def fail(self, problem: str, hint: str, mark: Any = None) -> NoReturn:
        raise MarkedYAMLError(None, None, problem, mark or self.get_mark(), note=hint)

    def scan_plain(self) -> ScalarToken:
        mark, text, start = self.get_mark(), self.text, self.index
        pattern = _FLOW_PLAIN_END if self.flow_level else _PLAIN_END
        stop = start
        while True:
            match = pattern.search(text, stop)
            assert match is not None
            end = match.start()
            stop = self.continuation(end) if text[end] == "\n" else 0
            if not stop:
                break
        source = text[start:end].rstrip(" \t\n")
        self.jump(start + len(source))
        return ScalarToken(fold(source), True, mark, self.get_mark())

    def continuation(self, end: int) -> int:
        """Where a plain scalar continues after the line end at `end`; 0 if it does not."""
        text = self.text
        while True:
            spaces = past(SPACES, text, end + 1)
            start = past(GAP, text, spaces)
            if text[start] != "\n":
                break
            end = start
        if spaces - end - 1 <= self.indent or text[start] in "#\0":
            return 0
        if spaces == end + 1 and _MARKER.match(text, spaces):
            return 0
        if text[start] == ":" and text[start + 1] in BLANK:
            return 0
        if self.flow_level and text[start] in FLOW:
            return 0
        return start

    def scan_flow_scalar(self, style: str) -> ScalarToken:
        mark, start = self.get_mark(), self.index + 1
        part = _DOUBLE_PART if style == '"' else _SINGLE_PART
        end = start
        while (further := past(part, self.text, end)) > end:
            end = further
        if self.text[end] != style:
            self.fail(f"the quote {style} is never closed", f"write the closing {style}")
        source = self.text[start:end]
        if "\n" in source:
            self.check_quoted_lines(start, end)
        self.jump(end + 1)
        self.adjacent_key = self.index
        try:
            value = double_quoted(source) if style == '"' else fold(source).replace("''", "'")
        except ValueError as error:
            self.fail(f"{error} is not an escape", "write \\\\ for a backslash, or use single quotes", mark)
        return ScalarToken(value, False, mark, self.get_mark(), style)

    def check_quoted_lines(self, start: int, end: int) -> None:
        """Lines inside quotes must be indented, and must not look like the end of the document."""
        start = self.text.find("\n", start, end) + 1
        while start:
            spaces = past(SPACES, self.text, start)
            if self.text[spaces] != "\n" and spaces - start <= self.indent:
                self.jump(spaces)
                self.fail("a line inside quotes is not indented", "indent it, or close the quote above")
            if _MARKER.match(self.text, start):
                self.jump(start)
                self.fail("the document ends inside quotes", "indent the line, or close the quote above")
            start = self.text.find("\n", start, end) + 1

    def scan_block_scalar(self, style: str) -> ScalarToken:
        mark = self.get_mark()
        header = _HEADER.match(self.text, self.index)
        if header is None:
            self.fail(f"text on the line of '{style}'", "start it on the next line, or put it in quotes")
        digit = header[2] or header[3]
        chomp = header[1] or header[4] or ""
        lines, end = self.block_lines(header.end(), int(digit) if digit else 0, chomp == "+")
        self.jump(end)
        return ScalarToken(block_value(lines, style == ">", chomp), False, mark, self.get_mark(), style)

    def block_lines(self, start: int, digit: int, keep: bool) -> tuple[list[str], int]:
        """The lines of a block scalar without their indentation, and where they end."""
        first = self._first_indentation(start, digit)
        indent = max(self.indent, 0) + digit if digit else first
        lines: list[str] = []
        while self.text[start] != END_OF_TEXT:
            match = _LINE.match(self.text, start)
            assert match is not None
            spaces = len(match[1])
            if match[2] and (first < 0 or spaces < indent or self._is_marker(start)):
                break
            start = match.end()
            if match[3] or (first >= 0 and spaces > indent):  # blanks before the end do not make a line
                lines.append(match[1] + match[2])
        if first < 0:
            return [""] * len(lines), start
        while not keep and not lines[-1].strip(" ") and len(lines[-1]) <= first:
            lines.pop()
        return [line[indent:] for line in lines], start

    def _first_indentation(self, start: int, digit: int) -> int:
        """The spaces before the first line of a block scalar that is not blank; -1 if there is none."""
        longest = 0
        while self.text[start] != END_OF_TEXT:
            match = _LINE.match(self.text, start)
            assert match is not None
            spaces = len(match[1])
            if not match[2]:
                longest, start = max(longest, spaces), match.end()
                continue
            least = max(self.indent, 0) + digit if digit else self.indent + 1
            if spaces < least or self._is_marker(start):
                return -1
            if spaces < longest and not digit:
                self.fail("a blank line that is longer than the first line's indentation", "shorten it")
            return spaces
        return -1

    def _is_marker(self, start: int) -> bool:
        return _MARKER.match(self.text, start) is not None
