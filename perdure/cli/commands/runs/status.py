"""How a run is: its nodes, the calls that are under way, and what it waits for."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from perdure.cli import connection, output
from perdure.cli.progress.progress_table import duration
from perdure.cli.progress.screen import screen
from perdure.engine.state import STATE_MARKS
from perdure.errors import PerdureError, RunFailed
from perdure.graph.text.shown import line
from perdure.protocol.console import LOCAL_MODEL_NOTICE
from perdure.temporal.command_queues import is_of_one_command
from perdure.temporal.unserved import awaited

if TYPE_CHECKING:
    from perdure.client import GraphClient
    from perdure.history.model import NodeModel
    from perdure.monitoring.report import PendingCall, RunReport
    from perdure.protocol.interventions import Intervention
    from perdure.protocol.payloads import NodeStatus, RunResult, RunStatus
    from perdure.runs import Run

OPEN_STATES = ("queued", "executing")
UNFINISHED_STATES = ("failed", "timed-out", "abort")
MAX_INNER_COUNT = 20
"""Nodes of inner graphs that are shown of a run that has failed."""

EXAMPLES = """\
examples:
  perdure status nightly-3
  perdure status nightly-3 --watch         until it ends
  perdure status nightly-3 --json
"""

STATUS_INTERVAL_S = 1.0
"""Seconds between two looks at a run that is watched, at least."""

LOOK_TIME_FACTOR = 4
"""The next look comes after this many times what the last one took."""


EPOCH = datetime.fromtimestamp(0, UTC)


class Look(NamedTuple):
    """A run at one moment: its report, what it left behind if it has ended, inner nodes that failed."""

    report: RunReport
    ended: RunResult | None
    inner: Sequence[NodeModel]


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("id", metavar="ID", help="the run")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="as JSON")
    shape.add_argument("--watch", action="store_true", help="show it again and again, until the run ends")


def main(args: argparse.Namespace) -> int:
    """Asks and prints."""
    return connection.with_client(_watch if args.watch else _main, args)


async def _main(args: argparse.Namespace, client: GraphClient) -> int:
    look = await _look(client.get(args.id))
    local = client.embedded is not None
    output.result(as_json(*look) if args.json else "\n".join(lines(*look, datetime.now(UTC), local=local)))
    return 0


async def _watch(args: argparse.Namespace, client: GraphClient) -> int:
    """Shows the run until it has ended: in place on a terminal, elsewhere whenever it is different."""
    run, local = client.get(args.id), client.embedded is not None
    with screen() as show:
        while True:
            began = time.monotonic()
            look = await _look(run)
            show(lines(*look, datetime.now(UTC), local=local), lines(*look, EPOCH, local=local))
            if look.report.closed is not None:
                return 0
            await asyncio.sleep(max(STATUS_INTERVAL_S, (time.monotonic() - began) * LOOK_TIME_FACTOR))


async def _look(run: Run) -> Look:
    report = await run.report()
    ended = await end_of(run) if report.closed is not None else None
    inner = await _inner_nodes(run) if ended is not None and ended.failure is not None else []
    return Look(report, ended, inner)


async def end_of(run: Run) -> RunResult | None:
    """What a run that has ended left behind; None where it never came to a result."""
    try:
        return await run.result()
    except RunFailed as error:
        return error.result
    except PerdureError:
        return None


async def _inner_nodes(run: Run) -> list[NodeModel]:
    """The nodes inside others that kept a run from its result."""
    try:
        nodes = (await run.history()).nodes.values()
    except PerdureError:  # what is known without it is shown
        return []
    return [node for node in nodes if node.parent is not None and node.state in UNFINISHED_STATES]


def as_json(report: RunReport, ended: RunResult | None, inner: Sequence[NodeModel]) -> str:
    """The report for programs; times are ISO 8601."""
    plain: dict[str, Any] = {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in asdict(report).items()
    }
    if ended is not None:
        states, errors = dict(ended.states), dict(ended.errors)
        states |= {node.address: node.state for node in inner}
        errors |= {node.address: node.failure for node in inner if node.failure is not None}
        plain |= {"states": states, "errors": errors}
        plain["failure"] = None if ended.cause is None else asdict(ended.cause)
    return output.json_text(plain)


def lines(
    report: RunReport,
    ended: RunResult | None,
    inner: Sequence[NodeModel],
    now: datetime,
    *,
    local: bool = False,
) -> list[str]:
    """The report for people.

    `ended` is what the run left behind, if it has ended, `inner` the nodes of its graphs inside that failed.
    With the embedded server, `local`, other commands can continue what one has left behind.
    """
    name = f" ({report.name})" if report.name else ""
    shown = [f"{report.id}{name}: {report.state}{_since(report, now)}"]
    if ended is not None:
        shown += [_end_line(name, state, ended.errors.get(name)) for name, state in ended.states.items()]
        shown += [_end_line(node.address, node.state, node.failure) for node in inner[:MAX_INNER_COUNT]]
        if len(inner) > MAX_INNER_COUNT:
            shown.append(f"  … and {len(inner) - MAX_INNER_COUNT} more inside: perdure history {report.id}")
    elif report.status is not None:
        if report.status.iteration:
            shown.append(f"  iteration {report.status.iteration}")
        shown += _node_lines(report, report.status, now)
    elif report.state == "running":
        shown.append("  no worker answers for it: what its nodes are doing is not known")
    if report.status is not None:
        shown += steering_lines(report.id, report.status.paused, report.status.interventions)
        shown += [f"  {text}" for text in report.status.console if text.startswith(LOCAL_MODEL_NOTICE)][:1]
    if report.cancelling:
        shown.append("  cancel requested: it stops as soon as a worker hears of it")
    if report.paused is not None:
        shown.append(f"  paused at the server{_by(report.paused)}: temporal workflow unpause -w {report.id}")
    if report.attempt > 1:
        shown.append(f"  stuck: workers fail at its next step, attempt {report.attempt}; see their logs")
    shown += _pending_lines(report.id, report.pending, now)
    shown += [_unserved_line(report.id, queue, local) for queue in report.unserved]
    return [*map(line, shown)]


def _unserved_line(id: str, queue: str, local: bool) -> str:
    if local and is_of_one_command(queue):
        return f"  the command that executed it has ended: perdure result {id} continues it"
    return "  waits for {}: {}".format(*awaited(queue))


def _node_lines(report: RunReport, status: RunStatus, now: datetime) -> list[str]:
    """The nodes, and what they ask; of a run that was ended from outside, how far they had come."""
    if report.closed is not None:
        cut = [replace(row, state="abort") if row.state in OPEN_STATES else row for row in status.nodes]
        return [_node_line(row, now) for row in cut]
    asked = [
        f"  {asked.path} waits for an answer to {asked.message!r}: "
        f"perdure answer {report.id} {asked.path} TEXT"
        for asked in status.questions
    ]
    return [_node_line(row, now) for row in status.nodes] + asked


def steering_lines(id: str, paused: Sequence[str], interventions: Sequence[Intervention]) -> list[str]:
    """What people have paused and changed in a run."""
    held = [f"  {place or 'the run'} is paused: perdure resume {id} {place}".rstrip() for place in paused]
    return [*held, *(f"  {_moment(change.at)} {_words(change)}" for change in interventions)]


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M:%S UTC")


def _words(change: Intervention) -> str:
    why = f" ({change.why})" if change.why else ""
    return f"changed by {change.who or 'a person'}{why}: {change.what}"


def _since(report: RunReport, now: datetime) -> str:
    if report.started is None:
        return ""
    if report.closed is not None:
        return f" after {duration((report.closed - report.started).total_seconds())}"
    return f" for {duration((now - report.started).total_seconds())}"


def _node_line(row: NodeStatus, now: datetime) -> str:
    parts = [STATE_MARKS.get(row.state, "?"), row.path, row.state]
    if row.state == "executing" and row.since:
        parts.append(duration(max(now.timestamp() - row.since / 1000, 0.0)))
    if row.total > 1:
        parts.append(f"{row.done}/{row.total}")
    if row.error:
        parts.append(f"({row.error})")
    return "  " + " ".join(parts)


def _for(call: PendingCall, now: datetime) -> str:
    return f" for {duration(max(now.timestamp() - call.since / 1000, 0.0))}" if call.since else ""


def _end_line(name: str, state: str, error: str | None) -> str:
    return f"  {STATE_MARKS.get(state, '?')} {name} {state}" + (f" ({error})" if error else "")


def _by(whom: str) -> str:
    return f" {whom}" if whom else ""


def _pending_lines(run: str, pending: Sequence[PendingCall], now: datetime) -> list[str]:
    shown: list[str] = []
    for call in pending:
        where = "is with a worker" if call.started else f"waits on queue {call.queue!r}"
        where += _for(call, now)
        if call.paused is not None:
            where = (
                f"is paused at the server{_by(call.paused)}: "
                f"temporal activity unpause -w {run} --activity-id {call.activity_id or call.path}"
            )
        account = f" ({call.account})" if call.account else ""
        attempt = f", attempt {call.attempt}{account}" if call.attempt > 1 else ""
        failure = f"; last failure: {call.last_failure}" if call.last_failure else ""
        shown.append(f"  call {call.path} of {call.agent} {where}{attempt}{failure}")
    return shown
