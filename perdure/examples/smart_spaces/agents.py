"""The agents of this example: a camera model in place of yours, and what adds up the counts of all stores."""

import hashlib
import math

from perdure import AgentContext, agent
from perdure.errors import FinalError

BITS = 1024
"""Places of a sketch. It notes one of them for each visitor, so it counts visitors and names none."""

FRAMES = {
    1: [{"people": ["ada", "bob"], "milk": 4}, {"people": ["ada"], "milk": 0}, {"people": [], "milk": 0}],
    2: [{"people": ["cyd"], "bread": 2}, {"people": ["cyd", "dan"], "bread": 2}, {"people": [], "bread": 1}],
    3: [{"people": ["eve"], "tea": 0}, {"people": ["bob"], "tea": 3}, {"people": ["ada"], "smoke": 1}],
    4: [{"people": ["fay"], "fish": 1}, None, {"people": ["fay"], "fish": 0}],
}
"""What each camera sees in each minute. The harbor has no power in the second one."""


@agent("visionAgent", description="Counts what the cameras of a store see")
class Vision:
    """A real one loads a model here, and reads frames with `context.data`."""

    def __init__(self):
        self.shelves = {"milk", "bread", "tea", "fish"}

    def call(self, inputs: dict) -> dict:
        """Frames and faces stay: people leave as a number, and as places in a sketch."""
        frames = [FRAMES[camera][inputs["minute"]] for camera in inputs["cameras"]]
        if None in frames:
            raise FinalError("no power")
        people = [person for frame in frames for person in frame["people"]]
        empty = {name for frame in frames for name in self.shelves & {*frame} if not frame[name]}
        return {
            "seen": len(people),
            "visitors": sorted({place(person) for person in people}),
            "emptyShelves": sorted(empty),
            "threat": "smoke" if any("smoke" in frame for frame in frames) else "",
        }


def place(person: str) -> int:
    """A real one mixes in a secret of the stores that changes each day."""
    return int.from_bytes(hashlib.sha256(person.encode()).digest()[:8], "big") % BITS


@agent("alarmAgent", description="Raises the alarm in a store, without the hub")
def alarm(inputs: dict, context: AgentContext) -> dict:
    """A real one sends `context.idempotency_key` along, so that a repeated attempt raises it once."""
    context.log(f"{inputs['store']}: {inputs['threat']}")
    return {"raised": True}


@agent("sketchMergeAgent", pure=True, description="Adds what stores have counted to the total")
def merge(inputs: dict, params: dict) -> dict:
    """Sums add up, unions and sketches are joined, and `missing` names what is not in them."""
    total, minute = dict(inputs["total"] or {"missing": []}), inputs["minute"]
    for part in inputs["parts"]:
        for name in params["sum"]:
            total[name] = total.get(name, 0) + part[name]
        for name in params["union"] + params["distinct"]:
            total[name] = sorted({*total.get(name, []), *part[name]})
    missing = [{"store": row["id"], "minute": minute} for row in inputs["missing"]]
    total["missing"] = total["missing"] + missing
    counts = {name: count(total[name]) for name in params["distinct"]}
    return {"total": total, "shown": {**total, **counts}}


def count(places: list) -> int:
    """How many visitors a sketch has seen, by the share of its places that are still free."""
    taken = min(len(places), BITS - 1)
    return round(-BITS * math.log1p(-taken / BITS))
