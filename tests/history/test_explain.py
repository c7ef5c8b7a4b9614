"""Why a node is in its state: each cause, and which one comes first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perdure.engine.human_tasks import HumanPrompt
from perdure.errors import UsageError
from perdure.graph.values import Value
from perdure.history.causes import ServerFacts
from perdure.history.explain import Explanation, explanation_of
from perdure.history.model import Attempt, NodeModel, Phase, Question, RowCounts, RunModel, SlotCounts

GONE, SERVED = frozenset[str](), frozenset({"1@host"})


def node(address: str, phase: Phase, state: str = "executing", **more: Value) -> NodeModel:
    return NodeModel(address=address, node=address, agent="x", phase=phase, state=state, **more)


def waiting(address: str, *needed: str, **more: Value) -> NodeModel:
    return node(address, Phase.WAITING, "waiting", waits_for=needed, **more)


def call(address: str, phase: Phase, **more: Value) -> NodeModel:
    attempt = Attempt(path=address, activity=address, **more)
    return node(address, phase, attempts=(attempt,), placement="activity")


def run(*nodes: NodeModel, **more: Value) -> RunModel:
    by_address = {each.address: each for each in nodes}
    model = RunModel(id="r", name="g", state="running", graph={"nodes": {}}, queue="q", nodes=by_address)
    return replace(model, **more)


def explained(model: RunModel, address: str = "a", **facts: Value) -> Explanation:
    facts = {"workers": {"q": SERVED}, **facts}
    return explanation_of(model, address, ServerFacts(**facts))


WAITS = replace(call("a", Phase.RUNNING), placement="event")
RUNNING = call("b", Phase.RUNNING, worker="1@host")
ASKED = run(node("a", Phase.ASKS), questions=(Question(HumanPrompt(path="a#1", message="Ok?"), "a"),))
MAP = node("m", Phase.RUNNING, rows=RowCounts(total=900, opened=500, done=2, failed=0))
LIMITS = SlotCounts(running=1, concurrency=1, limits={"gpu": 1})
QUEUED = node("a", Phase.QUEUED_HERE, "queued")
SKIPPED = node("a", Phase.SKIPPED, "skipped", condition="if :ok", condition_value=False)

LABELLED = replace(QUEUED, label="gpu"), replace(RUNNING, label="gpu")

CASES: list[tuple[str, RunModel, dict[str, Value], str]] = [
    ("done", run(node("a", Phase.COMPLETED, "completed")), {}, "a has its result"),
    ("skipped", run(SKIPPED), {}, "by its condition `if :ok`: the reference is false"),
    ("failed", run(node("a", Phase.FAILED, "failed", failure="no")), {}, "a failed: no"),
    ("aborted", run(node("a", Phase.ABORTED, "abort")), {}, "the run ended before it"),
    ("run-over", run(waiting("a"), ended=5, state="failed", failure="b: no"), {}, "the run is failed: b: no"),
    ("run-paused", run(waiting("a")), {"paused": "by anna"}, "paused at the server by anna"),
    ("cancelling", run(waiting("a")), {"is_cancelling": True}, "asked to stop"),
    ("run-stuck", run(waiting("a")), {"attempt": 3}, "attempt 3"),
    ("no-worker", run(waiting("a")), {"workers": {"q": GONE}}, "none serves task queue 'q'"),
    ("inputs", run(waiting("a", "b"), RUNNING), {}, "a waits for b"),
    ("never-ready", run(waiting("a", "b"), replace(RUNNING, phase=Phase.FAILED)), {}, "b failed"),
    ("fetching", run(waiting("a", is_fetching=True)), {}, "from the store"),
    ("slots", run(QUEUED, RUNNING, slots=LIMITS), {}, "the only slot is taken: b"),
    (
        "label",
        run(*LABELLED, slots=LIMITS),
        {},
        "1 may have: b",
    ),
    ("continuing", run(call("a", Phase.QUEUED_HERE), is_continuing=True), {}, "has continued as new"),
    ("window", run(call("a", Phase.QUEUED_HERE)), {}, "may have 500 open"),
    ("asks", ASKED, {}, "waits for an answer to 'Ok?'"),
    ("paused", run(call("a", Phase.PAUSED, paused="by anna (why)")), {}, "at the server by anna (why)"),
    ("no-queue-worker", run(call("a", Phase.QUEUED_THERE, queue="gpu")), {"workers": {"gpu": GONE}}, "'gpu'"),
    (
        "no-queue-worker",
        run(call("a", Phase.QUEUED_THERE, queue="@store-7")),
        {"workers": {"@store-7": GONE}},
        "waits for host 'store-7', which is not there",
    ),
    ("workers-busy", run(call("a", Phase.QUEUED_THERE, queue="q")), {}, "has 1, and none has room"),
    ("backoff", run(call("a", Phase.BACKOFF, number=3, failure="429", due=1)), {}, "attempt 2 failed: 429"),
    ("lost", run(call("a", Phase.LOST, worker="1@host", beat=1)), {}, "no heartbeat of worker 1@host since"),
    ("running", run(call("a", Phase.RUNNING, worker="1@host")), {}, "runs with worker 1@host"),
    (
        "running",
        run(replace(WAITS, inputs={"key": 4}, params={"topic": "t"})),
        {},
        "waits for events of 't' with key '4', without a worker",
    ),
    (
        "running",
        run(replace(WAITS, inputs={"from": "store-7"}, params={"topic": "t"})),
        {},
        "waits for events of 't' from store-7, without a worker",
    ),
    ("running", run(replace(WAITS, params={"for": "5m"})), {}, "waits for a time, without a worker"),
]


@pytest.mark.parametrize(("code", "model", "facts", "words"), CASES, ids=[case[0] for case in CASES])
def test_the_cause(code: str, model: RunModel, facts: dict[str, Value], words: str) -> None:
    cause = explained(model, **facts).cause
    assert cause.code == code
    assert words in cause.finding


def test_a_row_that_has_not_begun() -> None:
    cause = explained(run(MAP), "m[700].a").cause
    assert (cause.code, cause.finding) == (
        "row",
        "row 700 of m has not begun: 500 of 900 have, 200 are before it",
    )
    with pytest.raises(UsageError, match="has no node"):
        explained(run(MAP), "m[900].a")


def test_a_pass_that_has_not_begun() -> None:
    later = node("a@1", Phase.RUNNING, iteration=1)
    model = run(node("a", Phase.COMPLETED, "completed"), replace(later, node="a"))
    assert explained(model, "a@4").cause.finding == "pass 4 of the loop has not begun: the last one is 1"


def test_the_chain_ends_at_the_node_that_holds_all_of_them_up() -> None:
    model = run(waiting("a", "b"), waiting("b", "d"), waiting("d", "e"))
    backoff = call("e", Phase.BACKOFF, number=2, failure="429", due=1)
    explanation = explained(replace(model, nodes={**model.nodes, "e": backoff}))
    assert (explanation.cause.code, explanation.chain) == ("inputs", ("b", "d", "e"))
    assert explanation.also[-1].code == "backoff"


def test_the_node_that_is_running_inside_a_map_is_in_the_chain() -> None:
    inner = replace(call("m[3].a", Phase.RUNNING), parent="m", row=3)
    explanation = explained(run(MAP, inner), "m")
    assert (explanation.cause.code, explanation.chain) == ("running", ("m[3].a",))
    assert "2 of 900 are done; open: m[3].a" in explanation.cause.finding


def test_a_call_that_a_worker_has_does_not_wait_for_a_worker_of_the_run() -> None:
    explanation = explained(run(call("a", Phase.RUNNING)), workers={"q": GONE})
    assert (explanation.cause.code, explanation.also) == ("running", ())


def test_long_chains() -> None:
    nodes = [waiting(f"n{number}", f"n{number + 1}") for number in range(30)]
    assert len(explained(run(*nodes, call("n30", Phase.RUNNING)), "n0").chain) == 19
