"""images2messageAgent: pictures as a message for a model that sees."""

from __future__ import annotations

from perdure.agents.agent import Sample, agent
from perdure.agents.schema import array, fields, text
from perdure.agents.shipped.objects import option, require_array
from perdure.errors import AgentError
from perdure.graph.javascript import to_string
from perdure.graph.values import UNDEFINED, Value, js_truthy


@agent(
    "images2messageAgent",
    pure=True,
    description="Makes a message with images for a language model",
    category="image",
    inputs=fields(
        "array",
        array=array("base64 data, or addresses with imageType `http`", items=text()),
        prompt=text("the question about them"),
    ),
    params=fields(
        "imageType",
        imageType=text("png, jpeg, ..., or http if the images are addresses"),
        detail=text("low, high or auto, which is the default"),
    ),
    output=fields(message=fields(role=text(), content=array("the prompt, then the images"))),
    samples=[
        Sample(
            inputs={"array": ["https://example.com/cat.png"], "prompt": "Which animal?"},
            params={"imageType": "http"},
            result={
                "message": {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Which animal?"},
                        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
                    ],
                }
            },
        )
    ],
)
def images_to_message(inputs: dict[str, Value], params: dict[str, Value]) -> dict[str, Value]:
    """A user message with the prompt, if any, and the pictures."""
    pictures = require_array("images2messageAgent", inputs)
    kind = params.get("imageType", UNDEFINED)
    if not js_truthy(kind):
        raise AgentError("images2messageAgent: params.imageType is UNDEFINED! Set Type: png, jpg...")
    detail = option(params, "detail", "auto")
    content = [{"type": "image_url", "image_url": _image_url(data, kind, detail)} for data in pictures]
    prompt = inputs.get("prompt", UNDEFINED)
    if js_truthy(prompt):
        content.insert(0, {"type": "text", "text": prompt})
    return {"message": {"role": "user", "content": content}}


def _image_url(data: Value, kind: Value, detail: Value) -> dict[str, Value]:
    if kind == "http":
        return {"url": data}
    return {"url": f"data:image/{to_string(kind)};base64,{to_string(data)}", "detail": detail}
