"""One attempt of an activity: what its calls share, and what is sent with their results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from perdure.activities.heartbeat import Heartbeat
from perdure.agents.agent import Agent, AgentContext
from perdure.agents.blobs import parted
from perdure.engine.attempts import AttemptAccount
from perdure.graph.values import Value
from perdure.protocol.call_record import CALL_RECORD, CallRecord
from perdure.protocol.console import newest
from perdure.protocol.payloads import AgentCall
from perdure.protocol.records import to_lean
from perdure.storage.known_values import KnownValues
from perdure.storage.traffic import TRAFFIC, Traffic

MAX_CALL_CONSOLE_COUNT = 200
"""Console lines that one call may leave behind: the newest, no more than MAX_CALL_CONSOLE_BYTES."""

MAX_CALL_CONSOLE_BYTES = 50_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt of an activity, for all its calls. Where something in them is deferred, it is `far`.

    `context` is for calls that see nothing of theirs: to make one takes longer than many a call. `account` is
    that of the attempts before this one, `traffic` what is exchanged with the store, `known` what the calls
    received from it.
    """

    heartbeat: Heartbeat
    far: bool
    context: AgentContext
    account: AttemptAccount = field(default_factory=AttemptAccount)
    traffic: Traffic | None = field(default_factory=TRAFFIC.get)
    console: list[str] = field(default_factory=list[str])
    known: KnownValues = field(default_factory=KnownValues)

    def near(self, call: AgentCall, agent: Agent | None) -> Value:
        """What the result of a call may have in common with the store: inputs that it got copies of."""
        if not self.far or agent is None or not agent.blobs:
            return call.inputs if self.far else None
        return parted(call.inputs, agent.blobs)[0]

    def metadata(self) -> dict[str, Any]:
        """The metadata that is sent with the result."""
        lines = newest(self.console, MAX_CALL_CONSOLE_COUNT, MAX_CALL_CONSOLE_BYTES)
        return {"console": lines, "stream": self.heartbeat.last(), CALL_RECORD: self._record()}

    def _record(self) -> dict[str, Any]:
        """What is worth recording of how the call was executed: {} for most."""
        account, traffic, host = self.account, self.traffic, self.context.settings.host
        store = Traffic() if traffic is None else traffic
        if not (host or account.ended or store.got or store.cached or store.put):
            return {}
        record = CallRecord(
            host=host,
            got=store.got,
            cached=store.cached,
            put=store.put,
            got_ms=round(1000 * store.got_s, 1),
            put_ms=round(1000 * store.put_s, 1),
            transient=account.transient,
            lost=account.lost,
            blocked=account.blocked,
            stopped=account.stopped,
            absent=account.absent,
            lost_on=account.lost_on,
        )
        return to_lean(record)
