"""The agents of a host that says where it is, and of the worker that asks which hosts are there."""

import os
import time
from typing import Any

from perdure.agents.agent import AgentContext, agent
from perdure.agents.distributed.agents import members

__all__ = ["members", "place"]


@agent("placeAgent")
def place(inputs: dict[str, Any], context: AgentContext) -> dict[str, Any]:
    """The host of the worker, and the number of the network that it is in."""
    time.sleep(0.5)
    return {"host": context.settings.host, "network": os.stat("/proc/self/ns/net").st_ino}
