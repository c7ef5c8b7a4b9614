"""What happened in a run, open or over: its nodes in the order in which they began, or all of one node.

No worker is needed: the history of the run is replayed here.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from perdure.cli import connection, output
from perdure.cli.commands.runs.status import steering_lines
from perdure.cli.progress.progress_table import duration
from perdure.cli.progress.spent import cost_text
from perdure.cli.running.shorten import shortened
from perdure.graph.text.shown import line
from perdure.graph.values import UNDEFINED, Value

if TYPE_CHECKING:
    from perdure.client import GraphClient
    from perdure.engine.granting.prices import Spent
    from perdure.history.model import NodeModel, RunModel
    from perdure.runs import Run

EXAMPLES = """\
examples:
  perdure history nightly-3
  perdure history nightly-3 'chapters[3].summarize'
  perdure history nightly-3 --json
"""
HISTORY_COLUMN_TITLES = ("began", "took", "node", "agent", "attempts", "used", "state")
VALUES = ("inputs", "params", "result")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("id", metavar="ID", help="the run")
    parser.add_argument("node", metavar="NODE", nargs="?", help="one node, or its place in the run")
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Asks and prints."""
    return connection.with_client(_main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    run = client.get(args.id)
    from perdure.history.spent import prices_of, spent_by_node, total  # noqa: PLC0415 -- loads what replays

    model = await run.history()
    spent = spent_by_node(model, prices_of(client.settings))
    if model.problem is not None:
        output.note(f"this version cannot replay the history; shown is what its events say: {model.problem}")
    if args.node is not None:
        node = await _plain(run, model.node(args.node), spent)
        output.result(output.json_text(node) if args.json else "\n".join(_node_lines(node)))
    elif args.json:
        output.result(output.json_text(plain(model, spent)))
    else:
        changes = steering_lines(model.id, model.paused if model.is_open else (), model.interventions)
        table = output.table(HISTORY_COLUMN_TITLES, rows(model, spent))
        output.result("\n".join([table, *map(line, changes)]))
        if spent:
            output.note(f"the run used {cost_text(0, **asdict(total(spent)))}")
    return 0


def rows(model: RunModel, spent: Mapping[str, Spent]) -> list[list[str]]:
    """The table for people: nodes with agents, in the order in which they began, then the others."""
    nodes = [node for node in model.nodes.values() if node.agent is not None]
    nodes.sort(key=lambda node: (node.started is None, node.started or 0))
    return [_row(model, node, spent.get(node.address)) for node in nodes]


def _row(model: RunModel, node: NodeModel, spent: Spent | None) -> list[str]:
    began = "" if node.started is None else f"+{_seconds(model.started, node.started)}"
    took = "" if node.started is None or node.ended is None else _seconds(node.started, node.ended)
    phase = f"{node.phase} ({line(node.failure)})" if node.failure else str(node.phase)
    phase += ", reused" if node.is_reused else ""
    count = str(len(node.attempts)) if node.attempts else ""
    used = "" if spent is None else cost_text(0, **asdict(spent))
    return [began, took, node.address, node.agent or "", count, used, phase]


def _seconds(begin: int | None, end: int) -> str:
    return duration(max(end - (begin or end), 0) / 1000)


def plain(model: RunModel, spent: Mapping[str, Spent]) -> dict[str, Any]:
    """The whole run for programs, without inputs and results of its nodes."""
    nodes = [_facts(node, spent) for node in model.nodes.values()]
    names = ("id", "name", "state", "started", "ended", "queue", "is_whole", "failure", "counts", "problem")
    facts = {name: getattr(model, name) for name in names}
    transitions = [[change.time, change.address, change.state] for change in model.transitions]
    chain = [asdict(link) for link in model.chain]
    used = {name: sum(getattr(used_by, name) for used_by in spent.values()) for name in ("tokens", "money")}
    return {**facts, "spent": used, "chain": chain, "nodes": nodes, "transitions": transitions}


def _facts(node: NodeModel, spent: Mapping[str, Spent]) -> dict[str, Any]:
    """What is known of a node, except its values; what is not known is left out."""
    values = {*VALUES, "condition_value"}
    facts = {name: getattr(node, name) for name in node.__slots__ if name not in values}
    facts["attempts"] = [asdict(attempt) for attempt in node.attempts]
    facts["spent"] = asdict(spent[node.address]) if node.address in spent else None
    facts["rows"] = None if node.rows is None else asdict(node.rows)
    return {name: value for name, value in facts.items() if value not in (None, (), False)}


async def _plain(run: Run, node: NodeModel, spent: Mapping[str, Spent]) -> dict[str, Any]:
    """All of one node, with values from the store."""
    values = {name: getattr(node, name) for name in VALUES}
    known = {name: await run.value(value) for name, value in values.items() if value is not UNDEFINED}
    return {**_facts(node, spent), **known}


def _node_lines(node: dict[str, Any]) -> list[str]:
    lines = [f"{node['address']}: {node['phase']}"]
    lines += [f"  {name} {_moment(node[name])}" for name in ("ready", "started", "ended") if name in node]
    lines += [f"  {_attempt_line(attempt)}" for attempt in node["attempts"]] if "attempts" in node else []
    lines += [f"  used {cost_text(0, **node['spent'])}"] if "spent" in node else []
    lines += [f"  failure: {node['failure']}"] if "failure" in node else []
    lines += [f"  console: {text}" for text in node.get("console", ())]
    shown = [line(row) for row in lines]
    for name in VALUES:
        if name in node:
            shown += [f"  {name}:", *_indented(node[name])]
    return shown


def _attempt_line(attempt: dict[str, Any]) -> str:
    parts = [f"attempt {attempt['number']} of {attempt['path']}"]
    parts += [f"by {attempt['worker']}"] if attempt["worker"] else []
    if attempt["started"] and attempt["ended"]:
        parts.append(f"took {_seconds(attempt['started'], attempt['ended'])}")
    parts += [f"failed: {attempt['failure']}"] if attempt["failure"] else []
    return ", ".join(parts)


def _indented(value: Value) -> Sequence[str]:
    return [f"    {text_line}" for text_line in output.json_text(shortened(value)).splitlines()]


def _moment(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).astimezone().isoformat(timespec="milliseconds")
