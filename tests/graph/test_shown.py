"""Nothing that people see acts: every character that could is written as an escape, in every kind of text."""

import json

import pytest

from perdure.graph.text import shown
from perdure.graph.text.load import load
from perdure.graph.text.yaml_write import write_yaml
from tests.support.alphabet import ACTING, acting

ALL = "".join(ACTING)


def test_alphabet() -> None:
    assert {"\x1b", "\x07", "\x9b", "\x9d", "\u202e", "\u200b", "\u2028", "\ufeff"} <= set(ACTING)


def test_terminal_and_log() -> None:
    assert acting(shown.plain(ALL)) == acting(shown.line(ALL)) == set()
    assert shown.plain("a\x1b[31mred\x1b]8;;http://x\x07b\u202e\x9b1m\n\tz") == (
        "ared\\x1b]8;;http://x\\x07b\\u202e\\x9b1m\n\tz"
    )
    assert shown.line("done\n  root completed\r\n") == "done\\n  root completed\\x0d\\n"
    assert shown.plain("naïve 日本語 👩 €") == "naïve 日本語 👩 €"


@pytest.mark.parametrize("ascii", [True, False])
def test_json(ascii: bool) -> None:
    text = ALL.encode("utf-16-le", "ignore").decode("utf-16-le", "ignore")
    escaped = shown.escaped(json.dumps({text: [text]}, ensure_ascii=ascii))
    assert acting(escaped) == set()
    assert json.loads(escaped) == {text: [text]}


@pytest.mark.parametrize("value", ["\u202eabc", "x\x9b\ny", "\u200b", "\x85", "a\u2028b", "\ufeffa\nb\n"])
def test_yaml(value: str) -> None:
    written = write_yaml({"a": value, value: 1})
    assert acting(written) == set()
    assert load(written).data == {"a": value, value: 1}


def test_markdown() -> None:
    assert (
        shown.markdown("a|b`c`\n# [x](http://y)\u202e") == "`a\u00a6b\u02cbc\u02cb\\n# [x](http://y)\\u202e`"
    )
