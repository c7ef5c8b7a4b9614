"""Nothing that people see acts: every character that could is written as an escape, in every kind of text."""

import json
import unicodedata

import pytest

from perdure.graph.text import shown
from perdure.graph.text.load import load
from perdure.graph.text.yaml_write import write_yaml

SHAPED = {
    *range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD,
    *range(0x13430, 0x13460), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B),
}  # fmt: skip
"""What Unicode calls format characters and shows: marks of numbers and verses, hieroglyphs, music."""

ACTING = [
    chr(code)
    for code in range(0x110000)
    if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp") and chr(code) not in "\n\t"
    if code not in SHAPED
]
ALL = "".join(ACTING)


def acts(text: str) -> set[str]:
    return set(ACTING) & set(text)


def test_alphabet() -> None:
    assert {"\x1b", "\x07", "\x9b", "\x9d", "\u202e", "\u200b", "\u2028", "\ufeff"} <= set(ACTING)


def test_terminal_and_log() -> None:
    assert acts(shown.plain(ALL)) == acts(shown.line(ALL)) == set()
    assert shown.plain("a\x1b[31mred\x1b]8;;http://x\x07b\u202e\x9b1m\n\tz") == (
        "ared\\x1b]8;;http://x\\x07b\\u202e\\x9b1m\n\tz"
    )
    assert shown.line("done\n  root completed\r\n") == "done\\n  root completed\\x0d\\n"
    assert shown.plain("naïve 日本語 👩 €") == "naïve 日本語 👩 €"


@pytest.mark.parametrize("ascii", [True, False])
def test_json(ascii: bool) -> None:
    text = ALL.encode("utf-16-le", "ignore").decode("utf-16-le", "ignore")
    escaped = shown.escaped(json.dumps({text: [text]}, ensure_ascii=ascii))
    assert acts(escaped) == set()
    assert json.loads(escaped) == {text: [text]}


@pytest.mark.parametrize("value", ["\u202eabc", "x\x9b\ny", "\u200b", "\x85", "a\u2028b", "\ufeffa\nb\n"])
def test_yaml(value: str) -> None:
    written = write_yaml({"a": value, value: 1})
    assert acts(written) == set()
    assert load(written).data == {"a": value, value: 1}


def test_markdown() -> None:
    assert (
        shown.markdown("a|b`c`\n# [x](http://y)\u202e") == "`a\u00a6b\u02cbc\u02cb\\n# [x](http://y)\\u202e`"
    )
