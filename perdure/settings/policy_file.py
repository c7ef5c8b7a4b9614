"""The policy file that PERDURE_POLICY names: read under the limits of a graph, and again when it changes."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from perdure.errors import GraphError, Problem
from perdure.graph.text.document import Document
from perdure.graph.text.load import load
from perdure.policy.parse import Policy, policy_of


def read_policy(path: Path) -> Policy:
    """The policy in a YAML or JSON file. Raises GraphError, with every problem, for what is none."""
    try:
        if path.stat().st_mode & stat.S_IWOTH:
            raise _refused(path, "everybody may write this file", f"chmod o-w {path}")
        text = path.read_bytes()
    except OSError as error:
        hint = "write one, or set PERDURE_POLICY to one; perdure policy --help shows how"
        raise _refused(path, f"this file cannot be read: {error.strerror}", hint) from error
    try:
        document = load(text, source=path.name)
    except GraphError as error:
        raise GraphError(error.problems, str(path)) from error
    policy, problems = policy_of(document.data, hashlib.sha256(text).hexdigest())
    if policy is None:
        raise GraphError(_located(document, problems), str(path))
    return policy


def _refused(path: Path, finding: str, hint: str) -> GraphError:
    return GraphError([Problem("policy", "", finding, hint)], str(path))


def _located(document: Document, problems: Sequence[Problem]) -> list[Problem]:
    """The problems with the lines of their places: names have no dots that matter to `position`."""
    located: list[Problem] = []
    for problem in problems:
        position = document.position(problem.place.split(".") if problem.place else [])
        line, column = position or (None, None)
        located.append(replace(problem, line=line, column=column))
    return located


@dataclass(slots=True)
class PolicyFile:
    """The policy of a process: the file at `path`, None for no policy. Any thread may ask."""

    path: Path | None = None
    _known: tuple[tuple[int, int, int], Policy] | None = field(default=None, repr=False)

    def current(self) -> Policy | None:
        """The policy, read again if the file has changed; None without one. Raises GraphError."""
        if self.path is None:
            return None
        known = self._known
        try:
            now = self.path.stat()
            mark = (now.st_mtime_ns, now.st_size, now.st_ino)
        except OSError:
            return read_policy(self.path)  # which says why it cannot be read
        if known is None or known[0] != mark:
            known = self._known = (mark, read_policy(self.path))
        return known[1]
