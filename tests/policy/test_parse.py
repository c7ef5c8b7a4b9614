"""Policy files: what is read of right ones, and that wrong ones are refused with every problem."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from perdure.errors import GraphError
from perdure.policy.grant import NOTHING, Grant
from perdure.policy.parse import grant_of, policy_of
from perdure.settings.policy_file import PolicyFile, read_policy

FULL = """\
policy: 1
profile: reviewed
groups:
  models: [openAIAgent, anthropicAgent]
  all_of_ours: ["@models", crm.lookup]
profiles:
  untrusted: {agents: ["@pure", "@models"], dynamic: [agent]}
  reviewed:
    from: untrusted
    agents: ["@all_of_ours"]
    queues: [gpu]
    hosts: [api.example.com, "*.example.org", "::1"]
    reads: ["."]
    writes: [out, data/out-1]
  closed: {}
  half: {agents: ["*"], queues: ["*"], dynamic: ["*"], hosts: ["*"], private: ["@models", a.org]}
  open: {from: half, reads: ["*"], writes: ["*"], secrets: ["*"], private: ["*"]}
"""

RIGHT: dict[str, Any] = {
    "untrusted": Grant.of(["@pure", "openAIAgent", "anthropicAgent"], [], ["agent"]),
    "reviewed": Grant.of(
        ["openAIAgent", "anthropicAgent", "crm.lookup"],
        ["gpu"],
        ["agent"],
        ["api.example.com", "*.example.org", "::1"],
        ["."],
        ["out", "data/out-1"],
    ),
    "closed": NOTHING,
    "half": Grant.of(*[["*"]] * 4, private=["@models", "a.org"]),
    "open": Grant(),
}

WRONG: list[tuple[Any, list[str]]] = [
    (None, [""]),
    ([], [""]),
    ({}, ["profile"]),
    ({"policy": 2, "profile": "a", "profiles": {"a": {}}}, ["policy"]),
    ({"policy": 1, "profile": "b", "profiles": {"a": {}}}, ["profile"]),
    ({"policy": 1, "profile": "a", "profiles": []}, ["profiles"]),
    ({"policy": 1, "profile": "a", "profiles": {"a": {}}, "profles": {}}, ["profles"]),
    ({"policy": 1, "profile": "a", "profiles": {"a": None}}, ["profiles.a"]),
    ({"policy": 1, "principals": {"x": "b"}, "profiles": {"a": {}}}, ["principals.x"]),
    ({"policy": 1, "principals": {"a*b": "a"}, "profiles": {"a": {}}}, ["principals.a*b"]),
    ({"policy": 1, "principals": ["a"], "profiles": {"a": {}}}, ["principals"]),
    ({"policy": 1, "principals": {"x": "a"}, "profile": "b", "profiles": {"a": {}}}, ["profile"]),
    ({"policy": 1, "profile": "a", "profiles": {"a": {"agent": []}}}, ["profiles.a.agent"]),
    ({"policy": 1, "profile": "a", "profiles": {"a": {"agents": "copyAgent"}}}, ["profiles.a.agents"]),
    ({"policy": 1, "profile": "a", "profiles": {"a": {"agents": [1, "x*", "@no", " "]}}}, [
        "profiles.a.agents.0", "profiles.a.agents.1", "profiles.a.agents.2", "profiles.a.agents.3",
    ]),
    ({"policy": 1, "profile": "a", "profiles": {"a": {"queues": ["@pure"]}}}, ["profiles.a.queues.0"]),
    *(
        ({"policy": 1, "profile": "a", "profiles": {"a": {kind: [name]}}}, [f"profiles.a.{kind}.0"])
        for kind, names in {
            "hosts": ("https://a.org", "a.org/x", "*.*.org", "a*.org", "A.org", ""),
            "reads": ("..", "/etc", "a/../b", ".git", "a//b", "a/", "./a", ""),
            "writes": ("../a", "a/.b"),
            "private": ("@pure", "https://a.org"),
        }.items()
        for name in names
    ),
    ({"policy": 1, "profile": "a", "profiles": {"a": {"dynamic": ["host"]}}}, ["profiles.a.dynamic"]),
    ({"policy": 1, "profile": "a", "profiles": {"a": {"from": "b"}, "b": {}}}, ["profiles.a.from"]),
    ({"policy": 1, "profile": "a", "profiles": {"a": {"from": []}}}, ["profiles.a.from"]),
    ({"policy": 1, "profile": "1", "profiles": {"1": {}}}, ["profiles.1"]),
    ({"policy": 1, "profile": "a", "groups": {"pure": []}, "profiles": {"a": {}}}, ["groups.pure"]),
    ({"policy": 1, "profile": "a", "groups": {"g": {}}, "profiles": {"a": {}}}, ["groups.g"]),
    ({"policy": 1, "profile": ["a"], "profiles": {"a": {}}}, ["profile"]),
    ({"policy": 1, "agents": []}, ["agents"]),
    ({"policy": 1, "agents": {"a": {"give": []}}}, ["agents.a.give"]),
    ({"policy": 1, "agents": {"a": {"gives": ["secret"]}}}, ["agents.a.gives"]),
    ({"policy": 1, "agents": {"a": {"effect": "leaks"}}}, ["agents.a.effect"]),
    ({"policy": 1, "agents": {"a": {"endorses": 1}}}, ["agents.a.endorses"]),
]  # fmt: skip


def test_a_right_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(FULL)
    policy = read_policy(path)
    assert policy.profiles == RIGHT
    assert (policy.profile, policy.grant, len(policy.digest)) == ("reviewed", RIGHT["reviewed"], 64)


@pytest.mark.parametrize(("data", "places"), WRONG, ids=str)
def test_a_wrong_one_is_refused_with_every_problem(data: Any, places: list[str]) -> None:
    policy, problems = policy_of(data)
    assert policy is None
    assert [problem.place for problem in problems] == places
    assert all(problem.code == "policy" and problem.finding and problem.hint for problem in problems)


@pytest.mark.long
def test_whatever_is_damaged_is_refused_or_allows_no_more() -> None:
    """A character lost or doubled never widens a profile, unless it is another name that it makes."""
    random = Random(0)
    for _ in range(2_000):
        place = random.randrange(len(FULL))
        text = FULL[:place] + random.choice(["", FULL[place] * 2, "\t", "]", "{"]) + FULL[place + 1 :]
        path = FakeFile(text)
        try:
            grant = read_policy(path).profiles["untrusted"]  # pyright: ignore[reportArgumentType] -- as a file
        except (GraphError, KeyError):
            continue
        for name in ("fetchAgent", "fileReadAgent", "fileWriteAgent"):
            assert not grant.allows_agent(name, is_pure=False)


class FakeFile:
    """A file that is only read."""

    name = "policy.yaml"
    st_mode = 0o100600

    def __init__(self, text: str) -> None:
        self.text = text

    def stat(self) -> FakeFile:
        return self

    def read_bytes(self) -> bytes:
        return self.text.encode()


def test_what_a_graph_says_wrongly_allows_nothing() -> None:
    assert grant_of({"agents": ["a"], "hots": []}) == NOTHING
    assert grant_of(["a"]) == NOTHING
    assert grant_of({}) == NOTHING
    assert grant_of({"agents": ["a"]}) == Grant.of(["a"])


def test_problems_have_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(FULL.replace("queues: [gpu]", "queue: [gpu]"))
    with pytest.raises(GraphError) as raised:
        read_policy(path)
    [problem] = raised.value.problems
    assert (problem.line, problem.place, problem.hint) == (
        11,
        "profiles.reviewed.queue",
        "did you mean 'queues'?",
    )


@pytest.mark.parametrize(("text", "mode"), [(FULL, 0o666), ("policy: [", 0o600), (None, 0)], ids=str)
def test_a_file_that_is_not_to_be_trusted_is_refused(tmp_path: Path, text: str | None, mode: int) -> None:
    path = tmp_path / "policy.yaml"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    with pytest.raises(GraphError, match=r"policy\.yaml"):
        read_policy(path)


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    file = PolicyFile(path)
    for profile in ("a", "bb"):
        path.write_text(json.dumps({"policy": 1, "profile": profile, "profiles": {profile: {}}}))
        policy = file.current()
        assert policy is not None
        assert policy.profile == profile
        assert file.current() is policy
    assert PolicyFile().current() is None


def test_a_long_name_is_cut() -> None:
    _, problems = policy_of({"policy": 1, "profile": "a", "profiles": {"a": {"agents": ["x " * 1_000]}}})
    assert [len(problem.finding) for problem in problems] == [60 + len(" cannot be one of agents")]


@pytest.mark.parametrize(
    ("default", "principal", "profile"),
    [
        ("", "alice", "a"),
        ("", "team-x", "b"),
        ("", "alic", ""),
        ("", "", ""),
        ("b", "eve", "b"),
        ("b", "alice", "a"),
    ],
)
def test_the_profile_of_a_principal(default: str, principal: str, profile: str) -> None:
    data = {
        "policy": 1,
        "principals": {"alice": "a", "team-*": "b"},
        "profiles": {"a": {"agents": ["*"]}, "b": {"agents": ["@pure"]}},
        **({"profile": default} if default else {}),
    }
    policy, problems = policy_of(data)
    assert (policy is None, problems) == (False, [])
    assert policy is not None
    own = policy.for_principal(principal)
    assert (own.profile, own.grant) == (profile, policy.profiles[profile] if profile else NOTHING)
