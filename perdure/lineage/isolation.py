"""A rerun without effects: only agents that may be called are, and all others are answered from the record.

Why. To compare a model or a prompt, recorded runs are repeated. An agent that sends mail must not send it
again because the text before it is another one. So what is not pure, and was not named, gives the answer that
it gave at the same position, whatever its inputs are now; where it has none, the run refuses to call it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from perdure.errors import UsageError
from perdure.graph.values import Value
from perdure.lineage.change import Rerun, covers
from perdure.lineage.fingerprint import address_of
from perdure.lineage.record import Record


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call of the earlier run: its position, its agent, whether that is pure, and its result."""

    position: str
    agent: str
    is_pure: bool
    result: Value


def isolated(
    rerun: Rerun,
    calls: Iterable[RecordedCall],
    changed: Collection[str],
    may_be_called: Collection[str],
    *,
    keeps_upstream: bool = False,
) -> Rerun:
    """The rerun without effects: of agents that are not pure, only those that `may_be_called` are.

    `changed` are the addresses of nodes whose definition differs: these are called, or the rerun is refused.
    With `keeps_upstream`, all other nodes give what they gave, so each changed node has its old inputs.
    Raises UsageError for a changed node whose agent may not be called.
    """
    values: dict[str, Value] = {}
    for call in calls:
        is_changed = address_of(call.position) in changed or _is_dropped(call.position, rerun.dropped)
        if is_changed and not call.is_pure and call.agent not in may_be_called:
            raise UsageError(
                f"{call.position}: {call.agent} may have effects, and would be called",
                hint=f"if it may be called again: --call {call.agent}",
            )
        if not is_changed and (keeps_upstream or not (call.is_pure or call.agent in may_be_called)):
            values[call.position] = call.result
    record = Record(rerun.record.entries, {**values, **rerun.record.values})
    return replace(rerun, record=record)


def _is_dropped(position: str, dropped: Mapping[str, str]) -> bool:
    return any(covers(selector, position) for selector in dropped)
