"""How a run ended: its results on stdout, its failures on stderr, and the exit code."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

from perdure.cli import output
from perdure.errors import RunCancelled, RunFailed
from perdure.graph.values import Value, is_dict, js_truthy
from perdure.protocol.payloads import RunResult


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What of a result is shown: `everything` instead of isResult nodes, as one JSON object for programs."""

    everything: bool = False
    json: bool = False


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say what is shown."""
    parser.add_argument("--all", action="store_true", help="results of all nodes, not only isResult ones")
    parser.add_argument("--json", action="store_true", help="one object: id, status, results, errors, states")


def show_of(args: argparse.Namespace) -> OutputOptions:
    """What the options say."""
    return OutputOptions(everything=args.all, json=args.json)


async def reported(
    id: str, document: Mapping[str, Value], show: OutputOptions, ending: Awaitable[RunResult]
) -> int:
    """Waits for the end and reports it: 0, or 1 where the run failed."""
    try:
        result = await ending
    except RunFailed as error:
        status = "cancelled" if isinstance(error, RunCancelled) else "failed"
        _report_failure(id, document, show, status, error)
        return 1
    for node in never_ran(document, result):
        output.note(
            f"{node} has isResult, and did not run: it is {result.states.get(node, 'waiting')}\n"
            f"  hint: look at its if and unless, and at the nodes that it waits for: perdure status {id}"
        )
    if show.json:
        output.result(as_json(id, "completed", result, show))
        return 0
    everything = show.everything
    if not everything and not has_results(document):
        output.note("no node of the graph has isResult: here are the results of all")
        everything = True
    output.result(output.json_text(result.all if everything else result.results))
    return 0


def as_json(id: str, status: str, result: RunResult, show: OutputOptions) -> str:
    """The one object for programs."""
    results = result.all if show.everything else result.results
    whole: dict[str, Any] = {"id": id, "status": status, "results": results}
    return output.json_text({**whole, "errors": result.errors, "states": result.states})


def _report_failure(
    id: str, document: Mapping[str, Value], show: OutputOptions, status: str, error: RunFailed
) -> None:
    result: RunResult = error.result or RunResult(failure=str(error))
    if show.json:
        output.result(as_json(id, status, result, show))
    if status == "cancelled":
        output.note(str(error))
        return
    output.note(f"run {id} failed" + ("" if result.errors else f": {error}"))
    for node, message in result.errors.items():
        agent = agent_of(document, node)
        output.note(f"  {node}{f' ({agent})' if agent else ''}: {message}")


def agent_of(document: Mapping[str, Value], node: str) -> str:
    """The agent that a node names, "" for none."""
    nodes = document.get("nodes")
    spec: Value = nodes.get(node) if is_dict(nodes) else None
    return str(spec.get("agent", "")) if is_dict(spec) else ""


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
