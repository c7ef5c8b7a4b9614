"""The sessions of a run: calls of an agent that keeps state, in order, on one worker.

Why
    A process may hold what no value holds: an open connection, a compiled model, the state of an actor. So
    the calls of a session go to the worker that holds it, one after another. When that worker is lost,
    another one gets the last checkpoint and the calls since, makes them again, and is where the first was.

Invariants
    A session has at most one call on its way. `count` calls are answered, those of `since` after the
    checkpoint. A worker that is sent a call without them either holds the session with that count, or
    refuses the call as lost: no state is ever one call behind.
    On the queue of the run, the server hands a call back to the worker that asks for it, without a wait. That
    worker often holds the session, so its calls go there, until one reaches another worker.
    A call that fails leaves no trace: how far it came is not known, so the next one begins at the checkpoint.

Rejected
    To send the state with every call: it is as large as a model, and some of it cannot be sent.
    A child workflow for each session: two histories for each call, and the order of calls would be that of
    signals, which the scheduler does not see.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.errors import MalformedPayload
from perdure.graph.values import UNDEFINED, Value, is_list

MAX_SESSION_LOSS_COUNT: Final = 5
"""Workers that one call of a session may lose, until its node fails."""

SESSION_QUEUE_PREFIX: Final = "perdure.session."
"""With this begin the task queues of workers that hold sessions."""

SessionKey: TypeAlias = tuple[str, str]


@dataclass(slots=True)
class Session:
    """What a run knows of a session. `queue` is that of the worker that holds it, "" for none.

    `open` is the call on its way, `losses` counts the workers that it has lost. `is_guess` says that it was
    sent to the queue of the run, and may reach another worker; `has_missed` that a call has.
    """

    queue: str = ""
    count: int = 0
    checkpoint: Value = UNDEFINED
    since: list[Value] = field(default_factory=list[Value])
    open: RunAgent | None = None
    losses: int = 0
    is_guess: bool = False
    has_missed: bool = False
    waiting: deque[RunAgent] = field(default_factory=deque[RunAgent])

    def give_up(self) -> None:
        """No worker holds it any more."""
        self.queue, self.is_guess, self.has_missed = "", False, False


class Sessions:
    """All sessions of one run, by the agent and the id.

    `eager_queue` is the queue on which the run is: a session of which calls arrive there may be held by the
    worker that gets them. None for a run in which calls always go to the holder's own queue.
    """

    def __init__(self, eager_queue: str | None = None) -> None:
        self._eager_queue = eager_queue
        self._sessions: dict[SessionKey, Session] = {}
        self._of_calls: dict[int, SessionKey] = {}
        self._ready: list[RunAgent] = []

    def admits(self, command: RunAgent) -> bool:
        """Whether a call may be sent now; else it waits for those of its session before it."""
        if command.options.session is None:
            return True
        key = self._of_calls[command.call] = _key(command)
        session = self._sessions.setdefault(key, Session())
        if session.open is not None and session.open.call != command.call:
            session.waiting.append(command)
            return False
        session.open = command
        return True

    def holder(self, command: RunAgent, queue: str) -> str:
        """The task queue of the worker that holds the session of a call, which is sent there.

        "" where none holds it, or the call is to be sent to the `queue` of its node all the same.
        """
        if command.options.session is None:
            return ""
        session = self._sessions[_key(command)]
        session.is_guess = bool(session.queue) and queue == self._eager_queue and not session.has_missed
        return "" if session.is_guess else session.queue

    def ticket(self, command: RunAgent) -> dict[str, Value] | None:
        """What a call says of its session; with all that another worker needs, where none holds it."""
        if (options := command.options.session) is None:
            return None
        session = self._sessions[_key(command)]
        ticket: dict[str, Value] = {"id": options.id, "count": session.count, "every": options.checkpoint}
        if options.lossy:
            ticket["lossy"] = True
        if not session.queue:
            ticket["resume"] = {"calls": [*session.since]}
            if session.checkpoint is not UNDEFINED:
                ticket["resume"]["checkpoint"] = session.checkpoint
        return ticket

    def answered(self, command: RunAgent, answer: Value) -> Value:
        """The result in the answer of a worker: [result, queue], and the checkpoint if there is a new one.

        The answer itself for a call without a session. Raises MalformedPayload for any other answer.
        """
        if (options := command.options.session) is None:
            return answer
        session = self._sessions[_key(command)]
        if not (is_list(answer) and len(answer) in (2, 3) and _may_hold(answer[1])):
            raise MalformedPayload("it is not that of a session", hint="its worker is older: update it")
        if session.open is None or session.open.call != command.call:
            return answer[0]  # the call was abandoned
        session.queue, session.losses = answer[1], 0
        session.count += 1
        if len(answer) == 3:
            session.checkpoint, session.since = answer[2], []
        elif not options.lossy:
            session.since.append([command.inputs, {**command.params}, command.key, command.retry])
        return answer[0]

    def lost(self, command: RunAgent) -> AgentFailed | None:
        """The worker of a call is lost: the call is to be sent again, unless it has lost too many."""
        session = self._sessions[_key(command)]
        if session.is_guess:
            session.is_guess, session.has_missed = False, True
            return None
        session.give_up()
        session.losses += 1
        if session.losses < MAX_SESSION_LOSS_COUNT:
            return None
        finding = f"SessionLost: session {_key(command)[1]!r} has lost its worker {session.losses} times"
        return AgentFailed(command.call, finding)

    def over(self, answer: AgentCompleted | AgentFailed) -> None:
        """A call has its answer; one without a session changes nothing."""
        key = self._of_calls.pop(answer.call, None)
        if key is not None:
            self._next(self._sessions[key], isinstance(answer, AgentCompleted))

    def drop(self, call: int) -> None:
        """A call was abandoned, wherever it is."""
        key = self._of_calls.pop(call, None)
        if key is None:
            return
        session = self._sessions[key]
        if session.open is None or session.open.call != call:
            session.waiting = deque(command for command in session.waiting if command.call != call)
        else:
            self._next(session, is_answered=False)

    def _next(self, session: Session, is_answered: bool) -> None:
        """The open call is over; without an answer, what the worker has done to the state is not known."""
        if not is_answered:
            session.give_up()
            session.losses = 0
        session.open = session.waiting.popleft() if session.waiting else None
        if session.open is not None:
            self._ready.append(session.open)

    def take_ready(self) -> list[RunAgent]:
        """The calls that waited and may be sent now."""
        ready, self._ready = self._ready, []
        return ready

    def state(self) -> dict[str, Value]:
        """What the state of a run that continues has of its sessions; nothing if there are none."""
        rows = [
            [*key, session.queue, session.count, session.since, session.checkpoint]
            for key, session in self._sessions.items()
        ]
        return {"sessions": rows} if rows else {}

    def resume(self, state: Mapping[str, Value]) -> None:
        """Takes over what `state` gave."""
        rows: Sequence[Sequence[Value]] = state.get("sessions") or ()
        for agent, id, queue, count, since, checkpoint in rows:
            self._sessions[agent, id] = Session(queue, count, checkpoint, since)


def _may_hold(queue: Value) -> bool:
    return isinstance(queue, str) and (not queue or queue.startswith(SESSION_QUEUE_PREFIX))


def _key(command: RunAgent) -> SessionKey:
    options = command.options.session
    return command.agent, "" if options is None or options.id is None else options.id
