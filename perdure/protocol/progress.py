"""What people see of a run, in both shells: status rows, console lines, the details in the Temporal UI."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from perdure.engine.board import Board
from perdure.engine.human_tasks import Answer, HumanPrompt
from perdure.engine.messages import Event, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.engine.state import TERMINAL_STATES, GraphRun, NodeState
from perdure.graph.fields import LOOP_INDEX
from perdure.graph.reference import Reference
from perdure.graph.values import Value
from perdure.protocol.console import MAX_CONSOLE_LINE_CHARS, newest
from perdure.protocol.details import ended_details, open_details
from perdure.protocol.failures import FAILED_STATES, FailureLog, NodeFailure
from perdure.protocol.journal import RunJournal
from perdure.protocol.payloads import NodeStatus, RunChanges, RunResult, RunStatus, StreamTail
from perdure.protocol.query_size import MAX_CHANGES_BYTES, first_within, newest_within
from perdure.protocol.records import from_plain
from perdure.protocol.trail import Trail, TrailPosition

MAX_STATUS_ROW_COUNT = 200
MAX_RUN_CONSOLE_COUNT = 1_000
MAX_STATUS_CONSOLE_BYTES = 500_000
MAX_STREAM_TAIL_COUNT = 20


@dataclass(slots=True)
class RunProgress:
    """Keeps little while the run executes, and builds what is asked for when it is asked.

    A replay brings a `journal`, which hears of everything.
    """

    name: str
    journal: RunJournal | None = None
    trail: Trail = field(default_factory=Trail)
    counts: dict[str, int] = field(default_factory=dict[str, int])
    _since: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    _queues: dict[str, str] = field(default_factory=dict[str, str])
    max_console: int = MAX_RUN_CONSOLE_COUNT
    max_sent_console: int = MAX_STATUS_CONSOLE_BYTES
    _console: deque[str] = field(init=False)
    _console_count: int = 0
    failures: FailureLog = field(default_factory=FailureLog)
    _streams: deque[StreamTail] = field(
        default_factory=lambda: deque[StreamTail](maxlen=MAX_STREAM_TAIL_COUNT)
    )

    def __post_init__(self) -> None:
        self._console = deque[str](maxlen=self.max_console)

    def observe(self, run: GraphRun, name: str) -> None:
        """A node is in another state."""
        node = run.nodes[name]
        state = node.state
        if state is NodeState.EXECUTING:
            self._since[run.id, name] = run.clock.now_ms
        elif state in TERMINAL_STATES and name != LOOP_INDEX:
            self.counts[state] = self.counts.get(state, 0) + 1
            if state in FAILED_STATES:
                self.failures.observe(run, name)
            self._since.pop((run.id, name), None)
            if self._queues:
                self._queues.pop(run.path_of(name), None)
        self.trail.moved(run, name)
        if self.journal is not None:
            self.journal.moved(run, name)

    def begun(self, scheduler: Scheduler) -> None:
        """The run is played by this scheduler."""
        self.trail.clock = scheduler.board.clock
        if self.journal is not None:
            self.journal.begun(scheduler)

    def steered(self, scheduler: Scheduler, replaced: Sequence[tuple[str, str]]) -> None:
        """The run was changed by a person: nodes are no longer what they were, in these states."""
        for _, state in replaced:
            if state in TERMINAL_STATES:
                self.counts[state] = self.counts.get(state, 1) - 1
        keys = {key for key, _ in replaced}
        self.failures.earlier = [failed for failed in self.failures.earlier if failed[0] not in keys]
        self.trail.steered()
        if self.journal is not None:
            self.journal.begun(scheduler)

    def called(self, command: RunAgent) -> None:
        """An agent is called."""
        self.trail.called(command)
        if self.journal is not None:
            self.journal.called(command)

    def recalled(self, path: str, entry: int) -> None:
        """The call at `path` is answered by this entry of the record of an earlier run; -1: by a person."""
        if self.journal is not None:
            self.journal.recalled(path, entry)

    def answered(self, event: Event) -> None:
        """An answer is handed on."""
        if self.journal is not None:
            self.journal.answered(event)

    def state(self) -> dict[str, Value]:
        """What the next run of a chain continues with."""
        return {
            "counts": dict(self.counts),
            "console": list(self._console),
            "lines": self._console_count,
            "failed": [list(failure) for failure in self.failures.entries()],
            "since": [[run, name, since] for (run, name), since in self._since.items()],
        }

    def resume(self, state: Mapping[str, Value]) -> None:
        """Continues with what the previous run has left."""
        self.counts = dict(state["counts"])
        self._console.extend(state["console"])
        self._console_count = state["lines"]
        self.failures.earlier = [(path, message) for path, message in state.get("failed", ())]
        self._since = {(run, name): since for run, name, since in state.get("since", ())}

    def sent_to(self, path: str, queue: str, activity: str = "") -> None:
        """A call went out to a task queue, in the activity that is named after the path `activity`."""
        self._queues[path] = queue
        if not activity:
            return
        self.trail.sent(path, activity)
        if self.journal is not None:
            self.journal.sent(path, activity)

    def add_console(self, text: str, path: str = "") -> None:
        """A node has something to show."""
        self.trail.shown(path)
        if self.journal is not None:
            self.journal.shown(path, text)
        self._console.append(text[:MAX_CONSOLE_LINE_CHARS])
        self._console_count += 1

    def add_stream(self, path: str, stream: Mapping[str, Value]) -> None:
        """A call has ended: the end of what it has streamed, as fields of a StreamTail.

        Raises MalformedPayload for anything else.
        """
        self._streams.append(replace(from_plain(StreamTail, stream), path=path))

    def status(
        self,
        scheduler: Scheduler | None,
        console_from: int,
        questions: Sequence[HumanPrompt],
        early: Sequence[Answer] = (),
    ) -> RunStatus:
        """Everything a status display needs, as far as an answer has room for it."""
        places = [] if scheduler is None else _places(scheduler, MAX_STATUS_ROW_COUNT)
        nodes = first_within(self._row(*place) for place in places)
        return RunStatus(
            name=self.name,
            iteration=0 if scheduler is None else scheduler.root.iteration,
            questions=first_within(questions),
            early=newest_within(early),
            counts=dict(self.counts),
            nodes=nodes,
            failures=first_within(NodeFailure.of(*failure) for failure in self.failures.entries()),
            streams=newest_within(self._streams),
            console=self._lines(console_from),
            console_offset=self._console_count,
        )

    def _lines(self, first: int) -> list[str]:
        seen = max(first - (self._console_count - len(self._console)), 0)
        return newest(list(self._console)[seen:], self.max_console, self.max_sent_console)

    def position(self) -> TrailPosition:
        """Where in the trail of its changes the run is."""
        return TrailPosition(self.trail.count, self.trail.last, self._console_count)

    def changes(
        self, scheduler: Scheduler | None, since: int, console_from: int, questions: Sequence[HumanPrompt]
    ) -> RunChanges:
        """What has changed from number `since` on."""
        changes = self.trail.since(since)
        graphs = {} if scheduler is None else _open_graphs(scheduler.board)
        return RunChanges(
            count=self.trail.count,
            changes=None if changes is None else first_within(changes, MAX_CHANGES_BYTES, least=2),
            open=dict(first_within(graphs.items(), MAX_CHANGES_BYTES)),
            questions=first_within(questions),
            console=self._lines(console_from),
            console_offset=self._console_count,
        )

    def markdown(self, scheduler: Scheduler, questions: Sequence[HumanPrompt], top: str = "") -> str:
        """The details that the Temporal UI shows of a run, below the line `top`."""
        failed, since, queues = self.failures.entries(), self._since, self._queues
        if not scheduler.finished:
            return open_details(scheduler, self.counts, failed, questions, since, queues, top)
        root = scheduler.root
        states = {name: str(root.nodes[name].state) for name in root.plan.order}
        return ended_details(states, failed, top)

    def place_of(self, result: RunResult) -> str:
        """The path of the node for which the run failed, the innermost one that is known; "" for none."""
        return "" if result.failure is None else self.failures.place_of(result.failure, result.errors)

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
            error=node.shown_error,
            done=0 if nested is None else nested.opened - len(nested.children),
            total=0 if nested is None else len(nested.starts),
        )


def _open_graphs(board: Board) -> dict[str, list[int]]:
    """The nodes whose graphs run, by address: how many there are, how many are open, and how many began in an
    earlier pass.
    """
    runs = board.runs
    parents = dict.fromkeys(run.parent for run in runs.values() if run.parent is not None)
    counts: dict[str, list[int]] = {}
    for number, name in parents:
        nested = runs[number].nodes[name].nested if number in runs else None
        if nested is not None:
            counts[runs[number].key_of(name)] = [len(nested.starts), len(nested.children), len(nested.places)]
    return counts


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
