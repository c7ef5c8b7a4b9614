"""Docs and code use the project's words: those of glossary.toml, and none that it avoids."""

import io
import re
import tokenize
import tomllib
from pathlib import Path

import pytest

from tests.repo.documents import DOCS, ROOT

GLOSSARY = tomllib.loads((Path(__file__).parent / "glossary.toml").read_text())
AVOIDED = [(re.compile(rule["pattern"], re.I), rule["use"]) for rule in GLOSSARY["avoid"]]
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/*/*.md")])

OPEN = {"agents.md", "agents_distributed.md"}
"""Pages that are generated from the words of the code."""

CODE = GLOSSARY["code"]
NAMES = frozenset(CODE["names"])
EXCEPTIONS = frozenset(CODE["except"])
PACKAGE_NAMES = frozenset(CODE["package names"])
PACKAGE = ROOT / "perdure"
TESTS = ROOT / "tests"
OWN = Path(__file__)
"""Avoided words are what it is about."""
FOLDERS = (PACKAGE, TESTS, ROOT / "bench")
MODULES = sorted(path for folder in FOLDERS for path in folder.rglob("*.py") if path != OWN)
TEXTS = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
NOT_PROSE = re.compile(r"`[^`\n]+`|\{[^{}\n]*\}|^\w*[\"']\w+[\"']$")
"""Code in prose, the fields of an f-string, and strings of a single word, which are names."""


def prose(text: str) -> str:
    """A page without its blocks, code and links to other places; lines stay where they are."""
    text = re.sub(r"^```.*?^```$", lambda block: "\n" * block[0].count("\n"), text, flags=re.M | re.S)
    text = re.sub(r"`[^`\n]+`", "`code`", text)
    return re.sub(r"\]\([^)\n]*\)", "]", text)


def avoided(text: str, first: int = 1) -> list[str]:
    """A line for each word of `text` to avoid; its first line has the number `first`."""
    return [
        f"line {text.count(chr(10), 0, match.start()) + first}: {match[0]!r}; better: {use}"
        for pattern, use in AVOIDED
        for match in pattern.finditer(text)
    ]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in OPEN], ids=lambda page: page.name
)
def test_words_of_a_page(page: Path) -> None:
    assert avoided(prose(page.read_text())) == []


def avoided_in_code(source: str, names: frozenset[str] = PACKAGE_NAMES) -> list[str]:
    """A line for each name to avoid, and for each such word of a comment or string.

    Names are avoided if one of their parts is in NAMES, or if they are in `names` as a whole.
    """
    lines: list[str] = []
    exceptions = EXCEPTIONS if "from hypothesis import" in source else EXCEPTIONS - {"given"}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and token.string not in exceptions:
            if NAMES.intersection(token.string.lower().split("_")) or token.string in names:
                lines.append(f"line {token.start[0]}: name {token.string!r}")
        elif token.type in TEXTS:
            lines += avoided(NOT_PROSE.sub("", token.string), token.start[0])
    return lines


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_words_of_a_module(module: Path) -> None:
    names = PACKAGE_NAMES if module.is_relative_to(PACKAGE) else frozenset[str]()
    assert avoided_in_code(module.read_text(), names) == []


def test_what_is_avoided_in_code_is_noticed() -> None:
    source = '"""It goes\non; nobody waits."""\nwanted = found_rows  # anew\neach = each_row\n'
    source += 'status = NOT_FOUND, fetch.told, "told", f"{told} it"\n'
    assert avoided_in_code(source) == [
        "line 2: 'nobody'; better: no worker, a person, nothing; or name who",
        "line 3: name 'wanted'",
        "line 3: name 'found_rows'",
        "line 3: 'anew'; better: again, from scratch",
        "line 4: name 'each'",
        "line 5: name 'told'",
    ]


def test_exceptions_are_used_and_have_a_reason() -> None:
    names = {word for module in MODULES for word in re.findall(r"\w+", module.read_text())}
    assert not EXCEPTIONS - names
    assert all(CODE["except"].values())


def test_what_is_avoided_is_noticed() -> None:
    assert avoided("Nobody waits.\nThe run goes on.") == [
        "line 1: 'Nobody'; better: no worker, a person, nothing; or name who",
        "line 2: 'goes on'; better: continues, resumes",
    ]
    assert avoided(prose("`goes on` is fine:\n```sh\ngoes on\n```\n")) == []


def test_the_glossary_uses_its_own_words() -> None:
    for word, meaning in GLOSSARY["words"].items():
        assert meaning
        assert not avoided(f"{word}: {meaning}"), word
