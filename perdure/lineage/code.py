"""Whether the code of an agent is another now than when a run called it.

Code does not count by itself: results are reused when a log line has changed, and a person who knows better
says so (``--changed-agents``). The digests are taken by workers (perdure.agents.code_digest): those of now
are in the registry of the run, those of before in its request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perdure.graph.values import Value, is_dict

CodeByRun = Mapping[str, Mapping[str, str]]
"""By the id of a run, and the name of an agent: the digest of the code that it had there."""

SEVERAL = ""
"""The digest of an agent whose code changed while the run was under way."""


@dataclass(frozen=True, slots=True)
class CodeChanges:
    """The code of agents `before`, in the run that has executed an entry of a record, and `now`."""

    before: CodeByRun = field(default_factory=dict[str, Mapping[str, str]])
    now: Mapping[str, str] = field(default_factory=dict[str, str])

    def has(self, agent: str, origin: str) -> bool:
        """Whether the agent has other code now than in the run `origin`; not if one of both is unknown.

        Other versions of Python have other bytecode, which says nothing.
        """
        old, new = self.before.get(origin, {}).get(agent), self.now.get(agent)
        if old is None or new is None or old == new:
            return False
        return old == SEVERAL or old.partition(":")[0] == new.partition(":")[0]


def code_by_run(value: Value) -> dict[str, dict[str, str]]:
    """The digests in a request; none in one of an older version."""
    runs = value if is_dict(value) else {}
    return {
        run: {agent: str(digest) for agent, digest in agents.items()}
        for run, agents in runs.items()
        if is_dict(agents)
    }


def joined(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """The digests of two executions of one run."""
    both = {**one, **other}
    return {agent: SEVERAL if one.get(agent, digest) != digest else digest for agent, digest in both.items()}
