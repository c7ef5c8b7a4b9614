"""Hosts and files that a call may reach: decided where they are reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from perdure.errors import FinalError, NotGranted, RunFailed
from perdure.net.egress import Guard, GuardedTransport
from perdure.policy.grant import NOTHING, Grant
from perdure.settings import Settings
from perdure.testing import MemoryEnvironment, run_in_memory
from tests.support.attacks import policy_file

SOME = Grant(hosts=frozenset([frozenset(["api.example.com", "*.example.org"])]))

HOSTS: dict[str, bool] = {
    "https://api.example.com/v1": True,
    "https://API.example.com./": True,
    "https://www.example.org": True,
    "https://example.org": False,
    "https://evil-example.org": False,
    "https://api.example.com.evil.net": False,
    "https://example.com": False,
    "http://10.0.0.7:8080": False,
}


@pytest.mark.parametrize("url", HOSTS)
def test_hosts(url: str) -> None:
    guard = Guard.of(("10.0.0.7:8080",), SOME)
    if HOSTS[url]:
        guard.check(url)
        return
    with pytest.raises(NotGranted, match=r"^not granted: the host '.*' \(allowed: \*\.example\.org, api"):
        guard.check(url)


def test_the_endpoint_of_the_operator_needs_no_word_and_lends_none() -> None:
    guard = Guard.of((), NOTHING).trusting("https://models.example.com/v1")
    guard.check("https://models.example.com/v1/chat")
    for url in ("https://models.example.com:8443/", "https://other.example.com/"):
        with pytest.raises(FinalError):
            guard.check(url)


@pytest.mark.anyio
async def test_each_request_is_looked_at_that_a_redirect_leads_to() -> None:
    async with httpx2.AsyncClient(transport=GuardedTransport(Guard.of((), SOME))) as client:
        with pytest.raises(NotGranted):
            await client.get("https://example.net/")


PROFILE: dict[str, Any] = {
    "agents": ["@pure", "fetchAgent", "fileReadAgent", "fileWriteAgent"],
    "hosts": ["api.example.com"],
    "reads": ["in"],
    "writes": ["out"],
}
ALLOWED = {"reads": ["."], "agents": ["*"]}

CASES: dict[str, tuple[Any, str]] = {
    "read": ({"agent": "fileReadAgent", "inputs": {"file": "in/a"}}, ""),
    "read another": (
        {"agent": "fileReadAgent", "inputs": {"file": "out/a"}},
        "not granted: to read 'out/a' (allowed: in)",
    ),
    "read with less": (
        {"agent": "fileReadAgent", "inputs": {"file": "in/a"}, "allow": {**ALLOWED, "reads": ["in/deep"]}},
        "not granted: to read 'in/a' (allowed: in/deep)",
    ),
    "write": ({"agent": "fileWriteAgent", "inputs": {"file": "out/b", "text": "x"}}, ""),
    "write another": (
        {"agent": "fileWriteAgent", "inputs": {"file": "in/b", "text": "x"}},
        "not granted: to write 'in/b' (allowed: out)",
    ),
    "write by allow of more": (
        {
            "agent": "fileWriteAgent",
            "inputs": {"file": "b", "text": "x"},
            "allow": {**ALLOWED, "writes": ["."]},
        },
        "not granted: to write 'b' (allowed: out)",
    ),
    "fetch": (
        {"agent": "fetchAgent", "inputs": {"url": "https://example.com/"}},
        "not granted: the host 'example.com' (allowed: api.example.com)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_agents_that_are_shipped(tmp_path: Path, name: str) -> None:
    node, refusal = CASES[name]
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a").write_text("a")
    policy = policy_file(tmp_path, profiles={"strict": PROFILE})
    settings = Settings(home=tmp_path, policy=policy, file_root=tmp_path, file_writes=True)
    graph = {"nodes": {"a": {"params": {"baseDir": "."}, **node}}}
    message = ""
    try:
        run_in_memory(graph, environment=MemoryEnvironment(settings=settings))
    except RunFailed as error:
        message = str(error)
    assert message.partition("\n")[0] == refusal
    assert {path.name for path in tmp_path.glob("*/b")} == ({"b"} if name == "write" else set())
