"""How a run ended: its results on stdout, its failures on stderr, and the exit code."""

from __future__ import annotations

import argparse
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

from perdure.cli import output
from perdure.cli.running.shorten import shortened
from perdure.errors import RunCancelled, RunFailed, UsageError, with_hint
from perdure.graph.reference import parse_reference
from perdure.graph.text import shown
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, js_truthy
from perdure.graph.wording import suggestion
from perdure.protocol.payloads import RunResult

MISSING_FILE_HINT: Final = (
    "hint: file agents read inside the folder of the graph (perdure run), of the worker, or PERDURE_FILE_ROOT"
)
_ITEM: Final = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What of a result is shown, and how."""

    everything: bool = False
    """All nodes, instead of isResult ones."""
    json: bool = False
    """As one object for programs."""
    full: bool = False
    """Not shortened for a terminal."""
    path: str | None = None
    """One place in the results alone, such as ``answer.text`` or ``map[1].deep``."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say what is shown."""
    parser.add_argument("--all", action="store_true", help="results of all nodes, not only isResult ones")
    parser.add_argument(
        "--json", action="store_true", help="one object: id, status, results, errors, states, failure"
    )
    parser.add_argument("--full", action="store_true", help="long lists whole, on a terminal too")


def output_options(args: argparse.Namespace) -> OutputOptions:
    """What the options say."""
    return OutputOptions(
        everything=args.all, json=args.json, full=args.full, path=getattr(args, "path", None)
    )


Deliver: TypeAlias = Callable[[RunResult], int]
"""Takes the result of a run that did not fail, instead of stdout, and gives the exit code."""


async def reported(
    id: str,
    document: Mapping[str, Value],
    options: OutputOptions,
    ending: Awaitable[RunResult],
    deliver: Deliver | None = None,
) -> int:
    """Waits for the end and reports it: 0, or 1 where the run failed."""
    try:
        result = await ending
    except RunFailed as error:
        status = "cancelled" if isinstance(error, RunCancelled) else "failed"
        _report_failure(id, document, options, status, error)
        if options.path is not None and error.result is not None and not options.json:
            output.result(_text(at(error.result.all, options.path), options))
        return 1
    _hint_never_ran(document, result)
    if deliver is not None:
        return deliver(result)
    if options.json:
        output.result(as_json(id, "completed", result, options))
        return 0
    if options.path is not None:
        output.result(_text(at(result.all, options.path), options))
        return 0
    everything = options.everything
    if not everything and not has_results(document):
        output.note("no node of the graph has isResult: here are the results of all")
        everything = True
    output.result(_text(result.all if everything else result.results, options))
    return 0


def at(results: Mapping[str, Value], path: str) -> Value:
    """The value at a place such as ``answer.text``, ``map[1].deep`` or ``map.$1.deep``. Raises UsageError."""
    reference = parse_reference(":" + _ITEM.sub(r".$\1", path.removeprefix(":")))
    node = "" if reference is None else reference.node
    if reference is None or node not in results:
        hint = suggestion(node, results) or "no node has a result"
        raise UsageError(f"there is no result at {path!r}", hint=hint)
    value = reference.read(results[node])
    if value is UNDEFINED:
        held = results[node]
        parts = f"there is: {', '.join(held)}" if is_dict(held) else "it has no parts"
        hint = f"{node!r} is a list of {len(held)}" if is_list(held) else parts
        raise UsageError(f"there is no result at {path!r}", hint=hint)
    return value


def _text(value: Value, options: OutputOptions) -> str:
    """A result for stdout: shortened where that is a terminal, and a string alone as it is."""
    terminal = output.is_terminal()
    if options.path is not None and isinstance(value, str):
        return output.plain(value) if terminal else value
    brief = value if options.full or not terminal else shortened(value)
    if brief != value:
        output.note("shortened for the terminal: --full prints all")
    return output.json_text(brief)


def as_json(id: str, status: str, result: RunResult, options: OutputOptions) -> str:
    """The one object for programs."""
    results = result.all if options.everything else result.results
    whole: dict[str, Any] = {"id": id, "status": status, "results": results}
    if (cause := result.cause) is not None:
        whole["failure"] = asdict(cause)
    return output.json_text({**whole, "errors": result.errors, "states": result.states})


def _report_failure(
    id: str, document: Mapping[str, Value], options: OutputOptions, status: str, error: RunFailed
) -> None:
    result: RunResult = error.result or RunResult(failure=str(error))
    if options.json:
        output.result(as_json(id, status, result, options))
    if status == "cancelled":
        output.note(shown.message(str(error)))
        return
    output.note(f"run {id} failed" + ("" if result.errors else f": {shown.message(str(error))}"))
    for node, message in result.errors.items():
        agent = agent_of(document, node)
        place = f"{node} ({agent})" if agent else node
        if message == result.failure and result.place not in (node, ""):
            place = result.place  # it is inside this node
        output.note(f"  {shown.line(place)}: {shown.message(message)}")
        if "ENOENT: " in message:
            output.note(f"  {MISSING_FILE_HINT}")


def agent_of(document: Mapping[str, Value], node: str) -> str:
    """The agent that a node names, "" for none."""
    nodes = document.get("nodes")
    spec: Value = nodes.get(node) if is_dict(nodes) else None
    return str(spec.get("agent", "")) if is_dict(spec) else ""


def _hint_never_ran(document: Mapping[str, Value], result: RunResult) -> None:
    for node in never_ran(document, result):
        finding = f"{node} has isResult, and did not run: it is {result.states.get(node, 'waiting')}"
        output.note(with_hint(finding, "look at its if and unless, and at the nodes that it waits for"))


def never_ran(document: Mapping[str, Value], result: RunResult) -> list[str]:
    """The isResult nodes of the graph itself that came to no result, though the run came to its end."""
    return [name for name in _result_nodes(document) if name not in result.results]


def has_results(document: Mapping[str, Value]) -> bool:
    """Whether a node of the graph itself is an isResult node."""
    return bool(_result_nodes(document))


def _result_nodes(document: Mapping[str, Value]) -> list[str]:
    nodes = document.get("nodes")
    rows = nodes.items() if is_dict(nodes) else ()
    return [str(name) for name, node in rows if is_dict(node) and js_truthy(node.get("isResult"))]
