"""YAML events to values. The scanner reads the text, the tree holds the limits."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any, Final, NoReturn

from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from perdure.graph.text.document import Position
from perdure.graph.text.scalars import key_text, plain_value
from perdure.graph.text.scanner import DocumentRefused, TextScanner
from perdure.graph.text.tree import Tree, short

_SYNTAX: Final = (  # what PyYAML says, and what is said here
    (
        "mapping values are not allowed",
        "': ' inside a string, or a key where none is possible",
        "put a string that contains ': ' in quotes, or correct the indentation",
    ),
    ("entries are not allowed", "a list cannot start here", "start it on a line of its own"),
    ("keys are not allowed", "'? ' is not possible here", "put the string in quotes"),
    ("cannot start any token", "a string cannot start with this character", "put it in quotes"),
    (
        "expected ','",
        "expected ',' or the closing bracket",
        'inside brackets, put a string such as "${:a}" in quotes, and close every bracket',
    ),
    ("", "this does not fit the lines above", "correct the indentation, or put the string in quotes"),
)
_REFUSALS: Final = {
    "tag": (
        "the tag {name} is not read: a graph holds JSON values only",
        "remove the tag; a string can be put in quotes",
    ),
    "directive": ("the directive {name} is not read", "remove the line; YAML 1.2 is what is read"),
}


def read_yaml(text: str, tree: Tree) -> None:
    """Reads the one document of `text` into `tree`. Raises GraphError."""
    try:
        _read(TextScanner(text, tree.limits.depth), tree)
        return
    except (DocumentRefused, MarkedYAMLError) as error:
        stopped = error
    _refuse(stopped, tree)  # outside of the handler, so that no traceback shows PyYAML's exception


def _refuse(stopped: DocumentRefused | MarkedYAMLError, tree: Tree) -> NoReturn:
    if isinstance(stopped, MarkedYAMLError):
        finding, hint = str(stopped.problem), stopped.note
        if hint is None:
            finding, hint = next(rule[1:] for rule in _SYNTAX if rule[0] in finding)
        tree.fail("yaml-syntax", _at(stopped.problem_mark), finding, hint)
    at = _at(stopped.mark)
    if stopped.code == "too-deep":
        tree.fail_depth(at)
    finding, hint = _REFUSALS[stopped.code]
    tree.fail(stopped.code, at, finding.format(name=short(stopped.name)), hint)


def _read(events: TextScanner, tree: Tree) -> None:
    documents = 0
    while events.check_event():
        event = events.get_event()
        match event:
            case ScalarEvent():
                _scalar(event, tree)
            case SequenceStartEvent() | MappingStartEvent():
                at = _at(event.start_mark)
                if tree.wants_key:
                    tree.fail_key(at)
                tree.open([] if isinstance(event, SequenceStartEvent) else {}, at, event.anchor)
            case SequenceEndEvent() | MappingEndEvent():
                tree.close()
            case AliasEvent():
                at = _at(event.start_mark)
                if tree.wants_key:
                    tree.key(key_text(tree.anchored_key(event.anchor, at)), at)
                else:
                    tree.alias(event.anchor, at)
            case DocumentStartEvent():
                documents += 1
                if documents > 1:
                    tree.fail(
                        "many-documents",
                        _at(event.start_mark),
                        "a second document starts here",
                        "a graph is one document: remove the line '---' or split the file",
                    )
            case _:
                pass


def _scalar(event: Any, tree: Tree) -> None:
    at = _at(event.start_mark)
    value = plain_value(event.value) if event.implicit[0] else event.value
    if tree.wants_key:
        tree.check_finite(value, at)
        tree.key(key_text(value), at, event.anchor)
    else:
        tree.scalar(value, at, event.anchor)


def _at(mark: Any) -> Position:
    return mark[0] + 1, mark[1] + 1
