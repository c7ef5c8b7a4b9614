"""What a person is asked where a policy refuses a call: what an approval holds for, and what it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.engine.human_tasks import Answer, HumanPrompt
from perdure.engine.large_values import large_values
from perdure.engine.lifecycle.open_calls import refused
from perdure.engine.messages import AgentCompleted, AgentFailed
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.errors import RunFailed, UsageError
from perdure.graph.deferred import BlobRef, Projection
from perdure.graph.human_input import APPROVAL
from perdure.graph.sizes import size_of
from perdure.lineage.fingerprint import fingerprint
from perdure.lineage.recall import Recall
from perdure.lineage.record import Entry, Record
from perdure.memory.shell import memory_shell
from perdure.policy.parse import policy_of
from perdure.settings import Settings
from perdure.testing import MemoryEnvironment, run_in_memory
from tests.support.attacks import GRAPHS, agents

ASKING: dict[str, Any] = {"agents": ["@pure"], "dynamic": ["agent", "graph"], "violation": "ask"}
POST: dict[str, Any] = {"agent": "transfer", "inputs": {"to": "me"}, "isResult": True}


def policy(folder: Path, profile: dict[str, Any] | None = None, **more: Any) -> Path:
    """A policy whose profile asks."""
    path = folder / "policy.json"
    data = {"policy": 1, "profile": "asking", "profiles": {"asking": {**ASKING, **(profile or {})}}, **more}
    path.write_text(json.dumps(data))
    path.chmod(0o600)
    return path


def environment(file: Path, ask: Callable[[HumanPrompt], Awaitable[Any]] | None = None) -> MemoryEnvironment:
    settings = Settings(home=file.parent, policy=file)
    return MemoryEnvironment(settings=settings, console=lambda _: None, ask=ask)


def answering(choice: str, asked: list[HumanPrompt]) -> Callable[[HumanPrompt], Awaitable[str]]:
    async def answer(prompt: HumanPrompt) -> str:
        asked.append(prompt)
        return choice

    return answer


def played(graph: Any, file: Path, choice: str) -> tuple[list[str], list[HumanPrompt], str]:
    """The effects, the questions, and the message that ended the run, "" for its result."""
    effects: list[str] = []
    asked: list[HumanPrompt] = []
    try:
        run_in_memory(graph, agents(effects), environment=environment(file, answering(choice, asked)))
    except RunFailed as error:
        return effects, asked, str(error)
    return effects, asked, ""


INNER = {"nodes": {"pay": POST}}
SHAPES: dict[str, tuple[Any, list[str]]] = {
    "a node": ({"nodes": {"pay": POST}}, ["pay"]),
    "rows": (
        {"nodes": {"all": {"agent": "mapAgent", "inputs": {"rows": [1, 2]}, "graph": INNER}}},
        ["all[0].pay", "all[1].pay"],
    ),
    "a nested graph": (
        {"nodes": {"in": {"agent": "nestedAgent", "graph": INNER, "isResult": True}}},
        ["in.pay"],
    ),
    "a graph that is data": (
        {
            "nodes": {
                "plan": {"value": INNER},
                "in": {"agent": "nestedAgent", "graph": ":plan", "isResult": True},
            }
        },
        ["in.pay"],
    ),
    "an agent by data": (
        {"nodes": {"name": {"value": "transfer"}, "pay": {**POST, "agent": ":name"}}},
        ["pay"],
    ),
    "a loop": (
        {"loop": {"count": 2}, "nodes": {"pay": POST}},
        ["pay", "pay@1"],
    ),
    "a fallback": ({"nodes": {"pay": {**POST, "fallback": "nothing", "retry": 2}}}, ["pay"]),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_each_call_is_asked_about_and_made_once_it_is_approved(tmp_path: Path, name: str) -> None:
    graph, places = SHAPES[name]
    effects, asked, ending = played(graph, policy(tmp_path), "approve")
    assert (effects, ending) == (["transfer"] * len(places), "")
    assert [prompt.path.partition("~")[0] for prompt in asked] == places
    assert len({prompt.path for prompt in asked}) == len(places)
    assert all('inputs: {"to":"me"}' in prompt.message for prompt in asked)


@pytest.mark.parametrize("name", SHAPES)
def test_a_refusal_ends_the_node_without_a_fallback(tmp_path: Path, name: str) -> None:
    graph, places = SHAPES[name]
    effects, _, ending = played(graph, policy(tmp_path), "refuse")
    place = places[0].partition("[")[0].partition(".")[0]
    assert effects == []
    assert ending.startswith(place)
    assert ending.endswith("not granted: the agent 'transfer' (allowed: @pure); a person refused it")


def test_a_tool_that_a_model_calls_is_asked_about(tmp_path: Path) -> None:
    chat = GRAPHS["a tool that was not offered"]
    file = policy(tmp_path, {"agents": ["@pure", "toolModel"]})
    effects, asked, ending = played(chat, file, "approve")
    assert (effects, ending) == (["lamp"], "")
    assert [prompt.path.partition("~")[0] for prompt in asked] == [
        "chat.llmToolAgent[0].toolCallAgent"
    ] or asked


def test_long_inputs_are_cut(tmp_path: Path) -> None:
    graph = {"nodes": {"pay": {**POST, "inputs": {"to": "x" * 5_000}}}}
    _, (prompt,), _ = played(graph, policy(tmp_path), "approve")
    shown = prompt.message.split("\n")[1]
    assert shown == f'inputs: {{"to":"{"x" * 3_993}… (1,009 characters more)'
    assert len(prompt.path) == len("pay~") + 16


def test_a_run_without_people_refuses(tmp_path: Path) -> None:
    effects: list[str] = []
    with pytest.raises(RunFailed, match="there is no person to ask"):
        run_in_memory({"nodes": {"pay": POST}}, agents(effects), environment=environment(policy(tmp_path)))
    assert effects == []


def test_private_data_goes_where_a_person_lets_it(tmp_path: Path) -> None:
    """The agent is allowed, its data is not."""
    labels = {"crm": {"gives": ["private"]}, "send": {"effect": "sends"}}
    graph = {"nodes": {"read": {"agent": "crm"}, "out": {"agent": "send", "inputs": {"x": ":read"}}}}
    file = policy(tmp_path, {"agents": ["@pure", "crm", "send"]}, agents=labels)
    sent: list[Any] = []

    @agent("crm")
    def crm() -> Any:
        return "Ada"

    @agent("send")
    def send(inputs: Any) -> Any:
        sent.append(inputs)

    asked: list[HumanPrompt] = []
    run_in_memory(graph, [crm, send], environment=environment(file, answering("approve", asked)))
    assert sent == [{"x": "Ada"}]
    assert "that send sends private data (from read)" in asked[0].message
    assert "its data is private" in asked[0].message


async def open_run(file: Path, graph: Any, effects: list[str]) -> tuple[Any, asyncio.Task[Any]]:
    """A run in memory whose question is open."""
    shell = memory_shell(graph, agents(effects), environment=environment(file), answers=True)
    running = asyncio.create_task(shell.run())
    while not shell.waits.human_tasks.questions.prompts():
        await asyncio.sleep(0)
    return shell.waits.human_tasks, running


@pytest.mark.anyio
async def test_an_answer_names_the_call_and_its_giver_may_approve(tmp_path: Path) -> None:
    file = policy(tmp_path, approvers={"who": ["ada", "bob"], "quorum": 2})
    effects: list[str] = []
    people, running = await open_run(file, {"nodes": {"pay": POST}}, effects)
    path = people.questions.prompts()[0].path
    wrong = [
        Answer(path="pay", value="approve", who="ada"),
        Answer(path=f"{path[:-1]}!", value="approve", who="ada"),
        Answer(path=path, value="approve", who="eve"),
        Answer(path=path, value="approve"),
        Answer(path=path, value="yes", who="ada"),
    ]
    for answer in wrong:
        with pytest.raises(UsageError):
            people.answer(answer)
    for who in ("ada", "ada"):  # one person alone
        assert not people.answer(Answer(path=path, value="approve", who=who)).is_closed
    assert effects == []
    people.answer(Answer(path=path, value="approve", who="bob"))
    await running
    assert effects == ["transfer"]
    late = Answer(path=path, value="approve", who="ada", id="another")
    with pytest.raises(UsageError, match="is closed"):
        people.answer(late)


@pytest.mark.anyio
async def test_a_question_without_an_answer_ends_its_node(tmp_path: Path) -> None:
    effects: list[str] = []
    people, running = await open_run(policy(tmp_path), {"nodes": {"pay": POST}}, effects)
    call = next(iter(people.questions._open))
    asked = people.questions.prompts()[0]
    event = people.questions.fire(call, asked.asked + 24 * 3600 * 1000)
    people.arrive(event)
    with pytest.raises(RunFailed, match="no person approved it in time"):
        await running
    assert effects == []


def test_another_call_is_asked_about_as_well(tmp_path: Path) -> None:
    """The digest covers inputs: an approval of one call does not carry over to another."""
    graphs = [{"nodes": {"pay": {**POST, "inputs": {"to": to}}}} for to in ("me", "you")]
    paths = [played(graph, policy(tmp_path), "approve")[1][0].path for graph in (*graphs, graphs[0])]
    assert paths[0] == paths[2] != paths[1]


def test_an_approval_is_in_snapshots_and_holds_for_the_same_call_alone(tmp_path: Path) -> None:
    graph = {"nodes": {"x": {"value": "me"}, "pay": {**POST, "inputs": {"to": ":x"}, "retry": 1}}}
    authority = environment(policy(tmp_path)).authority({})
    rules: dict[str, Any] = {"agents": {"transfer"}, "authority": authority}
    scheduler = Scheduler(graph, **rules)
    commands = scheduler.start(0)
    assert [command.agent for command in commands] == [APPROVAL]
    again, commands = restore(snapshot(scheduler), **rules)
    question = commands[0]
    approved = {"answer": {"decision": "approve"}, "by": [{"who": "ada"}], "how": "answer"}
    (call,) = again.handle(AgentCompleted(question.call, approved), 0)
    assert (call.agent, call.grant["approved"][1:]) == ("transfer", ["ada"])
    (retried,) = restore(snapshot(again), **rules)[0].handle(AgentFailed(call.call, "no"), 0)
    assert retried.agent == "transfer"  # the same call
    again.root.nodes["x"].result = "you"
    (asked,) = again.handle(AgentFailed(call.call, "no"), 0)
    assert asked.agent == APPROVAL


WRONG = [
    ({"violation": "perhaps"}, {}, "profiles.asking.violation"),
    ({}, {"quorum": 0}, "approvers.quorum"),
    ({}, {"quorum": 101}, "approvers.quorum"),
    ({}, {"who": ["ada"], "quorum": 2}, "approvers.quorum"),
    ({}, {"expires": "soon"}, "approvers.expires"),
    ({}, {"expires": "0h"}, "approvers.expires"),
    ({}, {"people": []}, "approvers.people"),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "approvers", "place"), WRONG, ids=str)
def test_mistakes_in_a_policy(profile: Any, approvers: Any, place: str) -> None:
    data = {
        "policy": 1,
        "profile": "asking",
        "profiles": {"asking": {**ASKING, **profile}},
        "approvers": approvers,
    }
    read, problems = policy_of(data)
    assert (read, [problem.place for problem in problems]) == (None, [place])


def test_a_profile_inherits_that_it_asks() -> None:
    profiles = {"a": ASKING, "b": {"from": "a"}, "c": {"from": "a", "violation": "refuse"}}
    read, _ = policy_of({"policy": 1, "profile": "b", "profiles": profiles})
    assert read is not None
    assert (read.asking, read.asks is not None) == ({"a", "b"}, True)


def test_a_question_holds_where_the_values_of_the_run_go_to_the_store(tmp_path: Path) -> None:
    graph = {"nodes": {"m": {"agent": "copyAgent"}, "pay": {**POST, "inputs": {"to": ":m.text"}, "retry": 1}}}
    rules: dict[str, Any] = {"authority": environment(policy(tmp_path)).authority(catalog())}
    scheduler = Scheduler(graph, **rules)
    (made,) = scheduler.start(0)
    (question,) = scheduler.handle(AgentCompleted(made.call, {"text": "x" * 3_000}), 0)
    for place in large_values(scheduler):
        if size_of(place.value) > 200:
            place.put(Projection(BlobRef("a" * 64, 5_000, "list"), (("$0", True),)))
    again, (asked,) = restore(snapshot(scheduler), **rules)
    assert asked.params["message"] == question.params["message"]
    approved = {"answer": {"decision": "approve"}, "by": [{"who": "ada"}]}
    (call,) = again.handle(AgentCompleted(asked.call, approved), 0)
    assert (call.agent, call.inputs) == ("transfer", {"to": "x" * 3_000})
    again.rules.authority.enter(again.root, again.board.runs)  # as steering does
    (retried,) = again.handle(AgentFailed(call.call, "no"), 0)
    assert retried.agent == "transfer"


def test_no_record_answers_a_question(tmp_path: Path) -> None:
    rules: dict[str, Any] = {"authority": environment(policy(tmp_path)).authority(catalog())}
    (question,) = Scheduler({"nodes": {"pay": POST}}, **rules).start(0)
    entry = Entry(question.key, fingerprint(question) or "", {}, 0.0, "earlier")
    assert Recall(Record((entry,), {})).find(question) is None


def test_an_approved_call_has_the_time_of_its_question(tmp_path: Path) -> None:
    graph = {"nodes": {"pay": {**POST, "inputs": {"at": "${@now}", "to": "me"}, "retry": 1}}}
    rules: dict[str, Any] = {"authority": environment(policy(tmp_path)).authority(catalog())}
    scheduler = Scheduler(graph, **rules)
    (question,) = scheduler.start(1_000)
    approved = {"answer": {"decision": "approve"}, "by": [{"who": "ada"}]}
    (call,) = scheduler.handle(AgentCompleted(question.call, approved), 2_000)
    again, _ = restore(snapshot(scheduler), **rules)
    (retried,) = again.handle(AgentFailed(call.call, "no"), 3_000)
    assert [(made.agent, made.inputs) for made in (call, retried)] == [
        ("transfer", {"at": "1000", "to": "me"})
    ] * 2


NARROWED = [
    ({}, []),
    ({"violation": "refuse"}, ["pay: not granted: a call that was open when the policy, or the graph, was"]),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "failures"), NARROWED, ids=["as it was", "no person is asked any more"])
def test_an_approved_call_that_is_open_survives_a_narrower_policy(
    tmp_path: Path, profile: dict[str, Any], failures: list[str]
) -> None:
    """It is made again where the run continues, or refused, and the run continues in any case."""
    rules: dict[str, Any] = {"authority": environment(policy(tmp_path)).authority(catalog())}
    scheduler = Scheduler({"nodes": {"pay": POST}}, **rules)
    (question,) = scheduler.start(0)
    approved = {"answer": {"decision": "approve"}, "by": [{"who": "ada"}]}
    scheduler.handle(AgentCompleted(question.call, approved), 0)
    rules["authority"] = environment(policy(tmp_path, profile)).authority(catalog())
    again, (call,) = restore(snapshot(scheduler), **rules)
    failure = refused(call)
    assert [*filter(None, [failure and failure.message.partition(" narrowed")[0]])] == failures
    if failure is not None:
        (end,) = again.handle(failure, 0)
        assert again.finished
        assert end.failure == failure.message
