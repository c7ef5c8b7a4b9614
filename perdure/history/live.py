"""A model that is carried on by the changes of its run, where a replay would take seconds.

What is carried on is what a page shows of a run while it executes: states, phases, times, failures, counts
of rows, console, questions. Values of nodes, and the attempts that are over, stay those of the replay. Where
a change cannot be understood (a graph of which the replay has seen no row or pass yet, or another order than
the replay's), nothing is guessed: `apply` returns False, and its caller replays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from perdure.engine.human_tasks import HumanPrompt
from perdure.engine.lifecycle.approvals import APPROVAL_MARK
from perdure.engine.state import TERMINAL_STATES, TRANSITIONS, NodeState
from perdure.graph.fields import LOOP_INDEX, MAP_INDEX
from perdure.graph.human_input import APPROVAL
from perdure.graph.values import UNDEFINED
from perdure.history.build import phase_counts
from perdure.history.model import Attempt, ConsoleLine, NodeModel, Phase, Question, RowCounts, RunModel
from perdure.history.nodes import phase_of
from perdure.protocol.payloads import RunChanges
from perdure.protocol.trail import CALL, LINE, MOVE, SENT, TrailPosition
from perdure.workflows.activity_options import MAX_ACTIVITY_ID_CHARS, shortened

_ROWS_AND_PASSES: Final = re.compile(r"\[\d+\]|@\d+")
_END: Final = re.compile(r"(\[(?P<row>\d+)\])?\.$")


def _has_failed(node: NodeModel) -> bool:
    return node.failure is not None and node.phase is not Phase.FELL_BACK


@dataclass(frozen=True, slots=True)
class _Place:
    """A graph in one pass: the key of its nodes' addresses, and its pass."""

    key: str
    iteration: int

    def address(self, name: str) -> str:
        return f"{self.key}{name}@{self.iteration}" if self.iteration else self.key + name

    @property
    def parent(self) -> str | None:
        return _END.sub("", self.key) if self.key else None

    @property
    def kind(self) -> str:
        """The same for all rows and passes of one graph of the document."""
        return _ROWS_AND_PASSES.sub("", self.key)


class LiveModel:
    """The model of a run, from a replay on."""

    def __init__(self, model: RunModel) -> None:
        self._model = model
        self._nodes = dict(model.nodes)
        for address in (question.address for question in model.questions):
            if (node := model.nodes.get(address)) is not None:  # `model` says which of them ask
                self._nodes[address] = replace(node, phase=phase_of(NodeState(node.state)))
        self._position = model.position
        self._console = list(model.console)
        self._questions: Sequence[HumanPrompt] = tuple(question.prompt for question in model.questions)
        self._places: set[_Place] = set()
        self._kinds: dict[str, list[NodeModel]] = {}
        self._placements: dict[tuple[str | None, str], NodeModel] = {}
        self._inside: dict[str | None, dict[int | None, _Place]] = {}
        self._addresses = {item.path: node.address for node in self._nodes.values() for item in node.attempts}
        for node in model.nodes.values():
            self._learn(node)

    @property
    def position(self) -> TrailPosition | None:
        """The number of changes that it contains."""
        return self._position

    def model(self) -> RunModel:
        """The run as it is now."""
        asked = {self._addresses.get(prompt.path, prompt.path): prompt for prompt in self._questions}
        nodes = dict(self._nodes)
        for address, node in self._nodes.items():
            if address in asked:
                nodes[address] = replace(node, phase=Phase.ASKS)
        root = self._inside.get(None, {}).get(None)
        inside = () if root is None else self._of(root)
        return replace(
            self._model,
            nodes=nodes,
            counts=phase_counts(nodes),
            questions=tuple(Question(prompt, address) for address, prompt in asked.items()),
            console=tuple(self._console),
            errors={
                node.node: node.failure for node in inside if node.failure is not None and _has_failed(node)
            },
            position=self._position,
        )

    def apply(self, answer: RunChanges) -> bool:
        """Takes changes in. False where they do not continue what is known: it is of no use any more."""
        position = self._position
        if position is None or not answer.changes or list(answer.changes[0]) != list(position.last or ()):
            return False
        lines = list(answer.console)
        if position.lines + len(lines) != answer.console_offset:
            return False  # some are not kept any more
        changed: set[str | None] = set()
        for change in answer.changes[1:]:
            match change:
                case (kind, key, iteration, int() | None, name, state, time, failure) if kind == MOVE:
                    place = _Place(key, iteration)
                    if not self._move(place, name, NodeState(state), time, failure):
                        return False
                    changed |= {place.parent, place.address(name)}
                case (kind, address, path, agent) if kind == CALL:
                    self._call(address, path, agent)
                case (kind, path, activity) if kind == SENT:
                    self._sent(path, activity)
                case (kind, path, time) if kind == LINE and lines:
                    self._show(path, time, lines.pop(0))
                case _:
                    return False
        for parent in changed - {None}:
            self._count_rows(str(parent), answer.open)
        count = position.count + len(answer.changes) - 1
        self._position = TrailPosition(count, answer.changes[-1], answer.console_offset - len(lines))
        self._questions = answer.questions
        return True

    def _learn(self, node: NodeModel) -> None:
        """Notes a node of the replay, and its graph as an example of others like it."""
        marks = len(node.node) + (len(f"@{node.iteration}") if node.iteration else 0)
        place = _Place(node.address[:-marks], node.iteration)
        if place not in self._places:
            self._places.add(place)
            self._inside.setdefault(node.parent, {})[node.row] = place
            self._kinds.setdefault(place.kind, [])
        examples = self._kinds[place.kind]
        if all(example.node != node.node for example in examples):
            examples.append(node)
        if node.placement is not None:
            self._placements[place.kind, node.node] = node

    def _of(self, place: _Place) -> Iterator[NodeModel]:
        for example in self._kinds.get(place.kind, ()):
            node = self._nodes.get(place.address(example.node))
            if node is not None:
                yield node

    def _begin(self, place: _Place) -> bool:
        """A graph of which an example is known begins: its nodes wait."""
        examples = self._kinds.get(place.kind)
        if examples is None or (place.parent is not None and place.parent not in self._nodes):
            return False
        self._places.add(place)
        end = _END.search(place.key)
        row = int(end["row"]) if end is not None and end["row"] is not None else None
        self._inside.setdefault(place.parent, {})[row] = place
        for example in examples:
            address = place.address(example.node)
            self._nodes[address] = NodeModel(
                address=address,
                node=example.node,
                parent=place.parent,
                row=row,
                iteration=place.iteration,
                agent=example.agent,
                label=example.label,
                condition=example.condition,
            )
        return True

    def _move(self, place: _Place, name: str, to: NodeState, time: int, failure: str | None) -> bool:
        if place not in self._places and not self._begin(place):
            return False
        node = self._nodes.get(place.address(name))
        if node is None:
            return name in (LOOP_INDEX, MAP_INDEX)
        before = NodeState(node.state)
        if to not in TRANSITIONS[before]:
            return False
        is_repeated = to is NodeState.EXECUTING and before in TERMINAL_STATES
        ended = time if to in TERMINAL_STATES else None if to is NodeState.EXECUTING else node.ended
        self._nodes[node.address] = replace(
            node,
            state=str(to),
            phase=phase_of(to),
            ready=time if to is NodeState.QUEUED else node.ready,
            started=node.started or time if to is NodeState.EXECUTING else node.started,
            ended=ended,
            retries=node.retries + is_repeated,
            failure=failure,
            waits_for=() if before is NodeState.WAITING else node.waits_for,
        )
        return True

    def _call(self, address: str, path: str, agent: str) -> None:
        if agent == APPROVAL:  # a question about a call of the node
            address = address.rpartition(APPROVAL_MARK)[0]
        self._addresses[path] = address
        node = self._nodes.get(address)
        if node is None:
            return
        place = _Place(address[: -len(node.node)] if not node.iteration else "", 0)
        like = self._placements.get((place.kind, node.node))
        self._nodes[address] = replace(
            node,
            agent=agent,
            attempts=(*node.attempts, Attempt(path=path)),
            inputs=UNDEFINED,
            placement=node.placement or (None if like is None else like.placement),
            queue=node.queue or (None if like is None else like.queue),
        )

    def _sent(self, path: str, activity: str) -> None:
        node = self._nodes.get(self._addresses.get(path, ""))
        if node is not None and node.attempts:
            last = replace(node.attempts[-1], activity=shortened(activity, MAX_ACTIVITY_ID_CHARS))
            self._nodes[node.address] = replace(node, attempts=(*node.attempts[:-1], last))

    def _show(self, path: str, time: int, text: str) -> None:
        address = self._addresses.get(path, path)
        self._console.append(ConsoleLine(time, address, text))
        node = self._nodes.get(address)
        if node is not None:
            self._nodes[address] = replace(node, console=(*node.console, text))

    def _count_rows(self, parent: str, opened: Mapping[str, Sequence[int]]) -> None:
        """Counts the graphs of a node again, if it has any."""
        graphs = self._inside.get(parent)
        if graphs is None:
            return
        states: dict[str, dict[str, int]] = {}
        failed = 0
        for place in graphs.values():
            has_failed = False
            for node in self._of(place):
                counts = states.setdefault(node.node, {})
                counts[node.state] = counts.get(node.state, 0) + 1
                has_failed = has_failed or _has_failed(node)
            failed += has_failed
        total, running, earlier = (*opened.get(parent, (len(graphs), 0)), 0)[:3]
        begun = len(graphs) + earlier
        rows = RowCounts(
            total=total,
            opened=begun,
            done=begun - failed - running,
            failed=failed,
            states=states,
        )
        self._nodes[parent] = replace(self._nodes[parent], rows=rows)
