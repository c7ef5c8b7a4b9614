"""stringTemplateAgent: fill a text, or every text of a structure, with inputs."""

from __future__ import annotations

from perdure.agents.agent import Sample, agent
from perdure.agents.schema import anything, fields
from perdure.graph.javascript import pair_surrogates, to_string
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, js_truthy, ordered_keys


@agent(
    "stringTemplateAgent",
    pure=True,
    description="Fills the ${key} places of a text, or of all texts in a structure, with the inputs",
    category="string",
    inputs=anything("a value per key; `text` is the result where there is no template"),
    params=fields(template=anything("a text, or lists and objects that hold texts")),
    output=anything("the template, filled"),
    samples=[
        Sample(
            inputs={"who": "Noor", "n": 3},
            params={"template": "Dear ${who}, you have ${n} letters. ${bye}"},
            result="Dear Noor, you have 3 letters. ${bye}",
        ),
        Sample(
            inputs={"tags": ["a", "b"], "who": "${tags}"},
            params={"template": {"labels": "${tags}", "note": ["by ${who}"]}},
            result={"labels": ["a", "b"], "note": ["by ${tags}"]},
        ),
    ],
)
def string_template(inputs: dict[str, Value], params: dict[str, Value]) -> Value:
    """The template with the first `${key}` of each key replaced.

    A text that is nothing but `${key}` becomes the value itself. All places are found before any
    is filled: what is inserted is never looked through for further places.
    """
    template = params.get("template", UNDEFINED)
    if template is UNDEFINED and js_truthy(inputs.get("text", UNDEFINED)):
        return inputs["text"]
    return _fill(template, {f"${{{key}}}": inputs[key] for key in ordered_keys(inputs)})


def _fill(template: Value, values: dict[str, Value]) -> Value:
    if isinstance(template, str):
        return values[template] if template in values else _fill_text(template, values)
    if is_list(template):
        return [_fill(item, values) for item in template]
    if is_dict(template):
        return {key: _fill(template[key], values) for key in ordered_keys(template)}
    return template


def _fill_text(template: str, values: dict[str, Value]) -> str:
    """The text with the first place of each key filled; where places overlap, the first key has it."""
    taken: list[tuple[int, int, str]] = []
    for mark, value in values.items():
        start = template.find(mark)
        while start >= 0 and any(start < end and start + len(mark) > begin for begin, end, _ in taken):
            start = template.find(mark, start + 1)
        if start >= 0:
            taken.append((start, start + len(mark), to_string(value)))
    pieces: list[str] = []
    done = 0
    for start, end, shown in sorted(taken):
        pieces += template[done:start], shown
        done = end
    return pair_surrogates("".join([*pieces, template[done:]]))
