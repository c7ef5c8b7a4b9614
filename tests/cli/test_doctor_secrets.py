"""What `perdure doctor` says of secrets: which cannot be read, and no value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perdure.cli.doctor.framework import State
from perdure.cli.doctor.secrets import secrets
from perdure.settings import Settings


def test_each_secret_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_TEST_SECRET", "v-4711")
    monkeypatch.delenv("PERDURE_TEST_NONE", raising=False)
    monkeypatch.delenv("VAULT_ADDR", raising=False)
    to = ["https://a.org/"]
    rules = {
        "crm": {"from": "env:PERDURE_TEST_SECRET", "to": to},
        "none": {"from": "env:PERDURE_TEST_NONE", "to": to},
        "far": {"from": "vault:secret/data/x#y", "to": to},
    }
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"policy": 1, "secrets": rules}))
    path.chmod(0o600)
    findings = secrets(Settings(home=tmp_path, policy=path))
    assert [(finding.state, finding.finding) for finding in findings] == [
        (State.OK, "readable: crm"),
        (State.FAILED, "none cannot be read: env:PERDURE_TEST_NONE: it is not set"),
        (State.FAILED, "far cannot be read: vault:secret/data/x#y: the worker has no VAULT_ADDR"),
    ]
    assert secrets(Settings(home=tmp_path)) == []
