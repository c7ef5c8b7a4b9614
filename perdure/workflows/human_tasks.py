"""The questions that a run has open, and the answers to them."""

from __future__ import annotations

from dataclasses import dataclass, field

from perdure.engine.human_tasks import HumanPrompt, human_prompt
from perdure.engine.messages import RunAgent


@dataclass(slots=True)
class HumanTasks:
    """Open questions by the call that an answer completes."""

    _open: dict[int, tuple[str, HumanPrompt]] = field(default_factory=dict[int, tuple[str, HumanPrompt]])

    def ask(self, command: RunAgent) -> None:
        """A node waits for a person."""
        self._open[command.call] = (command.node, human_prompt(command))

    def close(self, call: int) -> None:
        """The question was answered or abandoned."""
        self._open.pop(call, None)

    def questions(self) -> list[HumanPrompt]:
        """What is asked now, in the order in which it was."""
        return [asked for _, asked in self._open.values()]

    def find(self, path: str) -> tuple[int, HumanPrompt] | None:
        """The question at this path; else the one of the only asking node with this id."""
        for call, (_, asked) in self._open.items():
            if asked.path == path:
                return call, asked
        named = [(call, asked) for call, (node, asked) in self._open.items() if node == path]
        return named[0] if len(named) == 1 else None

    def no_question(self, path: str) -> str:
        """Why an answer to `path` is not taken."""
        paths = ", ".join(asked.path for asked in self.questions()) or "no node"
        return f"no single question is open at {path!r}; waiting for an answer: {paths}"
