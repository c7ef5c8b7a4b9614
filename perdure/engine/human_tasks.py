"""Agents that wait for a person: what they ask, and what their result is made of.

No function runs for them: the shell shows the question and feeds the answer back as the node's
completion. A durable run waits as long as it takes, without using a worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perdure.engine.messages import RunAgent
from perdure.graph.deferred import BlobRef, described
from perdure.graph.javascript import to_string
from perdure.graph.values import Value, js_truthy


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanPrompt:
    """What a person is asked. `path` is the place of the asking node in the run, `node` its id."""

    path: str
    message: str = ""
    role: str = "user"
    required: bool = False
    node: str = ""

    def refusal(self, answer: Value) -> str | None:
        """Why this answer is not taken, or None."""
        if isinstance(answer, BlobRef) and answer.kind == "string":
            return None
        if not isinstance(answer, str):
            return f"{self.path} takes a string"
        return f"{self.path} requires a string that is not empty" if self.required and not answer else None

    def result(self, answer: Value) -> Value:
        """The node's result: the text, and a chat message that holds it."""
        return {"text": answer, "message": {"role": self.role, "content": answer}}


def human_prompt(command: RunAgent) -> HumanPrompt:
    """The question that a call of textInputAgent puts."""
    params: Mapping[str, Value] = described(dict(command.params))
    return HumanPrompt(
        path=command.path,
        message=to_string(params["message"]) if js_truthy(params.get("message")) else "Enter",
        role=to_string(params["role"]) if js_truthy(params.get("role")) else "user",
        required=js_truthy(params.get("required")),
        node=command.node,
    )
