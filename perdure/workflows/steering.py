"""Changes of a run by people: checked when they arrive, and applied when nothing is to be handed on.

Why
    A segment has played the run ahead, and its answers belong to the calls that the unchanged run makes. So a
    change waits until the answers that are there were handed on. What a segment knows beyond that is dropped.

Invariants
    A change that the validator refuses leaves no event. One that is accepted is an event of the history, with
    all that it says: a replay needs nothing else. Between its acceptance and its application the run may have
    moved on, by what was there already; it is checked again then, and may still be refused.
    The run is not over, and does not continue as new, before the client has its reply.

Rejected
    To apply a change at once, in the update itself: while a segment is under way, its answers would belong to
    calls that are not made.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from temporalio import workflow

from perdure.engine.maps.places import place_of
from perdure.engine.messages import Command
from perdure.engine.scheduler import Scheduler
from perdure.engine.steering.request import NodeChange, Steering
from perdure.errors import GraphError, PerdureError, UsageError
from perdure.graph.text.shown import line
from perdure.graph.values import Value, is_dict
from perdure.protocol.agents import Placement
from perdure.protocol.interventions import Intervention
from perdure.protocol.payloads import RunRequest
from perdure.protocol.progress import RunProgress
from perdure.protocol.records import from_plain, to_plain
from perdure.protocol.steering import RunGraph, SteeringOrder, SteeringReceipt, graph_hash
from perdure.workflows.segments import Segments

MAX_INTERVENTION_COUNT: Final = 100
"""Changes that a run remembers: the latest."""

MAX_INTERVENTION_CHARS: Final = 500
"""Characters of who, why and what of each."""


@dataclass(slots=True)
class SteeringDesk:
    """The changes of one run; `wake` is called with each change that arrives."""

    request: RunRequest
    placement: Placement
    progress: RunProgress
    segments: Segments
    wake: Callable[[], None]
    interventions: deque[Intervention] = field(
        default_factory=lambda: deque[Intervention](maxlen=MAX_INTERVENTION_COUNT)
    )
    _orders: deque[tuple[SteeringOrder, asyncio.Future[SteeringReceipt]]] = field(
        default_factory=deque[tuple[SteeringOrder, "asyncio.Future[SteeringReceipt]"]]
    )
    _open_count: int = 0

    def __post_init__(self) -> None:
        state: Mapping[str, Value] = self.request.state or {}
        self.interventions.extend(
            from_plain(Intervention, change) for change in state.get("interventions", ())
        )

    def state(self) -> dict[str, Value]:
        """What the next run of a chain continues with; empty for nothing."""
        written = [to_plain(change) for change in self.interventions]
        return {"interventions": written} if written else {}

    @property
    def is_waiting(self) -> bool:
        """Whether a change is to be applied."""
        return bool(self._orders)

    def is_idle(self) -> bool:
        """Whether all clients have their replies."""
        return not self._open_count

    def graph(self, scheduler: Scheduler) -> RunGraph:
        """The graph of the run as it is now."""
        document = scheduler.root.plan.document
        paused = tuple(scheduler.board.paused)
        return RunGraph(
            document=document,
            hash=graph_hash(document),
            paused=paused,
            interventions=tuple(self.interventions),
        )

    def preview(self, order: SteeringOrder, scheduler: Scheduler | None) -> SteeringReceipt:
        """What would become of a change; nothing happens."""
        if scheduler is None:
            return SteeringReceipt(refusal="the run has not begun")
        nodes: tuple[NodeChange, ...] = ()
        hash = graph_hash(scheduler.root.plan.document)
        try:
            self._check_order(order, scheduler)
            survey = scheduler.survey(order.change)
            nodes = tuple(survey.nodes)
            survey.check()
        except (UsageError, GraphError) as error:
            return SteeringReceipt(hash=hash, nodes=nodes, refusal=str(error))
        return SteeringReceipt(hash=hash, nodes=nodes)

    def check(self, order: SteeringOrder, scheduler: Scheduler | None) -> None:
        """Raises UsageError or GraphError for a change that is refused."""
        refusal = self.preview(order, scheduler).refusal
        if refusal:
            raise UsageError(refusal)

    async def submit(self, order: SteeringOrder) -> SteeringReceipt:
        """Waits until a change is applied. Raises UsageError where it cannot be, by then."""
        self._open_count += 1
        done: asyncio.Future[SteeringReceipt] = asyncio.get_running_loop().create_future()
        self._orders.append((order, done))
        self.wake()
        try:
            return await done
        finally:
            self._open_count -= 1
            self.wake()

    def apply(self, scheduler: Scheduler, now_ms: int) -> list[Command]:
        """Applies the first change that waits; the commands that follow."""
        order, done = self._orders.popleft()
        self.segments.forget_ahead(scheduler.board.last_call, now_ms)
        try:
            self._check_order(order, scheduler)
            survey = scheduler.survey(order.change)
            replaced = survey.replaced()
            commands = scheduler.steer(survey, now_ms)
        except (UsageError, GraphError) as error:
            self._reply(done, UsageError(str(error)))
            return []
        except PerdureError as error:
            self._reply(done, UsageError(str(error)))
            raise
        hash = graph_hash(scheduler.root.plan.document)
        self.progress.steered(scheduler, replaced)
        self.interventions.append(intervention_of(order, tuple(survey.nodes), now_ms, hash))
        self._reply(done, SteeringReceipt(hash=hash, nodes=tuple(survey.nodes)))
        return commands

    async def end(self) -> None:
        """The run is over: what has not been applied never will be. Waits until all have their replies."""
        while self._orders:
            self._reply(self._orders.popleft()[1], UsageError("the run is over"))
        if not self.is_idle():
            await workflow.wait_condition(self.is_idle)

    def _reply(self, done: asyncio.Future[SteeringReceipt], reply: SteeringReceipt | UsageError) -> None:
        if done.done():
            return
        if isinstance(reply, UsageError):
            done.set_exception(reply)
        else:
            done.set_result(reply)

    def _check_order(self, order: SteeringOrder, scheduler: Scheduler) -> None:
        if scheduler.finished:
            raise UsageError("the run is over", hint="repeat it with a change: perdure rerun")
        order.change.checked()
        hash = graph_hash(scheduler.root.plan.document)
        if order.if_hash and order.if_hash != hash:
            last = f", changed by {self.interventions[-1].who}" if self.interventions else ""
            raise UsageError(
                f"the graph of the run has the hash {hash}{last}, and the change is for {order.if_hash}",
                hint="look at the graph as it is now, and change that",
            )
        if order.change.graph is not None:
            self._check_queues(order.change.graph, scheduler.root.plan.document)

    def _check_queues(self, graph: Value, old: Value) -> None:
        """Raises UsageError for a task queue that graphs of this worker may not use."""
        known = {*_queues(old)}
        for place, queue in _queues(graph):
            if (place, queue) not in known and not self.placement.may_use(queue, self.request.queue):
                raise UsageError(
                    f"{place}: graphs may not use the task queue {queue!r}",
                    hint=f"start the run's worker with PERDURE_QUEUES={queue}",
                )


def _queues(graph: Value, prefix: str = "") -> list[tuple[str, str]]:
    """The nodes that name a task queue, and the name."""
    nodes = graph.get("nodes") if is_dict(graph) else None
    queues: list[tuple[str, str]] = []
    for name, node in nodes.items() if is_dict(nodes) else ():
        queue = node.get("queue") if is_dict(node) else None
        if isinstance(queue, str) and "${" not in queue and not queue.startswith(":"):
            queues.append((prefix + name, queue))
        if is_dict(node):
            queues += _queues(node.get("graph"), f"{prefix}{name}.")
    return queues


def intervention_of(
    order: SteeringOrder, nodes: tuple[NodeChange, ...], now_ms: int, hash: str
) -> Intervention:
    """What a run remembers of a change."""
    what = "; ".join([*_asked(order.change), *(f"{node.place or 'the run'} {node.action}" for node in nodes)])
    texts = {"who": order.who, "why": order.why, "what": what}
    cut = {name: line(text)[:MAX_INTERVENTION_CHARS] for name, text in texts.items()}
    return replace(Intervention(at=now_ms, hash=hash), **cut)


def _asked(change: Steering) -> list[str]:
    """What was asked for, in a few words."""
    words = {
        "graph replaced": change.graph is not None,
        f"set {', '.join(map(place_of, change.values))}": bool(change.values),
        f"retry {', '.join(change.retries)}": bool(change.retries),
        f"skip {', '.join(change.skips)}": bool(change.skips),
        f"pause {', '.join(change.pauses)}".strip(): bool(change.pauses),
        f"resume {', '.join(change.resumes)}".strip(): bool(change.resumes),
    }
    return [word for word, is_asked in words.items() if is_asked]
