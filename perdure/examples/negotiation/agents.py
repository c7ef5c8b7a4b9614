"""The agents of this example, and a party that concedes step by step where a model would answer."""

import json

from perdure import agent
from perdure.agents.distributed.agents import bid, negotiate

__all__ = ["bid", "negotiate"]


@agent("partyAgent", pure=True, description="What a party says in a round")
def party(inputs):
    """From its first offer to its last in four rounds."""
    who, done = inputs["who"], min(len(inputs["transcript"]), 3)
    offer = who["first"] + (who["last"] - who["first"]) * done / 3
    return {"text": "My offer: " + json.dumps({"offer": offer, "why": f"round {done + 1}"})}
