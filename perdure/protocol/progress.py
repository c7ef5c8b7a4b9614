"""What people see of a run, in both shells: status rows, console lines, the details in the Temporal UI."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from perdure.engine.human_tasks import HumanPrompt
from perdure.engine.scheduler import Scheduler
from perdure.engine.state import STATE_MARKS, TERMINAL_STATES, GraphRun, NodeState
from perdure.graph.reference import Reference
from perdure.graph.text.shown import markdown
from perdure.graph.values import Value
from perdure.protocol.payloads import NodeStatus, RunStatus, StreamTail
from perdure.protocol.records import from_plain

MAX_STATUS_ROW_COUNT = 200
MAX_DETAIL_ROW_COUNT = 40
MAX_RUN_CONSOLE_COUNT = 1_000
MAX_RUN_LINE_CHARS = 8_000
MAX_STREAM_TAIL_COUNT = 20


@dataclass(slots=True)
class RunProgress:
    """Keeps little while the run executes, and builds what is asked for when it is asked."""

    name: str
    counts: dict[str, int] = field(default_factory=dict[str, int])
    _since: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    _queues: dict[str, str] = field(default_factory=dict[str, str])
    max_console: int = MAX_RUN_CONSOLE_COUNT
    _console: deque[str] = field(init=False)
    _console_count: int = 0
    _streams: deque[StreamTail] = field(
        default_factory=lambda: deque[StreamTail](maxlen=MAX_STREAM_TAIL_COUNT)
    )

    def __post_init__(self) -> None:
        self._console = deque[str](maxlen=self.max_console)

    def observe(self, run: GraphRun, name: str) -> None:
        """A node is in another state."""
        state = run.nodes[name].state
        if state is NodeState.EXECUTING:
            self._since[run.id, name] = run.clock.now_ms
        elif state in TERMINAL_STATES:
            self.counts[state] = self.counts.get(state, 0) + 1
            self._since.pop((run.id, name), None)
            if self._queues:
                self._queues.pop(run.path_of(name), None)

    def state(self) -> dict[str, Value]:
        """What the next run of a chain continues with."""
        return {
            "counts": dict(self.counts),
            "console": list(self._console),
            "lines": self._console_count,
            "since": [[run, name, since] for (run, name), since in self._since.items()],
        }

    def resume(self, state: Mapping[str, Value]) -> None:
        """Continues with what the previous run has left."""
        self.counts = dict(state["counts"])
        self._console.extend(state["console"])
        self._console_count = state["lines"]
        self._since = {(run, name): since for run, name, since in state.get("since", ())}

    def sent_to(self, path: str, queue: str) -> None:
        """A call went out to a task queue."""
        self._queues[path] = queue

    def add_console(self, text: str) -> None:
        """A node has something to show."""
        self._console.append(text[:MAX_RUN_LINE_CHARS])
        self._console_count += 1

    def add_stream(self, path: str, stream: Mapping[str, Value]) -> None:
        """A call has ended: the end of what it has streamed, as fields of a StreamTail.

        Raises MalformedPayload for anything else.
        """
        self._streams.append(replace(from_plain(StreamTail, stream), path=path))

    def status(
        self, scheduler: Scheduler | None, console_from: int, questions: Sequence[HumanPrompt]
    ) -> RunStatus:
        """Everything a status display needs."""
        seen = max(console_from - (self._console_count - len(self._console)), 0)
        places = [] if scheduler is None else _places(scheduler, MAX_STATUS_ROW_COUNT)
        nodes = tuple(self._row(*place) for place in places)
        return RunStatus(
            name=self.name,
            iteration=0 if scheduler is None else scheduler.root.iteration,
            questions=tuple(questions),
            counts=dict(self.counts),
            nodes=nodes,
            streams=tuple(self._streams),
            console=list(self._console)[seen:],
            console_offset=self._console_count,
        )

    def markdown(self, scheduler: Scheduler) -> str:
        """The table that the Temporal UI shows of a running workflow."""
        rows = [
            (run.path_of(name), run.nodes[name].state)
            for run, name in _places(scheduler, MAX_DETAIL_ROW_COUNT)
        ]
        return _table(rows, len(scheduler.root.plan.order))

    def final(self, states: Mapping[str, str]) -> str:
        """That of one that has ended, with these states."""
        rows = [(name, NodeState(state)) for name, state in islice(states.items(), MAX_DETAIL_ROW_COUNT)]
        return _table(rows, len(states))

    def _row(self, run: GraphRun, name: str) -> NodeStatus:
        node, path = run.nodes[name], run.path_of(name)
        computed = run.plan.computed.get(name)
        agent = None if computed is None else computed.agent
        nested = node.nested
        return NodeStatus(
            path=path,
            state=str(node.state),
            agent=agent.text if isinstance(agent, Reference) else agent,
            queue=self._queues.get(path),
            since=self._since.get((run.id, name), 0),
            retries=node.retries,
            error=node.error,
            done=0 if nested is None else nested.opened - len(nested.children),
            total=0 if nested is None else len(nested.starts),
        )


def _places(scheduler: Scheduler, limit: int) -> list[tuple[GraphRun, str]]:
    """The root graph's nodes and what runs inside them; where too many, those that run first."""
    root, board = scheduler.root, scheduler.board
    names: Iterable[str] = root.plan.order
    flights = [flight for flight in board.calls.values() if flight.node]
    if len(root.plan.order) > limit:
        running = [flight.node for flight in flights if flight.run == root.id]
        names = dict.fromkeys((*running[:limit], *islice(names, limit)))
    inner = ((board.runs[flight.run], flight.node) for flight in flights if flight.run != root.id)
    return [*((root, name) for name in islice(names, limit)), *islice(inner, limit // 2)]


def _table(rows: Sequence[tuple[str, NodeState]], total: int) -> str:
    lines = [f"| {STATE_MARKS[state]} | {markdown(path)} | {state} |" for path, state in rows]
    hidden = total - len(lines)
    more = [f"\n… and {hidden} more nodes"] if hidden > 0 else []
    return "\n".join(["| | node | state |", "|---|---|---|", *lines, *more])
