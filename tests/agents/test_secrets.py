"""Secrets by name: their values reach the service that they are for, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import AgentContext
from perdure.errors import FinalError, NotGranted, RunFailed
from perdure.net.call_secrets import CallSecrets
from perdure.policy.grant import Grant
from perdure.policy.secret_rules import SecretRule
from perdure.settings import Settings
from perdure.testing import MemoryEnvironment, run_in_memory
from tests.support.canary import CANARY, mine, parrot, policy_with_canary, traces_in
from tests.support.servers import Server, serve

NAMED = {"Authorization": "secret:crm"}


def played(folder: Path, server: Server, node: dict[str, Any], **rule: Any) -> str:
    """All that a run of one node lets out: results, the failure, console, stream."""
    shown: list[str] = []

    async def stream(command: Any, attempt: int, piece: Any) -> None:
        shown.append(repr(piece))

    settings = Settings(
        home=folder,
        allow_hosts=("127.0.0.1",),
        policy=policy_with_canary(folder, server, **rule),
        transient_attempts=1,
    )
    environment = MemoryEnvironment(settings=settings, console=shown.append, stream=stream)
    graph = {"nodes": {"a": {**node, "isResult": True, "console": True}}}
    try:
        shown.append(repr(run_in_memory(graph, [mine], environment=environment).all))
    except RunFailed as error:
        shown.append(f"{error} {error.result}")
    return "\n".join(shown)


def fetch(path: str, server: Server, **headers: str) -> dict[str, Any]:
    url = f"{server.url}{path}"
    return {"agent": "fetchAgent", "inputs": {"url": url, "headers": {**NAMED, **headers}}}


CALLS: dict[str, Any] = {
    "an answer": lambda server: fetch("/", server),
    "an error": lambda server: fetch("/broken", server),
    "the other fetch agent": lambda server: {**fetch("/", server), "agent": "vanillaFetchAgent"},
    "a scheme of the graph": lambda server: fetch("/", server, Authorization="Bearer secret:crm"),
    "another header": lambda server: fetch("/", server, Authorization="secret:crm", Accept="secret:crm"),
    "a model": lambda server: {
        "agent": "openAIAgent",
        "inputs": {"prompt": "Say it again"},
        "params": {"apiKey": "secret:crm", "baseURL": f"{server.url}/v1"},
    },
    "an agent that may ask": lambda server: {"agent": "mine"},
    "one that fails": lambda server: {"agent": "mine", "inputs": {"fail": True}},
}


@pytest.mark.parametrize("name", CALLS)
def test_a_value_is_sent_and_kept_nowhere(tmp_path: Path, name: str) -> None:
    with serve(parrot) as server:
        out = played(tmp_path, server, CALLS[name](server))
        received = [seen.headers["authorization"] for seen in server.seen]
    assert set(received) == (set() if "agent that" in name or "one that" in name else {f"Bearer {CANARY}"})
    assert "***" in out
    assert traces_in(out) == []


def test_a_refused_model_call_is_not_repeated(tmp_path: Path) -> None:
    with serve(parrot) as server:
        out = played(tmp_path, server, CALLS["a model"](server), to=["https://api.example.com/"])
    assert "openAIAgent: 127.0.0.1: not granted: the secret 'crm' for this URL at 127.0.0.1" in out
    assert "(it has failed so" not in out
    assert server.seen == []


def test_what_the_graph_says_of_its_request_is_the_name(tmp_path: Path) -> None:
    with serve(parrot) as server:
        node = fetch("/", server)
        out = played(tmp_path, server, {**node, "params": {"debug": True}})
    assert "secret:crm" in out
    assert server.seen == []


def test_a_value_follows_no_redirect_and_no_other_place(tmp_path: Path) -> None:
    with serve(parrot) as server, serve(parrot) as other:
        place = {"to": [f"{server.url}/api/", f"{server.url}/moved/"]}
        for path in ("/", "/apis", "/api/../x", "/api/%2e%2e/x"):
            out = played(tmp_path, server, fetch(path, server), **place)
            assert "not granted: the secret 'crm' for this URL at 127.0.0.1" in out, path
        assert server.seen == []
        moved = f"/moved?to={other.url}/api/"
        out = played(tmp_path, server, fetch(moved, server, Accept="secret:crm"), **place)
        assert "not granted: the secret 'crm' for this URL at 127.0.0.1" in out
        played(tmp_path, server, fetch(moved, server), **place)
        assert [seen.headers.get("authorization") for seen in other.seen] == [None]
        assert traces_in(repr(other.seen), out) == []


def test_a_key_of_the_graph_does_not_become_that_of_another_call(tmp_path: Path) -> None:
    with serve(parrot) as server:
        node = fetch("/", server, **{"idempotency-key": "of another"})
        played(tmp_path, server, {**node, "inputs": {**node["inputs"], "body": {"x": 1}}})
    assert server.seen[0].headers["idempotency-key"] != "of another"


RULE = SecretRule(
    source="env:PERDURE_TEST_SECRET", to=("https://a.example.com/",), agents=frozenset(["mine"])
)
HERE = ("https", "a.example.com", 443, "/")
REFUSED: list[tuple[CallSecrets, str]] = [
    (CallSecrets("mine"), "there is no secret 'crm'"),
    (CallSecrets("mine", {"crm": RULE}, Grant.of(secrets=["x"])), "the secret 'crm' (allowed: x)"),
    (CallSecrets("fetchAgent", {"crm": RULE}), "the secret 'crm' for the agent 'fetchAgent' (allowed: mine)"),
    (
        CallSecrets("mine", {"crm": RULE}),
        "the secret 'crm' cannot be read: env:PERDURE_TEST_SECRET: it is not",
    ),
]


@pytest.mark.parametrize(("secrets", "finding"), REFUSED, ids=[finding for _, finding in REFUSED])
def test_what_is_unknown_or_not_granted_is_refused(
    monkeypatch: pytest.MonkeyPatch, secrets: CallSecrets, finding: str
) -> None:
    monkeypatch.delenv("PERDURE_TEST_SECRET", raising=False)
    with pytest.raises(FinalError) as caught:
        secrets.sent("secret:crm", *HERE)
    assert finding in caught.value.finding
    with pytest.raises(FinalError):
        AgentContext(secrets=secrets).secret("crm")


def test_only_listed_agents_hold_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_TEST_SECRET", " v-1234 \n")
    anyone = SecretRule(source=RULE.source, to=RULE.to)
    assert CallSecrets("fetchAgent", {"crm": anyone}).sent("secret:crm", *HERE) == "v-1234"
    with pytest.raises(NotGranted, match="the value of the secret 'crm' for the agent 'fetchAgent'"):
        CallSecrets("fetchAgent", {"crm": anyone}).value("crm")
    assert CallSecrets("mine", {"crm": RULE}).value("crm") == "v-1234"


@pytest.mark.parametrize("value", ["", "a\r\nX-Evil: 1", "ü", "\x00"])
def test_a_value_that_no_header_may_have_is_not_sent(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr("perdure.net.call_secrets.read_secret", lambda source: value)
    with pytest.raises(FinalError, match="is empty, or has characters"):
        CallSecrets("mine", {"crm": RULE}).sent("secret:crm", *HERE)
