"""Limits of the language, the scheduler and the values, each at its number: one more is too many."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure import AgentContext, agent
from perdure.agents.catalog import catalog
from perdure.engine.fuel import MAX_EVENT_STEP_COUNT
from perdure.engine.maps.version_gates import Gates
from perdure.engine.messages import RunAgent
from perdure.engine.outcomes import failure_of
from perdure.engine.plan_cache import plan_of
from perdure.engine.resolved_values import ResolvedValues, ValueNeeded, key_of
from perdure.engine.scheduler import Scheduler
from perdure.errors import AgentError, FinalError, TransientError, UsageError
from perdure.graph.deferred import BlobRef, Projection
from perdure.graph.reference import parse_reference, parse_step
from perdure.graph.wording import Suggestions, suggestion
from perdure.settings import Settings
from perdure.storage import open_store
from perdure.storage.claim_check import ClaimCheck
from perdure.testing import MemoryEnvironment, memory_shell
from tests.support.drive import Drive, graph, nested, rows, work


def test_rows_of_a_batched_map() -> None:
    """2,000 rows are open at most, however large the batch."""
    drive = Drive({**graph(m=rows(*range(2_500), batch=1_000)), "concurrency": 5_000}).start()
    assert len(drive.scheduler.board.runs) == 1 + 2_000


def test_inputs_by_value() -> None:
    """Inputs have 32 MB at most without what is in the store; those of earlier versions have more."""
    document = graph(v={"value": "y" * 16_000_000}, a=work(inputs={"x": [":v", ":v"]}))

    def calls(gates: Gates) -> int:
        scheduler = Scheduler(document, event_steps=MAX_EVENT_STEP_COUNT, gates=gates)
        return sum(isinstance(command, RunAgent) for command in scheduler.start(0))

    assert [calls(Gates()), calls(Gates(bounds_inputs=False))] == [0, 1]
    document["nodes"]["v"]["value"] = "y" * 15_999_800
    assert calls(Gates()) == 1


def test_plans_of_a_node() -> None:
    """Of graphs that are computed, the plans of the last 100 at most are kept."""
    nodes = {**graph(g=work(), n=nested(graph=":g")), "loop": {"count": 250}}
    drive = Drive(nodes, lambda command: graph(i=work()) if command.node == "g" else 1).start()
    most = 0
    while drive.finish is None:
        drive.step()
        most = max(most, drive.scheduler.nested.plan_count)
    assert most == 100


def test_plans_of_a_process() -> None:
    """The plan of the first of 64 graphs is still there; that of the first of 65 is not."""
    documents = [{"nodes": {f"limit{index}": {"value": index}}} for index in range(65)]
    plans = [plan_of(document) for document in documents[:64]]
    assert plan_of(documents[0]) is plans[0]
    plan_of(documents[64])
    assert plan_of(documents[1]) is not plans[1]


def test_bytes_of_the_plans_of_a_process() -> None:
    """Of graphs of a megabyte seven are kept; one of nine megabytes displaces them, and is kept alone."""
    documents = [{"nodes": {"n": {"value": f"{index}" * 1_000_000}}} for index in range(8)]
    plans = [plan_of(document) for document in documents[:7]]
    assert [plan_of(document) for document in documents[:7]] == plans
    assert plan_of(documents[0]) is plans[0]
    plan_of(documents[7])
    assert plan_of(documents[0]) is plans[0]
    assert plan_of(documents[1]) is not plans[1]
    large = {"nodes": {"n": {"value": "x" * 9_000_000}}}
    assert plan_of(large) is plan_of(large)
    assert plan_of(documents[0]) is not plans[0]


def test_bytes_of_known_values() -> None:
    """What decided is remembered up to 100 kB."""
    known, places = ResolvedValues(), [Projection(BlobRef(str(number), 1, "list")) for number in range(2)]
    known.remember({key_of(places[0], False): "x" * 60_000})
    known.remember({key_of(places[1], False): "x" * 60_000})
    assert known.resolve_shallow(places[1]) == "x" * 60_000
    with pytest.raises(ValueNeeded):
        known.resolve_shallow(places[0])


def test_number_of_known_values() -> None:
    """A thousand of them."""
    known, places = ResolvedValues(), [Projection(BlobRef(str(n), 1, "list")) for n in range(1_001)]
    for number, place in enumerate(places):
        known.remember({key_of(place, False): number})
    assert [known.resolve_shallow(place) for place in places[1:]] == list(range(1, 1_001))
    with pytest.raises(ValueNeeded):
        known.resolve_shallow(places[0])


def test_characters_of_a_failure() -> None:
    message = failure_of(AgentError("x" * 20_000)).message
    assert message == "x" * 8_000 + " … (12000 characters more)"


def test_names_in_a_hint() -> None:
    """Thirty names are listed, and the number of the others."""
    hint = suggestion("zzz", [f"agent{index:02}" for index in range(40)])
    assert (hint.count("agent"), hint[-12:]) == (30, " and 10 more")


def test_references_that_are_kept() -> None:
    """A reference of 200 characters is parsed once, a longer one each time."""
    short, long = ":n." + "a" * 197, ":n." + "a" * 198
    assert parse_reference(short) is parse_reference(short)
    assert parse_reference(long) is not parse_reference(long)
    assert parse_step("a" * 200) is parse_step("a" * 200)
    assert parse_step("a" * 201) is not parse_step("a" * 201)


def test_days_of_retention() -> None:
    assert Settings.from_env({"PERDURE_SERVER_RETENTION": "36500"}).server_retention == 36_500
    with pytest.raises(UsageError, match="36500"):
        Settings.from_env({"PERDURE_SERVER_RETENTION": "36501"})


def test_bytes_of_a_value_that_decides() -> None:
    async def answer(size: int) -> Any:
        claims = ClaimCheck(open_store("memory://decides"), 1_000)
        return await claims.answer(await claims.keep("x" * size), whole=True)

    assert len(asyncio.run(answer(900_000))) == 900_000
    with pytest.raises(FinalError, match="decides what the run does"):
        asyncio.run(answer(1_000_100))


def test_bytes_of_shared_values() -> None:
    """A worker holds 32 MB of objects for calls that need another part of them."""

    async def redeemed(count: int) -> ClaimCheck:
        claims = ClaimCheck(open_store("memory://shared"), 1_000)
        kept = [await claims.keep({"t": f"{number}" * 10_000_000}) for number in range(count)]
        parts = [Projection(each, (("t", False),)) for each in kept]
        for part in parts:
            await claims.redeem(part)
        claims.redeem_at_hand(parts[-1])
        claims.redeem_at_hand(parts[0])
        return claims

    asyncio.run(redeemed(3))
    with pytest.raises(LookupError):
        asyncio.run(redeemed(4))


def test_bytes_of_a_cache() -> None:
    """64 MB of objects are read from memory, and those before them from their place again."""

    async def read(count: int) -> bool:
        store = open_store(f"memory://cache{count}")
        names = [await store.put(bytes([number]) * 20_000_000) for number in range(count)]
        return all(store.cache.get(name) is not None for name in names)

    assert asyncio.run(read(3))
    assert not asyncio.run(read(4))


def test_seconds_between_attempts_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses double up to ten minutes, and are up to a fifth longer by chance."""
    pauses: list[float] = []

    async def at_once(seconds: float) -> None:
        pauses.append(seconds)

    async def run() -> None:
        monkeypatch.setattr(asyncio, "sleep", at_once)
        await memory_shell(
            graph(n=work(backoff=100)),
            [agent_that_fails(6)],
            environment=MemoryEnvironment(settings=Settings()),
        ).run()

    asyncio.run(run())
    expected = [100, 200, 400, 600, 600, 600]
    assert [pause for pause in pauses if pause] == [pytest.approx(1.1 * each, rel=0.1) for each in expected]


def agent_that_fails(times: int) -> Any:
    @agent("work")
    async def fails(context: AgentContext) -> int:
        if context.attempt <= times:
            raise TransientError("not yet")
        return 1

    return fails


def test_functions_of_a_reference() -> None:
    references = [parse_reference(":a" + ".trim()" * count) for count in (32, 33)]
    assert [bool(each and each.too_long) for each in references] == [False, True]


def test_names_that_are_suggested() -> None:
    suggestions = Suggestions()
    assert [suggestions.near("inputz", ["inputs"]) for _ in range(21)] == ["inputs"] * 20 + [None]


def test_rules_of_a_property_filter() -> None:
    inputs: dict[str, Any] = {"array": [[{}] * 1_000]}
    assert len(call("propertyFilterAgent", inputs, {"include": ["a"] * 1_000})) == 1_000
    with pytest.raises(AgentError, match="1,001 rules for 1,000 objects"):
        call("propertyFilterAgent", inputs, {"include": ["a"] * 1_001})


def test_keys_of_a_template_with_braces() -> None:
    keys = {f"{index}}}x": "v" for index in range(21)}
    with pytest.raises(AgentError, match="21 inputs have a closing brace"):
        call("stringTemplateAgent", keys, {"template": "t"})
    keys.popitem()
    assert call("stringTemplateAgent", keys, {"template": "t"}) == "t"


def call(name: str, inputs: Any, params: Any) -> Any:
    return catalog()[name].call(inputs, params, AgentContext())
