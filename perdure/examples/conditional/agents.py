"""The agent that runs only when the decision says so."""

from dataclasses import dataclass

from perdure import agent


@dataclass
class Goods:
    """What is to be sent."""

    param1: str


@agent("conditionalAgent", pure=True)
def send(inputs: Goods) -> str:
    """Says what is sent."""
    return f"sends {inputs.param1}"
