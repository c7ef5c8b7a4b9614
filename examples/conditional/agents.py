"""The agent that runs only when the decision says so."""

from typing import TypedDict

from perdure import agent


class Goods(TypedDict):
    """What is to be sent."""

    param1: str


@agent("conditionalAgent", pure=True)
def send(inputs: Goods) -> str:
    """Tells what is sent."""
    return f"sends {inputs['param1']}"
