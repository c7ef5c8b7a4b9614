"""The details that the Temporal UI shows of a run: a table in Markdown, what matters first.

The UI asks for them when a person opens the tab, and never refreshes them: so times are times of day.
Failed nodes come first, then questions, then what runs or waits for a worker, then the rest of the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from urllib.parse import quote

from perdure.engine.human_tasks import HumanPrompt
from perdure.engine.scheduler import Scheduler
from perdure.engine.state import STATE_MARKS, GraphRun, NodeState
from perdure.graph.text.shown import markdown

MAX_DETAIL_ROW_COUNT = 40
MAX_DETAIL_BYTES = 16_000
MAX_DETAIL_CELL_CHARS = 150
MAX_DETAIL_PENDING_COUNT = 10

Failed = Sequence[tuple[str, str]]
"""The paths of failed nodes, and the messages of their failures."""


@dataclass(frozen=True, slots=True)
class Row:
    """A node: its state, since when in milliseconds since the epoch (0 if that is not known), and why."""

    path: str
    state: NodeState
    since: int = 0
    why: str = ""

    def line(self) -> str:
        """The line of the table."""
        time = datetime.fromtimestamp(self.since / 1000, UTC).strftime("%H:%M:%S") if self.since else ""
        why = markdown(self.why[:MAX_DETAIL_CELL_CHARS]) if self.why else ""
        path = markdown(self.path[:MAX_DETAIL_CELL_CHARS])
        return f"| {STATE_MARKS[self.state]} | {path} | {self.state} | {time} | {why} |"


def page_line(page: str, run: str) -> str:
    """A link to the run on the live page at this address, empty without an address."""
    return f"[Open the live page]({page}/#/run/{quote(run, safe='')})" if page else ""


def open_details(
    scheduler: Scheduler,
    counts: Mapping[str, int],
    failed: Failed,
    questions: Sequence[HumanPrompt],
    since: Mapping[tuple[int, str], int],
    queues: Mapping[str, str],
    top: str = "",
) -> str:
    """Those of a run that is not over, below the line `top`.

    `since` are the starts of nodes, `queues` those of calls by path.
    """
    asked = {prompt.path: prompt.message for prompt in questions}
    board, root = scheduler.board, scheduler.root
    open_nodes = ((board.runs[flight.run], flight.node) for flight in board.calls.values() if flight.node)
    active = islice(open_nodes, MAX_DETAIL_ROW_COUNT)
    rest = ((root, name) for name in root.plan.order)

    def row(run: GraphRun, name: str) -> Row:
        path = run.path_of(name)
        why = f"asks: {asked[path]}" if path in asked else _why(run, name, queues.get(path))
        return Row(path, run.nodes[name].state, since.get((run.id, name), 0), why)

    rows = chain(
        (Row(path, NodeState.FAILED, why=message) for path, message in failed),
        sorted((row(*place) for place in active), key=lambda line: line.path not in asked),
        (row(*place) for place in rest),
    )
    heads = [f"{count} {state}" for state, count in counts.items() if state != NodeState.INJECTED]
    heads += [f"{len(board.calls)} open"] if board.calls else []
    return _table(top, heads, rows, len(root.plan.order))


def ended_details(states: Mapping[str, str], failed: Failed, top: str = "") -> str:
    """Those of a run that has ended, with these states, below the line `top`."""
    rows = chain(
        (Row(path, NodeState.FAILED, why=message) for path, message in failed),
        (Row(name, NodeState(state)) for name, state in states.items()),
    )
    return _table(top, [], rows, len(states))


def _why(run: GraphRun, name: str, queue: str | None) -> str:
    node = run.nodes[name]
    if node.nested is not None and len(node.nested.starts) > 1:
        done = node.nested.opened - len(node.nested.children)
        return f"{done} of {len(node.nested.starts)} rows are done"
    if queue is not None:
        return f"on task queue {queue}"
    if node.state is NodeState.WAITING and node.pending:
        few = len(node.pending) <= MAX_DETAIL_PENDING_COUNT
        return f"waits for {', '.join(sorted(node.pending)) if few else f'{len(node.pending)} nodes'}"
    return ""


def _table(top: str, heads: Sequence[str], rows: Iterable[Row], total: int) -> str:
    lines = ["| | node | state | since (UTC) | why |", "|---|---|---|---|---|"]
    for head in (" · ".join(heads), top):
        lines[:0] = [head, ""] if head else []
    used, outer = sum(len(line.encode()) for line in lines), 0
    for row in islice(_distinct(rows), MAX_DETAIL_ROW_COUNT):
        line = row.line()
        used += len(line.encode()) + 1
        if used > MAX_DETAIL_BYTES - 100:  # the last line has room in it
            break
        lines.append(line)
        outer += "." not in row.path and "[" not in row.path
    if total > outer:
        lines.append(f"\n… and {total - outer} more nodes")
    return "\n".join(lines)


def _distinct(rows: Iterable[Row]) -> Iterator[Row]:
    """Each path once: where it comes first."""
    paths: set[str] = set()
    for row in rows:
        if row.path not in paths:
            paths.add(row.path)
            yield row
