"""Agents of this project: plain functions. `perdure run graph.yaml --agents agents.py` knows them."""

from perdure import agent


@agent("shout", pure=True)
def shout(inputs: dict[str, str]) -> dict[str, str]:
    """The text in capitals."""
    return {"text": inputs["text"].upper() + "!"}
