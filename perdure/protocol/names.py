"""Names in histories, in requests and on servers. They never change.

A run that began under an older version continues under a newer one only if both use the same names;
tests/repo/test_wire_names.py pins them.
"""

from __future__ import annotations

from typing import Final

WORKFLOW: Final = "Graph"
"""The type of the one workflow."""

DIRECTORY: Final = "perdure.agents"
"""The local activity by which a run asks its worker which agents there are."""

SEGMENT: Final = "perdure.segment"
"""The local activity that answers many calls of pure agents at once."""

FETCH: Final = "perdure.fetch"
"""The local activity that reads a value of the store for a run whose control flow depends on it."""

KEEP: Final = "perdure.keep"
"""The local activity that brings large values of a run to the store."""

NOTICE: Final = "perdure.notice"
"""The workflow that delivers a notice of a question, and the activity that delivers it on one channel."""

TOO_LARGE_FOR_LOCAL: Final = "TooLargeForLocal"
"""The error type by which a local activity asks to be called again as a remote one."""

SEGMENTS_IN_TURN: Final = "segments-in-turn"
"""The patch since which no segment begins while the answer of a local call is due before all pure ones."""

SEND_AFTER_DRAIN: Final = "send-after-drain"
"""The patch since which waiting calls are sent when a drain ends together with its last calls."""

FETCHES_IN_TURN: Final = "fetches-in-turn"
"""The patch since which a run has one fetch of values at a time, and does nothing else meanwhile."""

STATE_IN_PORTIONS: Final = "state-in-portions"
"""The patch since which a run brings what it holds to the store in portions when it continues as new."""

DISTINCT_ACTIVITIES: Final = "distinct-activities"
"""The patch since which a call that is made again has another activity id than one that may not be over."""

SESSION_LOST: Final = "SessionLost"
"""The error type by which a worker says that it does not hold the session of a call."""

AGENT_ABSENT: Final = "AgentAbsent"
"""The error type by which a worker hands a call back whose agent it does not have."""

SLOT_SHARED: Final = "SlotShared"
"""The error type by which a worker hands a call back so that other runs have their turn."""

GRAPH_ATTRIBUTE: Final = "PerdureGraph"
"""The search attribute that holds the name of a run's graph."""

ASKS_ATTRIBUTE: Final = "PerdureAsks"
"""The search attribute that lists who is asked by a run's open questions."""

EVENT_UPDATE: Final = "event"
"""The update that brings events to a run."""

ANSWER_SIGNAL: Final = "perdure.answer"
"""The signal that holds an answer, for runs that no worker serves at the moment."""

STATUS_ATTRIBUTE: Final = "PerdureStatus"
"""The search attribute in which runs of older clients say how they ended; ExecutionStatus says more."""

REPLAY_NAMESPACE = "ReplayNamespace"
"""What the SDK's replayer calls its namespace, whatever that of the history was."""
