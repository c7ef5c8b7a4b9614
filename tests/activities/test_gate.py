"""The worker's own policy in front of its calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perdure.activities.gate import Gate
from perdure.errors import NotGranted, TransientError
from perdure.settings.policy_file import PolicyFile
from tests.support.attacks import policy_file


def test_a_file_that_cannot_be_read_stops_calls_for_now(tmp_path: Path) -> None:
    path = policy_file(tmp_path)
    gate = Gate(PolicyFile(path), frozenset(["copyAgent"]))
    gate.check("copyAgent", "a", None)
    path.write_text("policy: [")
    for _ in range(2):
        with pytest.raises(TransientError, match="the policy of this worker cannot be read"):
            gate.check("copyAgent", "a", None)
    path.unlink()
    with pytest.raises(TransientError, match="this file cannot be read"):
        gate.check("copyAgent", "a", None)
    gate.check("lamp" if policy_file(tmp_path) else "", "a", None)


def test_a_grant_narrows_without_a_policy() -> None:
    gate = Gate(pure=frozenset(["copyAgent"]))
    gate.check("fetchAgent", "a", None)
    gate.check("copyAgent", "a", {"agents": [["@pure"]]})
    with pytest.raises(NotGranted, match=r"a: not granted: the agent 'fetchAgent' \(allowed: @pure\)"):
        gate.check("fetchAgent", "a", {"agents": [["@pure"]]})


APPROVED_CALL: dict[str, Any] = {"hosts": [["a.org"]], "approved": ["00", "ada"]}


@pytest.mark.parametrize(
    ("signs", "violation", "passes"),
    [(True, "ask", True), (False, "ask", False), (True, "refuse", False)],
)
def test_an_approval_counts_where_it_is_signed_and_the_policy_asks(
    tmp_path: Path, signs: bool, violation: str, passes: bool
) -> None:
    path = tmp_path / "policy.json"
    profile = {"agents": ["@pure"], "hosts": ["b.org"], "violation": violation}
    path.write_text(json.dumps({"policy": 1, "profile": "a", "profiles": {"a": profile}}))
    path.chmod(0o600)
    gate = Gate(PolicyFile(path), signs=signs)
    if not passes:
        with pytest.raises(NotGranted):
            gate.check("pay", "a", APPROVED_CALL)
        return
    gate.check("pay", "a", APPROVED_CALL)
    assert gate.grant(APPROVED_CALL).host_refusal("a.org") == {"b.org"}  # the hosts of the profile hold on
