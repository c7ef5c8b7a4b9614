"""Secrets in vaults: what is asked, by the documented interfaces, and what becomes of each answer."""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from perdure.agents.agent import AgentContext, agent
from perdure.agents.invoke import invoke
from perdure.errors import FinalError, TransientError
from perdure.net.call_secrets import CallSecrets
from perdure.policy.secret_rules import SecretRule
from perdure.settings.vaults import KEPT_VALUE_S, VaultReader, aws_signature
from tests.support.servers import Answer, Seen, json_answer, serve

VALUE = "v-4711"


KV = {"data": {"token": VALUE}}
ROOT, SIGNED, BEARER = ("x-vault-token", "root"), ("authorization", "Signature="), "authorization"
ANSWERS: list[tuple[str, str, str, tuple[str, str], Any, int]] = [
    ("GET", "/v1/secret/data/crm", "", ROOT, {"data": {**KV, "metadata": {"version": 1}}}, 200),
    ("GET", "/v1/kv/crm", "", ROOT, KV, 200),
    ("GET", "/v1/secret/data/none", "", ROOT, {"errors": []}, 404),
    ("POST", "/", '"crm"', SIGNED, {"SecretString": f'{{"token": "{VALUE}"}}'}, 200),
    ("POST", "/", '"old"', SIGNED, {"__type": "ExpiredTokenException"}, 400),
    ("POST", "/", '"none"', SIGNED, {"__type": "ResourceNotFoundException"}, 400),
    (
        *("GET", "/v1/projects/p/secrets/crm/versions/latest:access", ""),
        (BEARER, "Bearer gcp-token"),
        {"payload": {"data": base64.b64encode(VALUE.encode()).decode()}},
        200,
    ),
    ("GET", "/identity", "", ("x-identity-header", "mine"), {"access_token": "azure-token"}, 200),
    ("GET", "/secrets/crm", "", (BEARER, "Bearer azure-token"), {"value": VALUE}, 200),
    ("GET", "/secrets/away", "", (BEARER, "Bearer azure-token"), {}, 503),
]  # fmt: skip
"""Of a small vault of each kind: method, path, part of the body, the credentials it wants, its answer."""


def respond(seen: Seen) -> Answer:
    headers = {name.lower(): text for name, text in seen.headers.items()}
    for method, path, body, (name, text), answer, status in ANSWERS:
        is_asked = (seen.method, seen.path) == (method, path) and body.encode() in seen.body
        if is_asked and text in headers.get(name, ""):
            return json_answer(answer, status=status)
    return json_answer({"errors": ["permission denied"]}, status=403)


def environment(url: str) -> dict[str, str]:
    """What the tools of the vaults want to know."""
    return {
        "VAULT_ADDR": url,
        "VAULT_TOKEN": "root",
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"{url}/",
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"{url}/",
        "GOOGLE_OAUTH_ACCESS_TOKEN": "gcp-token",
        "IDENTITY_ENDPOINT": f"{url}/identity",
        "IDENTITY_HEADER": "mine",
    }


def read(source: str, url: str, **other: str) -> str:
    kind, _, place = source.replace("URL", url).partition(":")
    return VaultReader().read(kind, place, {**environment(url), **other})


@pytest.mark.parametrize(
    "source",
    [
        "vault:secret/data/crm#token",
        "vault:kv/crm#token",
        "aws:crm#token",
        "gcp:projects/p/secrets/crm",
        "azure:URL/secrets/crm",
    ],
)
def test_a_value_is_read(source: str) -> None:
    with serve(respond) as server:
        assert read(source, server.url) == VALUE


WRONG: list[tuple[str, Mapping[str, str], type[Exception], str]] = [
    ("vault:secret/data/none#token", {}, FinalError, "has no such secret"),
    ("vault:secret/data/crm#user", {}, FinalError, "there is no such string"),
    ("vault:secret/data/crm", {}, FinalError, "there is no such string"),
    ("vault:secret/data/crm#token", {"VAULT_TOKEN": "t-old"}, FinalError, "the worker may not read it"),
    ("vault:secret/data/crm#token", {"VAULT_TOKEN": ""}, FinalError, "the worker has no VAULT_TOKEN"),
    ("vault:x#y", {"VAULT_ADDR": "http://127.0.0.1:1"}, TransientError, "cannot be reached: ConnectError"),
    ("aws:none", {}, FinalError, "has no such secret"),
    ("aws:old", {}, FinalError, "the credentials of the worker are expired"),
    ("gcp:projects/p/secrets/crm", {"GOOGLE_OAUTH_ACCESS_TOKEN": "t-old"}, FinalError, "may not read it"),
    ("azure:URL/secrets/away", {}, TransientError, "answers 503"),
    ("azure:URL/secrets/crm", {"IDENTITY_HEADER": "t-old"}, FinalError, "may not read it"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "other", "kind", "finding"), WRONG, ids=[row[3] + row[0] for row in WRONG]
)
def test_what_is_wrong_is_typed_and_quotes_no_credentials(
    source: str, other: Mapping[str, str], kind: type[Exception], finding: str
) -> None:
    with serve(respond) as server, pytest.raises(kind) as raised:
        read(source, server.url, **other)
    assert finding in str(raised.value)
    assert not any(word in str(raised.value) for word in ("t-old", VALUE, "root", "permission denied"))


def test_a_value_is_kept_for_a_while_and_a_failure_is_not() -> None:
    now = [0.0]
    reader = VaultReader(clock=lambda: now[0])
    with serve(respond) as server:
        known = environment(server.url)
        with pytest.raises(FinalError):
            reader.read("vault", "secret/data/crm#token", {**known, "VAULT_TOKEN": "no"})
        for _ in range(3):
            assert reader.read("vault", "secret/data/crm#token", known) == VALUE
        assert len(server.seen) == 2
        now[0] = KEPT_VALUE_S + 1
        assert reader.read("vault", "secret/data/crm#token", known) == VALUE
        assert len(server.seen) == 3
    assert VALUE not in repr(reader)


def test_the_signature_is_that_of_the_published_example() -> None:
    """`get-vanilla` of the test suite of AWS for signatures of version 4."""
    key = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    when = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    place = "us-east-1", "service"
    signed = aws_signature("GET", "https://example.amazonaws.com/", {}, b"", key, place, when)
    signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    assert signed["authorization"].endswith(f"SignedHeaders=host;x-amz-date, Signature={signature}")


@pytest.mark.anyio
async def test_a_request_gets_the_value_and_the_loop_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(respond) as server:
        for name, text in environment(server.url).items():
            monkeypatch.setenv(name, text)
        rule = SecretRule(source="vault:secret/data/crm#token", to=("https://crm.example.com/",))
        secrets: Any = CallSecrets("fetchAgent", {"crm": rule})
        headers = httpx2.Headers({"Authorization": "Bearer secret:crm"})
        filled = await secrets.filled(headers, "https", "crm.example.com", 443, "/")
    assert dict(filled)["authorization"] == f"Bearer {VALUE}"


@agent("crm.read")
async def crm_read(inputs: dict[str, Any], context: AgentContext) -> Any:
    """Asks for a secret in the loop."""
    return context.secret(inputs["name"]).upper()


@pytest.mark.anyio
async def test_an_async_agent_asks_for_what_was_read_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def read(source: str) -> str:
        seen.append(f"{source} {threading.current_thread() is threading.main_thread()}")
        if source.endswith("#away"):
            raise TransientError("the vault does not answer")
        return VALUE

    monkeypatch.setattr("perdure.net.call_secrets.read_secret", read)
    names = frozenset({"crm.read"})
    rules = {
        name: SecretRule(source=f"vault:kv/crm#{name}", to=(), agents=names) for name in ("token", "away")
    }
    rules["other"] = SecretRule(source="vault:kv/crm#other", to=(), agents=frozenset({"another"}))
    context = AgentContext(agent="crm.read", secrets=CallSecrets("crm.read", rules))
    assert await invoke(crm_read.agent, {"name": "token"}, {}, context) == VALUE.upper()
    with pytest.raises(TransientError, match="does not answer"):
        await invoke(crm_read.agent, {"name": "away"}, {}, context)
    assert sorted(set(seen)) == ["vault:kv/crm#away False", "vault:kv/crm#token False"]
