"""YAML 1.2 text to events: PyYAML's scanner and parser, taught the version of YAML that GraphAI reads.

PyYAML reads YAML 1.1. What differs in 1.2 is overridden here and in scalar_scanner: where plain
scalars end (`[:a, :b]`), which characters end a line, tabs between tokens, names of anchors,
indentation inside brackets. Tags and directives are refused. Nothing here recurses.
"""

# Overridden methods do what they do in PyYAML, which has no types of its own.
# ruff: noqa: D102 -- PyYAML documents what they do
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportIncompatibleMethodOverride=false, reportUnknownArgumentType=false

from __future__ import annotations

import re
from typing import Any, Final

from yaml.parser import Parser
from yaml.tokens import AliasToken, AnchorToken, DirectiveToken, ValueToken

from perdure.graph.text.scalar_scanner import BLANK, END_OF_TEXT, FLOW, GAP, SPACES, ScalarScanner, past

_ANCHOR: Final = re.compile(r"[^ \t\n\0,\[\]{}]+")
_VERSION: Final = re.compile(r"%YAML[ \t]+1\.2[ \t]*(?:(?<=[ \t])#[^\n]*)?(?=\n)")
_MAX_KEY_TOKEN_COUNT: Final = 4  # anchor, scalar and what comes next; more means a missing comma, not a key


class DocumentRefused(Exception):
    """The text is YAML, but not what a graph may contain: a tag, a directive, too many levels."""

    def __init__(self, code: str, mark: tuple[int, int], name: str = "") -> None:
        self.code, self.mark, self.name = code, mark, name


class TextScanner(ScalarScanner, Parser):
    """Events of one text by `check_event` and `get_event`, as yaml.parse gives them.

    Raises MarkedYAMLError where the text is not YAML, with a tuple as `problem_mark`, and DocumentRefused.
    """

    def __init__(self, text: str, depth: int) -> None:
        self.depth = depth
        self.brackets: list[str] = []
        super().__init__(text)
        Parser.__init__(self)

    # Tokens on demand: the base versions do their bookkeeping of keys for every question.

    def check_token(self, *choices: type) -> bool:
        if not self.tokens or self.possible_simple_keys:
            while self.need_more_tokens():
                self.fetch_more_tokens()
        return isinstance(self.tokens[0], choices)

    def peek_token(self) -> Any:
        if not self.tokens or self.possible_simple_keys:
            while self.need_more_tokens():
                self.fetch_more_tokens()
        return self.tokens[0]

    def get_token(self) -> Any:
        self.peek_token()
        self.tokens_taken += 1
        return self.tokens.pop(0)

    def need_more_tokens(self) -> bool:
        if self.done or not self.tokens:
            return not self.done
        if not self.possible_simple_keys:
            return False
        self.stale_possible_simple_keys()
        return self.next_possible_simple_key() == self.tokens_taken

    def stale_possible_simple_keys(self) -> None:
        """Forgets keys whose ':' can no longer come: on one line, except scalars in flow mappings."""
        for level, key in list(self.possible_simple_keys.items()):
            if key.line == self.line and self.index - key.index <= 1024:
                continue
            in_mapping = level and self.brackets[level - 1] == "{"
            if in_mapping and self.text[key.index] not in "[{" and len(self.tokens) <= _MAX_KEY_TOKEN_COUNT:
                continue
            if key.required:
                self.fail(
                    "a key without ':'",
                    "write 'key: value' on one line, or indent the lines that continue a string",
                    key.mark,
                )
            del self.possible_simple_keys[level]

    # Depth, before anything is built.

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        self.check_depth()
        self.brackets.append(self.peek())
        super().fetch_flow_collection_start(TokenClass)

    def fetch_flow_collection_end(self, TokenClass: Any) -> None:
        if not self.brackets:
            self.fail(f"{self.peek()!r} closes nothing", "remove it, or put the text in quotes")
        self.brackets.pop()
        super().fetch_flow_collection_end(TokenClass)
        self.adjacent_key = self.index

    def add_indent(self, column: int) -> bool:
        if self.indent < column:
            self.check_depth()
        return super().add_indent(column)

    def check_depth(self) -> None:
        if self.flow_level + len(self.indents) >= self.depth:
            raise DocumentRefused("too-deep", self.get_mark())

    def parse_block_mapping_key(self) -> Any:
        """Also takes ':' without a key, whose key is null."""
        if self.check_token(ValueToken):
            self.state = self.parse_block_mapping_value
            return self.process_empty_scalar(self.peek_token().start_mark)
        return super().parse_block_mapping_key()

    # Between tokens.

    def scan_to_next_token(self) -> None:
        text, index = self.text, self.index
        new_line = self.column == 0
        while True:
            end = past(GAP, text, index)
            if text[end] == "#":
                if text[end - 1] not in " \t\n" and end:
                    self.jump(end)
                    self.fail(
                        "no space before '#'", "put a space before a comment, or quotes around a string"
                    )
                end = text.index("\n", end)
            if text[end] != "\n":
                break
            index = end + 1
            new_line = True
            if not self.flow_level:
                self.allow_simple_key = True
        if self.adjacent_key == self.index:
            self.adjacent_key = end
        self.jump(end)
        if "\t" in text[index:end] and not self.flow_level:
            self.check_tabs(index, new_line)
        if self.flow_level and new_line:
            self.check_flow_indent(past(SPACES, text, index) - index)

    def check_tabs(self, start: int, new_line: bool) -> None:
        """Refuses a tab as indentation: of a block collection, or in place of the spaces required."""
        spaces = past(SPACES, self.text, start) - start
        if new_line and self.peek() != END_OF_TEXT and spaces <= max(self.indent, 0):
            self.fail("a tab where indentation is expected", "indent with spaces only")
        if new_line or self.text[start - 1] in "-?:":
            self.allow_simple_key = False

    def check_flow_indent(self, spaces: int) -> None:
        closes = self.peek() in "]}" and self.flow_level == 1 and spaces == self.indent
        if spaces <= self.indent and not closes and self.peek() != END_OF_TEXT:
            self.fail("a line inside brackets is not indented", "indent it, or close the bracket above")

    # What starts a token.

    def check_block_entry(self) -> bool:
        return self.ends_indicator()

    def check_key(self) -> bool:
        return self.ends_indicator()

    def check_value(self) -> bool:
        return self.ends_indicator() or bool(self.flow_level and self.adjacent_key == self.index)

    def ends_indicator(self) -> bool:
        """Whether '-', '?' or ':' is alone here instead of starting a plain scalar."""
        following = self.peek(1)
        return following in BLANK or bool(self.flow_level and following in FLOW)

    def check_plain(self) -> bool:
        first = self.peek()
        if first in "-?:":
            return not self.ends_indicator()
        return first not in " \t\n\0,[]{}#&*!|>'\"%@`"

    # Tokens.

    def fetch_block_scalar(self, style: str) -> None:
        if self.column <= self.indent:
            self.fail("a block text starts below its key", "write '|' or '>' on the line of the key")
        super().fetch_block_scalar(style)

    def fetch_tag(self) -> None:
        raise DocumentRefused("tag", self.get_mark(), self.text[self.index : self.index + 40].split()[0])

    def fetch_directive(self) -> None:
        match = _VERSION.match(self.text, self.index)
        if match is None:
            raise DocumentRefused(
                "directive", self.get_mark(), self.text[self.index : self.index + 40].split("\n")[0]
            )
        super().fetch_directive()

    def scan_directive(self) -> DirectiveToken:
        mark = self.get_mark()
        self.jump(self.text.index("\n", self.index))
        return DirectiveToken("YAML", (1, 2), mark, mark)

    def scan_anchor(self, TokenClass: type[AliasToken | AnchorToken]) -> Any:
        mark = self.get_mark()
        match = _ANCHOR.match(self.text, self.index + 1)
        if match is None:
            self.fail(f"{self.peek()!r} without a name", "put the text in quotes if it is meant literally")
        self.jump(match.end())
        return TokenClass(match[0], mark, self.get_mark())
