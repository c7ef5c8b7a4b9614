"""A run written down between two events, and restored: for continue-as-new and for segments.

A snapshot is plain data (values of the language, so UNDEFINED may be among them). It refers to the values of
the run and copies none; each document is there once, and only what differs from a fresh start is written.

Invariants
    The restored run answers every further event as the first one would have: same commands, same
    numbers of calls, same paths (tests/property plays both).
    What follows from other state is not written: slots, and the counts of a graph, are those of the
    states of its nodes. So they cannot disagree.
    A form that was ever written is read for as long as runs may hold it (READABLE).

Rejected
    Pickled objects: a run outlives versions, and the layout of classes would be frozen with it.
    A log of the events so far: it grows with the run, which is why the run continues as new.

Not in it: the options and names of agents, which `restore` receives again, and the order in which answers
are due (turn_order.py), which is the shell's.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from math import inf
from operator import attrgetter
from typing import Final

from perdure.engine.board import Board, Rules
from perdure.engine.granting.authority import Authority
from perdure.engine.granting.budgets import resume_ledgers
from perdure.engine.lifecycle.open_calls import call_data, reissued
from perdure.engine.maps.late import LateRow
from perdure.engine.maps.version_gates import Gates
from perdure.engine.messages import Command, RunOptions
from perdure.engine.plan import Plan
from perdure.engine.plan_cache import plan_of
from perdure.engine.scheduler import Scheduler, new_board, rules_of
from perdure.engine.snapshot_nested import SnapshotRoom, nested_data, nested_of, outcome_of, rows_data
from perdure.engine.state import ACTIVE, GraphRun, NodeRun, NodeState, Observer
from perdure.errors import UsageError
from perdure.graph.values import UNDEFINED, UNREADABLE, Value

SNAPSHOT_FORMAT: Final = 3
"""The number of this form."""

READABLE_FORMATS: Final = (2, SNAPSHOT_FORMAT)
"""Forms that `restore` takes: in form 2, nothing is known of deferred values."""

_KEYS: Final = (
    *("skip", "retries", "error", "last_failure", "call", "timer", "deadline", "reserved"),
    *("hedge", "hedge_timer", "approved", "approved_ms"),
)
_of_keys: Final = attrgetter(*_KEYS)
_FRESH: Final = _of_keys(NodeRun())

_NO_NODES: Final = frozenset[str]()
_STATES: Final = {state.value: state for state in NodeState}


def snapshot(
    scheduler: Scheduler, *, light: bool = False, calls: Container[int] | None = None
) -> dict[str, Value]:
    """Everything that has happened so far; to be taken between two events.

    A `light` one leaves out the results of large maps: the scheduler that is made of it continues
    until such a map is over, and then raises Withheld (perdure.engine.snapshot_nested). Of `calls` it has the
    inputs, None for all: `restore` gives no command for any other.
    """
    board, room = scheduler.board, SnapshotRoom() if light else None
    documents: list[Value] = []
    numbers: dict[int, int] = {}
    for plan in _plans(board):
        if id(plan) not in numbers:
            numbers[id(plan)] = len(documents)
            documents.append(plan.document)
    runs = [_run_data(run, numbers, room) for run in board.runs.values()]
    return {
        "format": SNAPSHOT_FORMAT,
        "now": board.clock.now_ms,
        "finished": board.finished,
        "last_call": board.last_call,
        "last_run": board.last_run,
        "used": [board.used_calls, board.used_iterations],
        "documents": documents,
        "runs": runs,
        **({"rows": [rows_data(rows) for rows in room.rows]} if room is not None and room.rows else {}),
        "calls": [call_data(board, call, calls) for call in board.calls],
        "known": board.resolved.written(),
        **board.fuel.written(),
        "queue": [[ticket.run, ticket.node] for ticket in board.slots.tickets()],
        **({"paused": [*board.paused]} if board.paused else {}),
    }


def restore(
    data: Mapping[str, Value],
    options: RunOptions | None = None,
    agents: Collection[str] | None = None,
    observe: Observer | None = None,
    event_steps: float = inf,
    gates: Gates | None = None,
    authority: Authority | None = None,
) -> tuple[Scheduler, list[Command]]:
    """The scheduler of a snapshot, and the commands that had no answer yet, in the order they were sent.

    Calls keep their numbers. A timer is asked for the time that it had left when the snapshot was
    taken. `observe` hears of moves from now on. Raises UsageError for a snapshot of another form, and
    for one that refers to what it does not hold or is malformed otherwise.
    """
    if data.get("format") not in READABLE_FORMATS:
        raise UsageError(
            f"this snapshot has form {data.get('format')!r}, and only {READABLE_FORMATS} are known here. "
            "Let a worker of the version that wrote it continue the run."
        )
    rules = rules_of(options or RunOptions(), agents, event_steps, gates, authority)
    try:
        return _restored(data, rules, observe)
    except UNREADABLE as error:
        raise UsageError(f"this snapshot is malformed: {type(error).__name__}: {error}"[:200]) from error


def _restored(
    data: Mapping[str, Value], rules: Rules, observe: Observer | None
) -> tuple[Scheduler, list[Command]]:
    documents: list[Mapping[str, Value]] = data["documents"]
    plans = [plan_of(document, rules.options.graphs) for document in documents]
    board = new_board(plans[0], rules, observe)
    board.used_calls, board.used_iterations = data["used"]
    board.clock.now_ms, board.finished = data["now"], data["finished"]
    board.last_call, board.last_run = data["last_call"], data["last_run"]
    board.fuel.resume(data.get("steps", 0), data.get("pause"), data.get("put_off", ()))
    board.resolved.remember(data.get("known", {}))
    for item in data["runs"]:
        _add_run(board, item, plans, data.get("rows", ()))
    data_of: dict[int, Mapping[str, Value]] = {item["id"]: item for item in data["runs"]}
    for run in board.runs.values():  # those around a graph come before it
        rules.authority.enter(run, board.runs)
        resume_ledgers(run, data_of[run.id].get("budgets", {}))
    board.recount()
    board.paused = dict.fromkeys(data.get("paused", ()))
    for number, name in data["queue"]:
        board.queue(board.runs[number], name)
    scheduler = Scheduler.resumed(board, rules)
    commands = [(reissued(scheduler.nodes, item), item) for item in data["calls"]]
    return scheduler, [command for command, item in commands if "agent" not in item or "inputs" in item]


def _plans(board: Board) -> Iterator[Plan]:
    for run in board.runs.values():
        yield run.plan
        for node in run.nodes.values():
            if node.nested is not None and node.nested.plan is not None:
                yield node.nested.plan


def _run_data(run: GraphRun, documents: Mapping[int, int], room: SnapshotRoom | None) -> dict[str, Value]:
    data: dict[str, Value] = {"id": run.id, "document": documents[id(run.plan)]}
    if run.parent is not None:
        data |= {"parent": list(run.parent), "path": run.path, "key": run.key}
    for key, plain in (("want_all", False), ("iteration", 0), ("depth", 1), ("batch", 1)):
        if getattr(run, key) != plain:
            data[key] = getattr(run, key)
    if run.map_index is not None:
        data["map_index"] = run.map_index
    if run.rule is not run.plan.loop:
        data["rule"] = run.rule
    if run.values:
        data["values"] = run.values
    if run.budgets:
        data["budgets"] = {key: ledger.written() for key, ledger in run.budgets.items()}
    if run.late_rows:
        data["late_rows"] = {
            name: [[key, late.graph, late.iteration] for key, late in kept.items()]
            for name, kept in run.late_rows.items()
        }
    if run.outcome is not None:
        data["outcome"] = [run.outcome.value, run.outcome.failure]
    nodes = {name: _node_data(run, name, node, documents, room) for name, node in run.nodes.items()}
    data["nodes"] = {name: node for name, node in nodes.items() if node}
    return data


def _node_data(
    run: GraphRun, name: str, node: NodeRun, documents: Mapping[int, int], room: SnapshotRoom | None
) -> dict[str, Value]:
    data: dict[str, Value] = {}
    static = run.plan.statics.get(name)
    if static is not None and node.value is not run.values.get(name, static.value):
        data["value"] = node.value
    if node.result is not (node.value if node.state is NodeState.INJECTED else UNDEFINED):
        data["result"] = node.result
    if node.state is not NodeState.WAITING:
        data["state"] = str(node.state)
    elif static is None and node.pending != run.plan.computed[name].needs:
        data["pending"] = sorted(node.pending)
    values = _of_keys(node)
    if values != _FRESH:  # of most nodes only the result is kept
        data |= {
            key: value for key, value, fresh in zip(_KEYS, values, _FRESH, strict=True) if value != fresh
        }
    if node.nested is not None:
        data["nested"] = nested_data(node.nested, documents, room)
    return data


def _add_run(board: Board, data: Mapping[str, Value], plans: Sequence[Plan], rows: Sequence[Value]) -> None:
    """Puts a graph on the board, and takes the slots that its nodes hold."""
    plan = plans[int(data["document"])]
    run = board.put_run(data["id"], plan)
    run.rule = data.get("rule", plan.loop)
    if "parent" in data:
        number, name = data["parent"]
        run.parent, run.path, run.key = (number, name), data["path"], data["key"]
    run.map_index, run.want_all = data.get("map_index"), data.get("want_all", False)
    run.depth, run.batch = data.get("depth", 1), data.get("batch", 1)
    run.iteration, run.values = data.get("iteration", 0), data.get("values", {})
    run.outcome = outcome_of(data.get("outcome"))
    for name, kept in data.get("late_rows", {}).items():
        run.late_rows[name] = {key: LateRow(graph, iteration) for key, graph, iteration in kept}
    run.renew()
    for name, item in data["nodes"].items():
        _fill(run.nodes[name], item, plans, rows)
    for name, node in run.nodes.items():
        run.active += node.state in ACTIVE
        run.holds += node.state is NodeState.WAITING and node.call is not None
        if node.state is NodeState.EXECUTING:
            board.slots.hold(run.id, plan.computed[name].label, node.reserved)


def _fill(node: NodeRun, data: Mapping[str, Value], plans: Sequence[Plan], rows: Sequence[Value]) -> None:
    """Fills a fresh node with what `_node_data` wrote."""
    state = node.state = _STATES[data["state"]] if "state" in data else NodeState.WAITING
    if "value" in data:
        node.value = data["value"]
    node.result = data.get("result", node.value if state is NodeState.INJECTED else UNDEFINED)
    if state is not NodeState.WAITING:
        node.pending = _NO_NODES
    elif "pending" in data:
        node.pending = set(data["pending"])
    if data.keys() <= _OFTEN:
        return
    for key in _KEYS:
        if key in data:
            setattr(node, key, data[key])
    if "nested" in data:
        node.nested = nested_of(data["nested"], plans, rows)


_OFTEN: Final = frozenset({"value", "state", "result", "pending"})
