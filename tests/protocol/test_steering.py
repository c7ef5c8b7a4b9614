"""What crosses Temporal when a run is changed, and what the run remembers of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from perdure.engine.scheduler import Scheduler
from perdure.engine.steering.request import Steering
from perdure.protocol.agents import AgentRegistry, Placement
from perdure.protocol.interventions import Intervention
from perdure.protocol.payloads import RunRequest
from perdure.protocol.steering import SteeringOrder, graph_hash
from perdure.protocol.wire import from_payload, to_payload
from perdure.workflows.steering import SteeringDesk, intervention_of
from tests.support.drive import graph, work

DOCUMENT = graph(a=work(), b=work(inputs={"x": ":a"}))


def desk(**state: Any) -> SteeringDesk:
    """The changes of a run that continues another with this state."""
    placement = Placement(AgentRegistry(others=("work",), allowed_queues=("gpu",), own_queue="q"))
    unused: Any = None
    request = RunRequest(document=DOCUMENT, queue="q", state=state)
    return SteeringDesk(request, placement, unused, unused, wake=lambda: None)


def test_an_order_crosses_whole() -> None:
    change = Steering(graph=DOCUMENT, values={"a": [1]}, retries=["x"], running="cancel", now=True)
    change = replace(change, skips=[], pauses=[], resumes=[], keeps=[])
    order = SteeringOrder(change=change, if_hash="h", who="anna", why="because")
    assert from_payload(to_payload(order), SteeringOrder) == order


def test_the_hash_is_that_of_the_whole_text() -> None:
    assert graph_hash(DOCUMENT) == graph_hash({**DOCUMENT})
    assert graph_hash(DOCUMENT) != graph_hash({**DOCUMENT, "verbose": True})
    assert len(graph_hash(DOCUMENT)) == 16


def test_what_is_remembered_is_bounded() -> None:
    past = [{"at": number} for number in range(150)]
    assert [each.at for each in desk(interventions=past).interventions] == list(range(50, 150))
    order = SteeringOrder(change=Steering(skips=["n" * 1_000]), who="w" * 1_000)
    kept = intervention_of(order, (), 7, "h")
    assert kept == Intervention(at=7, who="w" * 500, what="skip " + "n" * 495, hash="h")


def test_a_queue_that_graphs_may_not_use_is_refused() -> None:
    scheduler = Scheduler(DOCUMENT, agents=["work"])
    scheduler.start(0)

    def refusal(queue: str) -> str:
        new = graph(a=work(), b=work(inputs={"x": ":a"}, queue=queue))
        return desk().preview(SteeringOrder(change=Steering(graph=new)), scheduler).refusal

    assert refusal("gpu") == ""
    assert refusal("theirs").startswith("b: graphs may not use the task queue 'theirs'")
