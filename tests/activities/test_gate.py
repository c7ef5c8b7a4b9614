"""The worker's own policy in front of its calls."""

from __future__ import annotations

from pathlib import Path

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
