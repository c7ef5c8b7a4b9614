"""What graphs may do in memory: attacks end refused and without an effect, harmless graphs run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perdure.errors import GraphError, RunFailed
from perdure.settings import Settings
from perdure.testing import MemoryEnvironment, run_in_memory
from tests.support.attacks import GRAPHS, agents, policy_file

STRICT = "in the policy of the worker"


def played(graph: Any, settings: Settings) -> tuple[list[str], Any]:
    """The effects, and the results or the message that ended the run."""
    effects: list[str] = []
    environment = MemoryEnvironment(settings=settings, console=lambda _: None)
    try:
        return effects, run_in_memory(graph, agents(effects), environment=environment).results
    except RunFailed as error:
        return effects, str(error)


@pytest.mark.parametrize("name", GRAPHS)
def test_attacks_have_no_effect(tmp_path: Path, name: str) -> None:
    effects, ending = played(GRAPHS[name], Settings(home=tmp_path, policy=policy_file(tmp_path)))
    assert effects == []
    assert "not granted: " in ending
    assert "\n  hint: where that is meant, add it to " in ending


WITHOUT_POLICY: dict[str, tuple[list[str], str]] = {
    "another application": (["transfer"], ""),  # here it is an agent of this process: there are no queues
    "a graph by a model": ([], "do.read: not granted: the agent 'fileReadAgent' (allowed: @pure)"),
    "an agent by data": (
        [],
        "do: not granted: that data names the agent 'fileReadAgent', which reads files",
    ),
    "a tool that was not offered": (["lamp"], ""),
    "a file to a stranger": (
        ["fileReadAgent"],
        "send: not granted: that fetchAgent sends private data (from read)",
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_what_happens_without_a_policy(tmp_path: Path, name: str) -> None:
    effects, ending = played(GRAPHS[name], Settings(home=tmp_path))
    assert (effects, ending.partition("\n")[0] if isinstance(ending, str) else "") == WITHOUT_POLICY[name]


@pytest.mark.parametrize("name", GRAPHS)
def test_an_operator_may_trust_all_graphs(tmp_path: Path, name: str) -> None:
    effects, ending = played(GRAPHS[name], Settings(home=tmp_path, trust_graphs=True))
    assert effects
    assert "not granted" not in str(ending)


COPY = {"agent": "copyAgent", "inputs": {"x": 1}, "isResult": True}
INNER = {"nodes": {"a": COPY, "b": {"agent": "lamp", "isResult": True}}}


def nested(**keys: Any) -> dict[str, Any]:
    graph = {"agent": "nestedAgent", "graph": INNER, "isResult": True, **keys}
    return {"nodes": {"inner": {"value": INNER}, "do": graph}}


CASES: dict[str, tuple[Any, str]] = {
    "a graph without agents that act": ({"nodes": {"a": COPY}}, ""),
    "a nested graph": (nested(), ""),
    "allow": (nested(allow={"agents": ["@pure", "lamp"]}), ""),
    "allow of less": (
        nested(allow={"agents": ["@pure"]}),
        "do.b: not granted: the agent 'lamp' (allowed: @pure)",
    ),
    "allow of nothing": (nested(allow={}), "do.a: not granted: the agent 'copyAgent' (allowed: none)"),
    "allow of more": (
        {"nodes": {"do": {"agent": "transfer", "allow": {"agents": ["transfer"]}}}},
        "do: not granted: the agent 'transfer' (allowed: @pure, lamp, openAIAgent)",
    ),
    "a graph that is data": (nested(graph=":inner"), "do.b: not granted: the agent 'lamp' (allowed: @pure)"),
    "a graph that is data, allowed": (nested(graph=":inner", allow={"agents": ["@pure", "lamp"]}), ""),
    "a fallback": (
        {"nodes": {"do": {"agent": "transfer", "fallback": "nothing"}}},
        "do: not granted: the agent 'transfer' (allowed: @pure, lamp, openAIAgent)",
    ),
    "a fallback of a node around a graph": (
        nested(allow={"agents": ["@pure"]}, fallback="nothing"),
        "",
    ),
    "an agent that is data": (
        {"nodes": {"n": {"value": "lamp"}, "do": {"agent": ":n", "allow": {"agents": ["@pure"]}}}},
        "do: not granted: the agent 'lamp' (allowed: @pure)",
    ),
    "a graph that asks for less": (
        {"metadata": {"needs": {"agents": ["copyAgent"]}}, "nodes": {"a": COPY, "b": {"agent": "lamp"}}},
        "b: not granted: the agent 'lamp' (allowed: copyAgent)",
    ),
    "a graph whose needs have another form": ({"metadata": {"needs": "a gpu"}, "nodes": {"a": COPY}}, ""),
    "tools": (
        {
            "nodes": {
                "chat": {**GRAPHS["a tool that was not offered"]["nodes"]["chat"], "allow": {"agents": []}}
            }
        },
        "chat.llmCallWithTools: not granted: the agent 'toolModel' (allowed: none)",
    ),
    "a queue": (
        {"nodes": {"do": {"agent": "lamp", "queue": "payments"}}},
        "do: not granted: the task queue 'payments' (allowed: none)",
    ),
    "a pure name on another queue": (
        {"nodes": {"do": {"agent": "copyAgent", "queue": "payments"}}},
        "do: not granted: the agent 'copyAgent' (allowed: @pure, lamp, openAIAgent)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_granted(tmp_path: Path, name: str) -> None:
    graph, refusal = CASES[name]
    _, ending = played(graph, Settings(home=tmp_path, policy=policy_file(tmp_path)))
    assert (
        ending.partition("\n")[0].partition("RunFailed: ")[0] if isinstance(ending, str) else ""
    ) == refusal


def test_a_graph_narrows_itself_without_a_policy(tmp_path: Path) -> None:
    _, ending = played(nested(allow={"agents": ["@pure"]}), Settings(home=tmp_path))
    assert ending.startswith(
        "do.b: not granted: the agent 'lamp' (allowed: @pure)\n  hint: where that is meant, add it to `allow`"
    )


def test_data_chooses_only_where_that_is_allowed(tmp_path: Path) -> None:
    profiles = {"strict": {"agents": ["*"], "dynamic": []}}
    settings = Settings(home=tmp_path, policy=policy_file(tmp_path, profiles=profiles))
    for name, kind in (("an agent by data", "agent"), ("a graph by a model", "graph")):
        _, ending = played(GRAPHS[name], settings)
        assert f"do: not granted: that data chooses the {kind} (allowed: none)" in ending
    assert played(GRAPHS["a tool that was not offered"], settings)[0] == ["lamp"]


def test_a_policy_that_is_wrong_runs_nothing(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, policy=policy_file(tmp_path, profile="nobody"))
    with pytest.raises(GraphError, match="profile names the profile of all runs"):
        played({"nodes": {"a": COPY}}, settings)


def test_a_refusal_names_a_few(tmp_path: Path) -> None:
    names = [f"agent{number}" for number in range(20)]
    _, ending = played({"nodes": {"a": {**COPY, "allow": {"agents": names}}}}, Settings(home=tmp_path))
    assert ending.partition("\n")[0].endswith("agent15 and 12 more)")
