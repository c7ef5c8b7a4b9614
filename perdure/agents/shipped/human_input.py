"""Agents that wait for a person. The engine asks (perdure.engine.human_tasks); nothing is called here."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.agents.agent import Sample, agent
from perdure.errors import FinalError
from perdure.graph.values import Value


@agent(
    "textInputAgent",
    human=True,
    category="input",
    params={
        "type": "object",
        "properties": {
            "message": {"type": "string", "description": "what the person is asked"},
            "required": {"type": "boolean", "description": "an empty answer is refused"},
            "role": {"type": "string", "description": "the role of the message, user by default"},
        },
    },
    output={
        "type": "object",
        "properties": {"text": {"type": "string"}, "message": {"type": "object"}},
    },
    samples=[
        Sample(
            params={"message": "Which town?"},
            result={"text": "Lisbon", "message": {"role": "user", "content": "Lisbon"}},
        )
    ],
)
def text_input(params: Mapping[str, Value]) -> Value:
    """Asks a person for a string, and waits as long as the answer takes."""
    raise FinalError(f"no one is there to answer: {params.get('message', 'Enter')}")
