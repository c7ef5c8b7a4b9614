"""The documents in docs/ as data: headings, fenced blocks, tables, and what their examples give."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from perdure.agents.catalog import catalog
from perdure.agents.label_facts import authority_of
from perdure.cli.inputs.loaders import graphs_of
from perdure.cli.problems import text as shown_problem
from perdure.engine.granting.verdicts import refusals
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.engine.human_tasks import HumanPrompt
from perdure.errors import GraphError, Problem, RunFailed
from perdure.graph.javascript import stringify
from perdure.graph.review import review
from perdure.graph.text.load import load
from perdure.protocol.payloads import RunResult
from perdure.settings import Settings
from perdure.testing import MemoryEnvironment, memory_shell
from tests.support import ROOT

DOCS = ROOT / "docs"

OUTCOMES = ("result", "states", "errors", "failure", "console", "message")
"""What may follow an example: each the second word of its fence, as in ```json result."""

WARNINGS = ("old-agent-id", "plain-reference", "literal-key", "queue-not-allowed")
QUEUES = ("perdure",)
"""Codes of findings that stop nothing."""

ANSWER = "blue"
"""What the person says whom an example asks."""

_FENCE = re.compile(r"^```(\S*)(?: +([^\n]*))?\n(.*?)^```$", re.M | re.S)
_HEADING = re.compile(r"^(#+) (.+)$", re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block: ```language kind. `heading` is the one that it is under."""

    document: str
    line: int
    language: str
    kind: str
    text: str
    heading: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


@dataclass(frozen=True)
class Example:
    """A graph, or a document that is refused as one, and the blocks that show what becomes of it."""

    source: Block
    outcomes: tuple[Block, ...]

    def __str__(self) -> str:
        return str(self.source)


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def headings(name: str) -> list[tuple[int, str]]:
    """Level and text of every heading, those inside fenced blocks left out."""
    return [(len(mark), text) for mark, text in _HEADING.findall(_FENCE.sub("", text_of(name)))]


def blocks(name: str) -> list[Block]:
    text = text_of(name)
    return [_block(name, text, match) for match in _FENCE.finditer(text)]


def _block(name: str, text: str, match: re.Match[str]) -> Block:
    before = text[: match.start()]
    above = _HEADING.findall(_FENCE.sub("", before))
    return Block(
        document=name,
        line=before.count("\n") + 1,
        language=match[1],
        kind=match[2] or "",
        text=match[3],
        heading=above[-1][1] if above else "",
    )


def examples(name: str) -> list[Example]:
    """The blocks of kind "graph", with the outcomes that follow each under the same heading."""
    shown: list[Example] = []
    for block in blocks(name):
        if block.kind == "graph":
            shown.append(Example(block, ()))
        elif block.kind in OUTCOMES:
            last = shown.pop()
            shown.append(replace(last, outcomes=(*last.outcomes, block)))
    return shown


def tables(name: str, heading: str) -> list[list[dict[str, str]]]:
    """The tables under a heading: rows by the names of their columns, cells without outer backticks."""
    text = text_of(name)
    start = re.search(rf"^#+ {re.escape(heading)}$", text, re.M)
    assert start, f"{name} has no heading {heading!r}"
    end = _HEADING.search(text, start.end())
    section = text[start.end() : end.start() if end else len(text)]
    parts = re.findall(r"(?:^\|.*\|$\n?)+", section, re.M)
    return [list(_rows(part.splitlines())) for part in parts]


def _rows(lines: list[str]) -> Iterator[dict[str, str]]:
    names, _, *rows = [_cells(line) for line in lines]
    for row in rows:
        assert len(row) == len(names), row
        yield dict(zip(names, row, strict=True))


def _cells(line: str) -> list[str]:
    """A bar that belongs to a cell is written with a backslash before it."""
    cells = re.split(r"(?<!\\)\|", line.strip()[1:-1])
    return [cell.strip().replace("\\|", "|") for cell in cells]


def code(cell: str) -> str:
    """What is between the backticks that a cell consists of."""
    match = re.fullmatch(r"(`+) ?(.*?) ?\1", cell, re.S)
    assert match, f"{cell!r} is not one piece of code"
    return match[2]


def codes(cell: str) -> list[str]:
    """Every piece of code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def source_of(block: Block) -> str | bytes:
    """The text of a graph: the block itself, or what the expression in a Python block gives."""
    return eval(block.text) if block.language == "python" else block.text


async def outcome(block: Block) -> dict[str, str]:
    """What becomes of an example, each outcome as its block would show it."""
    name = f"graph.{'json' if block.language == 'json' else 'yaml'}"
    console: list[str] = []
    problems, data = findings(source_of(block), name)
    variables = (
        {"message": "".join(f"{shown_problem(problem, name)}\n" for problem in problems)} if problems else {}
    )
    if any(problem.code not in WARNINGS for problem in problems):
        return variables
    result = await _run(data, console)
    return variables | {
        "result": pretty(result.results),
        "states": pretty(result.states),
        "errors": pretty(result.errors),
        "failure": f"{result.failure}\n",
        "console": "".join(f"{line}\n" for line in console),
    }


def findings(text: str | bytes, name: str) -> tuple[tuple[Problem, ...], Any]:
    """What `perdure check` finds, and the document as it runs."""
    try:
        document, known = load(text, source=name), catalog()
        seen = review(document, [*known, *GRAPH_AGENTS], queues=QUEUES)
        wrong = (*seen.problems, *seen.nested)
        refused = () if wrong else refusals(document, authority_of(known, Settings(), None))
        graphs_of(seen.data, name)
    except GraphError as error:
        return error.problems, None
    return (*wrong, *seen.warnings, *refused), seen.data


async def _run(document: Any, shown: list[str]) -> RunResult:
    async def ask(question: HumanPrompt) -> str:
        shown.append(f"{question.message}: {ANSWER}")
        return ANSWER

    around = MemoryEnvironment(settings=Settings(file_root=ROOT), console=shown.append, ask=ask)
    shell = memory_shell(document, environment=around)
    try:
        return await shell.run()
    except RunFailed as error:
        return error.result


def pretty(value: Any) -> str:
    """JSON as the language writes it: members that are undefined are not there."""
    return f"{stringify(dict(value), 2)}\n"


def same_json(left: str, right: str) -> bool:
    """Whether two strings are the same JSON, order of keys included."""
    return json.dumps(json.loads(left)) == json.dumps(json.loads(right))
