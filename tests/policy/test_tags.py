"""Tags: labels that an operator makes, and where their data may go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.errors import RunFailed
from perdure.policy.labels import ASKS_MODEL, AgentLabels
from perdure.policy.parse import policy_of
from perdure.settings import Settings
from perdure.testing import MemoryEnvironment, run_in_memory


def ending(folder: Path, agent_name: str, tags: dict[str, Any], **profile: Any) -> tuple[list[Any], str]:
    """Who may receive what was sent, and the message that ended the run."""
    sent: list[Any] = []

    @agent("crm", labels=AgentLabels(gives=("tag:customer",)))
    def crm() -> Any:
        return {"name": "Ada"}

    @agent("mail", labels=AgentLabels(effect="sends"))
    def mail(inputs: Any, context: Any) -> Any:
        sent.append([name for name in ("a.org", "b.org") if context.grant.host_refusal(name) is None])

    @agent("model", labels=AgentLabels(effect=ASKS_MODEL))
    def model() -> Any:
        sent.append("model")

    said = {"agents": ["*"], "hosts": ["a.org", "b.org"], "private": ["*"], **profile}
    path = folder / "policy.json"
    path.write_text(json.dumps({"policy": 1, "profile": "a", "profiles": {"a": said}, "tags": tags}))
    path.chmod(0o600)
    graph = {
        "nodes": {
            "read": {"agent": "crm"},
            "copy": {"agent": "copyAgent", "inputs": {"x": ":read.name"}},
            "out": {"agent": agent_name, "inputs": {"text": "${:copy.x}"}},
        }
    }
    environment = MemoryEnvironment(settings=Settings(home=folder, policy=path), console=lambda _: None)
    try:
        run_in_memory(graph, [crm, mail, model], environment=environment)
    except RunFailed as error:
        return sent, str(error)
    return sent, ""


def test_data_of_a_tag_goes_where_the_tag_says(tmp_path: Path) -> None:
    assert ending(tmp_path, "mail", {"customer": ["b.org"]}) == ([["b.org"]], "")
    assert ending(tmp_path, "model", {"customer": ["@models"]}) == (["model"], "")
    assert ending(tmp_path, "mail", {"customer": ["*"]}) == ([["a.org", "b.org"]], "")


@pytest.mark.parametrize("tags", [{}, {"customer": []}, {"other": ["*"]}], ids=str)
@pytest.mark.parametrize("name", ["mail", "model"])
def test_what_no_tag_allows_is_refused(tmp_path: Path, name: str, tags: dict[str, Any]) -> None:
    sent, message = ending(tmp_path, name, tags)
    assert sent == []
    assert "data of the tag 'customer'" in message
    assert "(from copy)" in message
    assert "to tags.customer in the policy of the worker" in message


def test_mistakes() -> None:
    data = {
        "policy": 1,
        "agents": {"a": {"gives": ["tag:", "tag:x y"]}},
        "tags": {"b": ["https://x"], "1": []},
    }
    _, problems = policy_of(data)
    assert {problem.place for problem in problems} == {
        "agents.a.gives",
        "agents.a.gives.1",
        "tags.b.0",
        "tags.1",
    }
    with pytest.raises(ValueError, match="labels are"):
        AgentLabels(gives=("tag:",))
