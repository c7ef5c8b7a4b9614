"""What the server knows of a run, put together with what the run says of itself."""

from __future__ import annotations

from dataclasses import replace

from perdure.monitoring.descriptions import with_nodes
from perdure.monitoring.report import PendingCall
from perdure.protocol.payloads import NodeStatus, RunStatus

QUESTION = PendingCall(path="perdure.agents@b", agent="perdure.agents", queue="b", started=False)
CALL = PendingCall(path="x", agent="fetchAgent", queue="a", started=True)


def test_nodes_stand_for_the_question_that_their_queue_has_to_answer_first() -> None:
    rows = (
        NodeStatus(path="x", state="executing", agent="fetchAgent", queue="a"),
        NodeStatus(path="m[0].w", state="executing", agent="hang", queue="b"),
        NodeStatus(path="m[1].w", state="executing", agent="hang", queue="b"),
        NodeStatus(path="done", state="completed", agent="hang", queue="b"),
    )
    status = RunStatus(name="g", iteration=0, nodes=rows)
    nodes = [
        replace(QUESTION, path=path, agent="hang", activity_id="perdure.agents@b")
        for path in ("m[0].w", "m[1].w")
    ]
    assert with_nodes([CALL, QUESTION], status) == (CALL, *nodes)


def test_without_a_status_the_question_stays() -> None:
    assert with_nodes([QUESTION], None) == (QUESTION,)
    assert with_nodes([QUESTION], RunStatus(name="g", iteration=0)) == (QUESTION,)
