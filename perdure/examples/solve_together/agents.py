"""The agents of this example, and a planner that takes criticism."""

from perdure import agent
from perdure.agents.distributed.agents import critic, merge, split

__all__ = ["critic", "merge", "split"]


@agent("planAgent", pure=True, description="Plans the days of one crew")
def plan(inputs):
    """At first all jobs on one day; after criticism, a new day whenever eight hours are full."""
    crew, days = inputs["part"]["id"], []
    for job in inputs["part"]["items"]:
        full = days and inputs["conflicts"] and days[-1]["hours"] + job["hours"] > 8
        if not days or full:
            days.append({"crew": crew, "day": len(days) + 1, "jobs": [], "hours": 0})
        days[-1]["jobs"].append(job["name"])
        days[-1]["hours"] += job["hours"]
    return {"days": days}
