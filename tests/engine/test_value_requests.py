"""What decides a run's course is fetched, one value at a time; everything else stays where it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

import perdure.engine.resolved_values
from perdure.engine.messages import (
    Abort,
    AgentCompleted,
    AgentFailed,
    CancelCall,
    Fetch,
    Fetched,
    Finish,
    RunAgent,
    Settle,
    Settled,
    StartTimer,
    TimerFired,
)
from perdure.engine.resolved_values import (
    MAX_RESOLVED_BYTES,
    MAX_RESOLVED_COUNT,
    ResolvedValues,
    ValueNeeded,
    key_of,
)
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.graph.deferred import BlobRef, Composite, Projection
from perdure.graph.values import UNDEFINED
from perdure.protocol.encoding import decode, encode
from tests.support.drive import Fail, graph, work
from tests.support.far import Far, Shelf, same

TEXT = "x" * 9
INNER = graph(i=work(inputs={"r": ":row", "u": ":u.a"}, isResult=True))


def echo(command: RunAgent) -> Any:
    return {"inputs": command.inputs, "params": dict(command.params), "agent": command.agent}


def on(**flag: Any) -> dict[str, Any]:
    return {"value": {"text": TEXT, **flag}}


GRAPHS: dict[str, dict[str, Any]] = {
    "nothing is fetched for inputs": graph(
        s=on(a=1), n=work(inputs={"a": ":s.a", "t": "${:s.text}", "s": ":s"})
    ),
    "if": graph(s=on(a=1), n=work(**{"if": ":s.a"}), m=work(**{"if": ":s.b"}), k=work(**{"if": ":s.text"})),
    "unless": graph(s=on(a=0), n=work(unless=":s.a"), m=work(unless=":s.text"), k=work(unless=":s.b.c")),
    "if of a result": graph(n=work(isResult=True), m=work(**{"if": ":n.agent"}), k=work(**{"if": ":n.none"})),
    "default": graph(s=on(a=0), n=work(**{"if": ":s.a"}, defaultValue={"d": 1}, isResult=True)),
    "nothing runs": graph(s=on(a=0), n=work(**{"if": ":s.a"}), m=work(inputs={"n": ":n"})),
    "nothing runs again": graph(
        s={"value": {"a": [1]}, "update": ":e"}, e={"value": {"a": 0}}, n=work(**{"if": ":s.a"})
    )
    | {"loop": {"count": 3}},
    "a nested graph in which nothing runs": graph(
        s=on(a=0),
        o={
            "agent": "nestedAgent",
            "inputs": {"u": ":s"},
            "isResult": True,
            "graph": graph(u={"value": 0}, i=work(**{"if": ":u.a"}, isResult=True)),
        },
    ),
    "anyInput": graph(s=on(a=1), n=work(anyInput=True, inputs={"a": ":s.a", "b": ":s.b"}, isResult=True)),
    "anyInput of nothing": graph(s=on(a=1), n=work(anyInput=True, inputs={"b": ":s.b"}), m=work()),
    "anyInput of several": graph(
        s=on(a=1),
        t={"value": 2},
        u={"value": 3},
        n=work(anyInput=True, inputs={"a": ":s.a", "t": ":t", "u": ":u"}, isResult=True),
        m=work(anyInput=True, inputs={"t": ":t", "u": ":u", "s": ":s.x"}, isResult=True),
    ),
    "anyInput asks for one value after the other": graph(
        s=on(a={"yes": 1}),
        n=work(anyInput=True, inputs={"a": ":s.a.no", "b": ":s.a.nor", "c": ":s.a.yes"}, isResult=True),
        m=work(anyInput=True, inputs={"a": ":s.a.no", "b": ":s.a.neither"}, isResult=True),
        k=work(),
    ),
    "anyInput in a list": graph(
        s=on(a=[1, None], n=None),
        n=work(anyInput=True, inputs={"a": [":s.none", ":s.a", {"x": ":s.n", "y": [":s.n"]}]}, isResult=True),
    ),
    "anyInput waits for the next": graph(
        a=work(), b=work(), n=work(anyInput=True, inputs={"a": ":a.none", "b": ":b.agent"}, isResult=True)
    ),
    "repeatUntil": graph(
        n=work(repeatUntil={"exists": ".agent"}, retry=1), m=work(repeatUntil={"exists": ".x"})
    ),
    "repeatUntil over passThrough": graph(
        s=on(a=1), n=work(passThrough={"x": ":s.a"}, repeatUntil={"exists": ".x"}, isResult=True)
    ),
    "passThrough": graph(
        s=on(a=1),
        n=work(passThrough={"s": ":s", "a": ":s.a"}, isResult=True),
        m=work(inputs={"n": ":n", "a": ":n.a"}),
    ),
    "output": graph(
        s=on(a=1),
        n=work(
            inputs={"s": ":s"},
            isResult=True,
            output={"t": ".inputs.s.text", "u": "${.inputs.s.a}", "v": [".inputs.s.a.add(1)", ".none"]},
        ),
    ),
    "output and passThrough": graph(
        s=on(a=1),
        n=work(inputs={"s": ":s"}, passThrough={"p": ":s.text"}, output={"p": ".p", "q": ".p.length()"}),
    ),
    "while": graph(s={"value": {"a": [1, 2]}, "update": ":n.rest"}, n=work(inputs={"s": ":s"}))
    | {"loop": {"while": ":s.a"}},
    "update": graph(
        s={"value": {"a": 0}, "update": ":n.inputs"},
        t={"value": 0, "update": ":s.a"},
        n=work(inputs={"s": ":s", "t": ":t"}),
    )
    | {"loop": {"count": 3}},
    "update by a function": graph(
        s={"value": [1], "update": ":s.length()"}, n=work(inputs={"s": ":s"}, isResult=True)
    )
    | {"loop": {"count": 2}},
    "agent": graph(s=on(a="work"), n={"agent": ":s.a", "isResult": True}, m={"agent": ":s.b"}),
    "params": graph(s=on(a={"p": 1}), n=work(inputs={"params": ":s.a"}, params={"q": 2}, isResult=True)),
    "params with parts": graph(s=on(a=3), n=work(inputs={"params": {"p": {"l": [":s.a"]}}}, isResult=True)),
    "graph": graph(
        s={"value": {"g": INNER}},
        u=on(a=1),
        n={"agent": "nestedAgent", "graph": ":s.g", "inputs": {"row": 1, "u": ":u"}, "isResult": True},
        m={"agent": "nestedAgent", "graph": ":s.none", "isResult": True},
    ),
    "inputs of a nested graph": graph(
        u=on(a=1),
        n={"agent": "nestedAgent", "graph": INNER, "inputs": {"row": ":u.text", "u": ":u"}, "isResult": True},
    ),
    "rows": graph(
        u=on(a=1),
        rows={"value": [{"r": 1}, "two", 3]},
        n={"agent": "mapAgent", "graph": INNER, "inputs": {"rows": ":rows", "u": ":u"}, "isResult": True},
    ),
    "rows that are none": graph(
        u=on(a=1),
        n={"agent": "mapAgent", "graph": INNER, "inputs": {"rows": ":u.text", "u": ":u"}},
    ),
    "columns": graph(
        u=on(a=1),
        rows={"value": [1, 2]},
        c={"value": ["c0", "c1", "c2"]},
        o={"value": {"0": "o0", "1": "o1"}},
        n={
            "agent": "mapAgent",
            "params": {"expandKeys": ["c", "o"], "limit": 2, "compositeResult": True},
            "graph": graph(c={}, o={}, i=work(inputs={"r": ":row", "c": ":c", "o": ":o"}, isResult=True)),
            "inputs": {"rows": ":rows", "c": ":c", "o": ":o"},
            "isResult": True,
        },
    ),
    "a column that is too short": graph(
        rows={"value": [1, 2]},
        c={"value": ["c0"]},
        n={
            "agent": "mapAgent",
            "params": {"expandKeys": ["c"]},
            "graph": graph(i=work(inputs={"c": ":c"}, isResult=True)),
            "inputs": {"rows": ":rows", "c": ":c"},
            "isResult": True,
        },
    ),
    "loopCount": graph(
        u=on(a=1, n=2),
        n={"agent": "nestedAgent", "graph": INNER, "inputs": {"row": 1, "u": ":u", "loopCount": ":u.n"}},
    ),
    "a default ends an iteration that needs another value": graph(
        s={"value": [[1, 2], [3]], "update": ":s.flat()"},
        c=on(a=0),
        n=work(**{"if": ":c.a"}, inputs={"s": ":s"}, defaultValue={"d": 1}),
    )
    | {"loop": {"count": 3}},
    "a default for one that comes before": graph(
        b=work(inputs={"a": ":a.d"}), s=on(a=0), a=work(**{"if": ":s.a"}, defaultValue={"d": 1}), c=work()
    ),
    "passThrough over a list": graph(
        s=on(a=1),
        n={
            "agent": "mapAgent",
            "inputs": {"rows": [1, 2]},
            "passThrough": {"p": ":s"},
            "isResult": True,
            "graph": graph(i=work(isResult=True)),
        },
    ),
    "while a node without an update": graph(
        s=on(a=1), t={"value": 0, "update": ":n.none"}, n=work(inputs={"t": ":t"})
    )
    | {"loop": {"while": ":t"}},
    "a static node without a value": graph(
        s=on(a=1), t={}, n=work(anyInput=True, inputs={"a": ":s.a", "t": ":t"})
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_over_deferred_values(name: str) -> None:
    def agent(command: RunAgent) -> Any:
        rest = {"a": command.inputs["s"]["a"][1:]} if name == "while" else None
        return {**echo(command), "rest": rest}

    far = same(GRAPHS[name], agent)
    if name == "nothing is fetched for inputs":
        assert far.fetched == []
    moved = Far(GRAPHS[name], agent, Shelf(), moved=0.3, puts=0.5)
    moved.run()
    assert moved.outcome == far.outcome


def plenty(command: RunAgent) -> Any:
    """As `echo`; what a loop continues with becomes less."""
    return {**echo(command), "rest": {"a": command.inputs.get("s", {}).get("a", [0])[1:]}}


KNOWN: dict[str, dict[str, Any]] = {
    "if and unless": graph(s=on(a=[1], b=[]), n=work(**{"if": ":s.a"}, unless=":s.b.c", isResult=True)),
    "agent and params": graph(
        s=on(a="work", p={"p": 1}), n={"agent": ":s.a", "inputs": {"params": ":s.p"}, "isResult": True}
    ),
    "agent, graph, inputs and params": graph(
        s=on(a="nestedAgent", g=INNER, p={"p": 1}, u={"a": 1}),
        n={
            "agent": ":s.a",
            "graph": ":s.g",
            "inputs": {"params": ":s.p", "row": ":s.text", "u": ":s.u"},
            "isResult": True,
        },
    ),
    "anyInput": GRAPHS["anyInput asks for one value after the other"],
    "result": graph(n=work(repeatUntil={"exists": ".agent"}, passThrough={"x": 1}, isResult=True)),
    "iterate": graph(
        s={"value": {"a": [1, 2]}, "update": ":n.rest"},
        t={"value": {"a": 5}, "update": ":s.a"},
        u={"value": {"a": 6}, "update": ":s"},
        n=work(inputs={"s": ":s"}),
    )
    | {"loop": {"while": ":u.a"}},
    "again in a loop": graph(
        s=on(a="work", b=0),
        t={"value": {"a": [1, 2, 3]}, "update": ":n.rest"},
        n={"agent": ":s.a", "inputs": {"s": ":t"}, "isResult": True, "deadline": 9_000},
        m=work(**{"if": ":s.b"}, inputs={"n": ":n"}),
        k=work(inputs={"n": ":n"}),
    )
    | {"loop": {"while": ":t.a"}},
}


@pytest.mark.parametrize("many", [0, MAX_RESOLVED_COUNT])
@pytest.mark.parametrize("name", KNOWN)
def test_what_a_decision_has_learned_goes_along(
    name: str, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is written down before every event comes to its end, however little it remembers."""
    monkeypatch.setattr(perdure.engine.resolved_values, "MAX_RESOLVED_COUNT", many)
    far = same(KNOWN[name], plenty)
    moved = Far(KNOWN[name], plenty, Shelf(), moved=1)
    moved.start()
    for _ in range(300):
        if moved.finish is None:
            moved.step()
    assert moved.finish is not None
    assert moved.outcome == far.outcome


@pytest.mark.parametrize("name", KNOWN)
def test_a_copy_knows_what_the_run_knows(name: str) -> None:
    copies = Copied(KNOWN[name], plenty, Shelf())
    copies.run()
    assert copies.fetched


class Copied(Far):
    """Before every event a copy is made, which then has to do what the run does."""

    def give(self, event: Any, now: int = 0) -> Copied:
        copy, _ = restore(snapshot(self.scheduler, light=True), self.options)
        before = len(self.commands)
        super().give(event, now)
        assert copy.handle(event, now) == self.commands[before:]
        return self


FAILING: dict[str, tuple[dict[str, Any], str, dict[str, str]]] = {
    "if": (graph(s=on(a=1), n=work(**{"if": ":s.a"}), m=work(isResult=True)), "queue", {"n": "gone"}),
    "only if": (
        graph(s=on(a=1), n=work(**{"if": ":s.a"}), k=work(inputs={"n": ":n"})),
        "queue",
        {"n": "gone"},
    ),
    "params": (
        graph(s=on(a={}), n=work(inputs={"params": ":s.a"}, retry=3), m=work(isResult=True)),
        "attempt",
        {"n": "gone"},
    ),
    "result": (graph(n=work(repeatUntil={"exists": ".a"}, retry=3)), "result", {"n": "gone"}),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_value_that_cannot_be_had_fails_the_node(name: str) -> None:
    document, then, errors = FAILING[name]
    run = NoStore(document, lambda command: {"a": TEXT}, Shelf())
    finish = run.run()
    assert finish.errors == errors
    assert [each.then for each in run.fetched] == [then]
    assert run.scheduler.board.slots.running == 0


def test_a_value_that_cannot_be_had_ends_the_loop() -> None:
    document = graph(s={"value": [1, 2], "update": ":s.length()"}, n=work()) | {"loop": {"count": 3}}
    run = NoStore(document, echo, Shelf())
    assert (run.run().failure, run.paths, run.fetched[0].then) == ("gone", ["n"], "iterate")


class NoStore(Far):
    """The objects are gone."""

    def fetch(self, command: Fetch) -> Any:
        self.fetched.append(command)
        return AgentFailed(command.call, "gone")


def test_a_condition_that_cannot_be_evaluated_fails_the_node() -> None:
    document = graph(
        s={"value": {"t": "no json"}}, n=work(**{"if": ":s.t.jsonParse()"}), m=work(isResult=True)
    )
    run = JustFetch(document, echo, Shelf())
    errors = run.run().errors
    assert list(errors) == ["n"]
    assert "jsonParse" in errors["n"]


class JustFetch(Far):
    """A function that fails does so where the value is."""

    def fetch(self, command: Fetch) -> Any:
        try:
            return super().fetch(command)
        except Exception as error:
            return AgentFailed(command.call, str(error))


def test_a_function_that_fails_on_what_is_known_by_then() -> None:
    """The condition is read over a small value that the first fetch gave."""
    document = graph(
        a=work(),
        n=work(anyInput=True, inputs={"a": ":a.text", "b": ":s.jsonParse()"}),
        s={"value": {}},
        t=work(isResult=True, inputs={"n": ":n"}),
    )
    scheduler = Scheduler(document)
    (call,) = (command for command in scheduler.start(0) if isinstance(command, RunAgent))
    (fetch,) = scheduler.handle(AgentCompleted(call.call, BlobRef("d", 9, "object", 1)), 0)
    assert isinstance(fetch, Fetch)
    scheduler.board.root.nodes["s"].result = "no json"
    (finish,) = scheduler.handle(Fetched(fetch.call, "text"), 0)
    assert isinstance(finish, Finish)
    assert list(finish.errors) == ["n"]


# A fetch is open


DECIDES = {
    "queue": graph(s=on(a=1), n=work(**{"if": ":s.a"})),
    "attempt": graph(s=on(a={}), n=work(inputs={"params": ":s.a"})),
    "result": graph(n=work(repeatUntil={"exists": ".a"})),
    "iterate": graph(s={"value": [1, 2], "update": ":s.length()"}, n=work()) | {"loop": {"count": 3}},
}


def until_fetch(document: dict[str, Any]) -> Far:
    run = Far(document, lambda command: {"a": TEXT}, Shelf()).start()
    while not any(isinstance(command, Fetch) for command in run.waiting):
        run.step()
    return run


@pytest.mark.parametrize("then", DECIDES)
def test_an_abort_cancels_what_is_fetched(then: str) -> None:
    run = until_fetch(DECIDES[then])
    (fetch,) = run.waiting
    assert isinstance(fetch, Fetch)
    assert fetch.then == then
    commands = run.scheduler.handle(Abort(), 0)
    assert CancelCall(fetch.call) in commands
    assert isinstance(commands[-1], Finish)
    assert run.scheduler.handle(Fetched(fetch.call, 1), 0) == []


@pytest.mark.parametrize("then", DECIDES)
def test_a_graph_that_times_out_cancels_what_is_fetched_in_it(then: str) -> None:
    inner = {"agent": "nestedAgent", "timeout": 5, "graph": DECIDES[then]}
    run = until_fetch(graph(o=inner, k=work()))
    fetch = next(command for command in run.waiting if isinstance(command, Fetch))
    timer = next(command for command in run.waiting if isinstance(command, StartTimer))
    commands = run.scheduler.handle(TimerFired(timer.call), 5)
    assert CancelCall(fetch.call) in commands
    assert fetch.call not in run.scheduler.board.calls
    assert run.scheduler.handle(Fetched(fetch.call, 1), 6) == []
    restore(snapshot(run.scheduler))


@pytest.mark.parametrize("then", DECIDES)
def test_a_snapshot_while_a_value_is_fetched(then: str) -> None:
    run = until_fetch(DECIDES[then])
    data, places = encode(snapshot(run.scheduler))
    again, commands = restore(decode(data, json.loads(json.dumps(places))))
    assert commands == run.waiting
    assert again.board.slots.running == run.scheduler.board.slots.running
    run.scheduler = again
    while run.finish is None:
        run.step()
    other = Far(DECIDES[then], lambda command: {"a": TEXT}, Shelf())
    other.run()
    assert run.outcome == other.outcome


def test_an_answer_to_no_fetch_is_ignored() -> None:
    scheduler = Scheduler(graph(n=work()))
    (call,) = scheduler.start(0)
    assert isinstance(call, RunAgent)
    assert scheduler.handle(Fetched(77, 1), 0) == []


def test_a_deadline_passes_while_a_value_is_fetched() -> None:
    run = until_fetch(graph(n=work(repeatUntil={"exists": ".a"}, deadline=100, retry=5)))
    timer, fetch = sorted(run.waiting, key=lambda command: isinstance(command, Fetch))
    assert isinstance(timer, StartTimer)
    commands = run.scheduler.handle(TimerFired(timer.call), 100)
    assert commands[0] == CancelCall(fetch.call)
    assert isinstance(commands[-1], Finish)
    assert "the deadline of 100 ms" in commands[-1].errors["n"]


# What is known


def test_known_values_are_forgotten_when_there_are_many() -> None:
    known, places = (
        ResolvedValues(),
        [Projection(BlobRef(str(number), 1, "list")) for number in range(MAX_RESOLVED_COUNT + 1)],
    )
    for number in range(MAX_RESOLVED_COUNT):
        known.remember({key_of(places[number], False): number})
    assert known.resolve_shallow(places[0]) == 0  # the one used last
    known.remember({key_of(places[MAX_RESOLVED_COUNT], False): MAX_RESOLVED_COUNT})
    assert (known.resolve_shallow(places[0]), known.resolve_shallow(places[2])) == (0, 2)
    with pytest.raises(ValueNeeded, match=r"\[part of"):
        known.resolve_shallow(places[1])


def test_known_values_are_forgotten_when_they_are_large() -> None:
    known = ResolvedValues()
    known.remember({"a": "x" * (MAX_RESOLVED_BYTES // 2)})
    known.remember({"a": "y" * (MAX_RESOLVED_BYTES // 2), "b": {"in": ["z"] * 50}})
    assert list(known.written()) == ["a", "b"]
    known.remember(
        {"c": "x" * (MAX_RESOLVED_BYTES // 2), "d": "x" * MAX_RESOLVED_BYTES}
    )  # what a decision takes is there, whatever it is
    assert list(known.written()) == ["c", "d"]
    known.remember({"e": 1})
    assert list(known.written()) == ["e"]


def test_near_and_whole_are_known_apart() -> None:
    known, place = ResolvedValues(), BlobRef("d", 5, "object")
    assert known.resolve_shallow(place) is place
    assert known.resolve_shallow([place]) == [place]
    with pytest.raises(ValueNeeded):
        known.resolve(place)
    with pytest.raises(ValueNeeded) as raised:
        known.resolve({"a": [place]})
    assert raised.value.deferred == Composite({"a": [place]})
    known.remember({key_of(raised.value.deferred, True): {"a": [7]}})
    assert known.resolve({"a": [place]}) == {"a": [7]}
    assert known.resolve([1]) == [1]
    assert known.resolve(UNDEFINED) is UNDEFINED


def test_a_graph_that_fails_elsewhere_cancels_a_fetch_of_another_row() -> None:
    inner = graph(i=work(inputs={"r": ":row"}), s={"value": {"a": 1}}, c=work(**{"if": ":s.a"}))
    document = graph(m={"agent": "mapAgent", "graph": inner, "inputs": {"rows": [1, 2]}}, k=work())

    def agent(command: RunAgent) -> Any:
        raise Fail("no")

    run = Far(document, agent, Shelf()).start()
    calls = [command for command in run.waiting if isinstance(command, RunAgent)]
    fetch = [command for command in run.waiting if isinstance(command, Fetch)]
    assert len(fetch) == 2
    (first,) = (command for command in calls if command.path == "m[0].i")
    run.give(AgentFailed(first.call, "no"))
    run.give(Fetched(fetch[0].call, 0))
    settle = next(command for command in run.waiting if isinstance(command, Settle))
    run.waiting.clear()
    commands = run.scheduler.handle(Settled(settle.call), 0)
    assert CancelCall(fetch[1].call) in commands
    restore(snapshot(run.scheduler))
