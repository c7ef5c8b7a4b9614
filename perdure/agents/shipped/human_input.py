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


@agent(
    "humanInputAgent",
    human=True,
    category="input",
    inputs={"type": "object", "description": "values for the places ${name} of the message"},
    params={
        "type": "object",
        "properties": {
            "message": {"type": "string", "description": "what the person is asked; ${name} is an input"},
            "schema": {"type": "object", "description": "a form: the answer is an object with its fields"},
            "choices": {"type": "array", "description": "a form with one field, `decision`"},
            "prefill": {"type": "object", "description": "values for fields of the form"},
            "required": {"type": "boolean", "description": "an empty string is refused"},
            "role": {"type": "string", "description": "the role of the message, user by default"},
            "who": {"type": "array", "description": "people and groups that should answer"},
            "quorum": {"type": "object", "description": "answers of several people: need, same, against"},
            "remind": {"type": "array", "description": "times after which people are reminded"},
            "escalate": {"type": "object", "description": "after: a time, who: others who are asked then"},
            "timeout": {"type": "object", "description": "after: a time, result: the answer then"},
            "notify": {"description": "a channel of the worker for notices, or a list of them"},
        },
    },
    output={
        "type": "object",
        "properties": {
            "answer": {},
            "by": {"type": "array"},
            "how": {"enum": ["answer", "quorum", "timeout"]},
            "text": {"type": "string"},
            "message": {"type": "object"},
        },
    },
    samples=[
        Sample(
            inputs={"title": "Tides"},
            params={"message": "Publish ${title}?", "choices": ["approve", "reject"]},
            result={
                "answer": {"decision": "approve"},
                "by": [{"who": "anna", "at": 0, "answer": {"decision": "approve"}}],
                "how": "answer",
            },
        )
    ],
)
def human_input(params: Mapping[str, Value]) -> Value:
    """Asks people with a form, a choice or a question; with a quorum, reminders and a time limit."""
    raise FinalError(f"no one is there to answer: {params.get('message', 'Enter')}")
