"""Forms: what they may say, and which answers fill them."""

from typing import Any

import pytest

from perdure.graph.forms import form_problems, form_refusal
from perdure.graph.human_input import duration_ms, human_input_problems

FORM: dict[str, Any] = {
    "type": "object",
    "required": ["decision"],
    "properties": {
        "decision": {"enum": ["approve", "reject"]},
        "comment": {"type": "string", "minLength": 2, "maxLength": 5},
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "day": {"type": "string", "format": "date"},
        "time": {"type": "string", "format": "date-time"},
        "mail": {"type": "string", "format": "email"},
        "link": {"type": "string", "format": "uri"},
        "sure": {"type": "boolean"},
        "seen": {"const": True},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1, "maxItems": 1},
    },
}


def test_the_form_is_one() -> None:
    assert list(form_problems(FORM, "s")) == []


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        ({}, None),
        ({"comment": "fine", "score": 5, "day": "2026-11-28", "mail": "a@b.c", "sure": False}, None),
        ({"link": "https://x", "time": "2026-11-28T10:00:00Z", "tags": ["a"], "seen": True}, None),
        ({"decision": "later"}, "decision: must be one of approve, reject"),
        ({"comment": "x"}, "comment: characters must be at least 2"),
        ({"comment": "xxxxxx"}, "comment: characters must be at most 5"),
        ({"comment": 5}, "comment: must be of type string"),
        ({"score": 1.5}, "score: must be of type integer"),
        ({"score": True}, "score: must be of type integer"),
        ({"score": 0}, "score: must be at least 1"),
        ({"day": "2026-13-01"}, "day: must be in the format date"),
        ({"time": "10:00"}, "time: must be in the format date-time"),
        ({"mail": "a b@c"}, "mail: must be in the format email"),
        ({"link": "x"}, "link: must be in the format uri"),
        ({"seen": 1}, "seen: must be True"),
        ({"tags": ["c"]}, "tags: each must be one of a, b"),
        ({"tags": ["a", "b"]}, "tags: items must be at most 1"),
        ({"other": 1}, f"other: there is no such field; there is {', '.join(FORM['properties'])}"),
    ],
)
def test_answers(more: dict[str, Any], refusal: str | None) -> None:
    assert form_refusal(FORM, {"decision": "approve", **more}) == refusal


def test_answers_that_are_no_form() -> None:
    assert form_refusal(FORM, "approve") == "the answer must be an object with the fields of the form"
    assert form_refusal(FORM, {}) == "decision: is required"
    assert form_refusal({"type": "object"}, {"anything": [1]}) is None


@pytest.mark.parametrize(
    ("schema", "places"),
    [
        (5, ["s"]),
        ({"type": "string"}, ["s.type"]),
        ({"allOf": []}, ["s.allOf"]),
        ({"properties": []}, ["s.properties"]),
        ({"properties": {f"p{n}": {"type": "string"} for n in range(101)}}, ["s.properties"]),
        ({"properties": {"a": {"type": "string"}}, "required": ["b"]}, ["s.required"]),
        ({"properties": {"a": 1}}, ["s.properties.a"]),
        ({"properties": {"a": {}}}, ["s.properties.a"]),
        ({"properties": {"a": {"type": "string", "pattern": "x"}}}, ["s.properties.a"]),
        ({"properties": {"a": {"type": "object"}}}, ["s.properties.a"]),
        ({"properties": {"a": {"type": "array"}}}, ["s.properties.a"]),
        ({"properties": {"a": {"enum": []}}}, ["s.properties.a"]),
        (
            {"properties": {"a": {"type": "string", "format": "ipv4", "minLength": "1"}}},
            ["s.properties.a"] * 2,
        ),
    ],
)
def test_what_a_form_cannot_say(schema: Any, places: list[str]) -> None:
    assert [problem.place for problem in form_problems(schema, "s")] == places


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [("1h", 3_600_000), ("1.5 s", 1500), ("3d", 259_200_000), (20, 20), ("20ms", 20)]
    + [(bad, None) for bad in ("", "1", "-1s", "1 week", 0, -5, True, None, "0s", 1e16)],
)
def test_times(value: Any, milliseconds: float | None) -> None:
    assert duration_ms(value) == milliseconds


@pytest.mark.parametrize(
    ("params", "places"),
    [
        (
            {
                "message": "x",
                "choices": ["a", "b"],
                "quorum": {"need": 2, "same": "decision", "against": "b"},
            },
            [],
        ),
        ({"remind": ["1h", "1d"], "escalate": {"after": "2d", "who": ["x"]}, "timeout": {"after": 5}}, []),
        ({"masage": "x"}, ["p.masage"]),
        ({"choices": []}, ["p.choices"]),
        ({"choices": ["a"], "schema": {}}, ["p.choices"]),
        ({"schema": {"x": 1}}, ["p.schema.x"]),
        ({"choices": ["a"], "prefill": "a"}, ["p.prefill"]),
        ({"who": "anna"}, ["p.who"]),
        ({"quorum": 2}, ["p.quorum"]),
        ({"quorum": {"need": 0}}, ["p.quorum.need"]),
        ({"quorum": {"need": 101}}, ["p.quorum.need"]),
        ({"quorum": {"need": 1, "same": "x"}}, ["p.quorum.same"]),
        ({"quorum": {"need": 1, "against": "x"}}, ["p.quorum.against"]),
        ({"remind": ["1h"] * 21}, ["p.remind"]),
        ({"remind": "1h"}, ["p.remind"]),
        ({"notify": ["leads", "a.b-c_d"], "escalate": {"after": 1, "who": ["x"], "notify": "leads"}}, []),
        ({"notify": [f"c{n}" for n in range(11)]}, ["p.notify"]),
        ({"notify": "https://example.org"}, ["p.notify"]),
        ({"notify": 1}, ["p.notify"]),
        ({"escalate": {"after": 1, "who": ["x"], "notify": ""}}, ["p.escalate.notify"]),
        ({"timeout": "1h"}, ["p.timeout"]),
        ({"timeout": {"after": "x"}}, ["p.timeout.after"]),
        ({"escalate": {"after": "1h"}}, ["p.escalate.who"]),
    ],
)
def test_params(params: dict[str, Any], places: list[str]) -> None:
    assert [problem.place for problem in human_input_problems(params, "p")] == places
