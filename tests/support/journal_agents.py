"""An agent that leaves a trace of every call on disk before it works."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any

from perdure import AgentContext, agent


@agent("journalAgent")
async def journal(inputs: dict[str, Any], params: dict[str, Any], context: AgentContext) -> dict[str, Any]:
    """Writes down that it was called, works for `seconds` (1), gives the strings of its inputs and its own.

    Later attempts work for `again` seconds, if that is set.
    """
    entry = {"path": context.path, "key": context.idempotency_key, "time": time.time(), "pid": os.getpid()}
    with open(params["journal"], "a") as file:
        file.write(json.dumps(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())
    seconds = params.get("seconds", 1)
    await asyncio.sleep(seconds if context.attempt == 1 else params.get("again", seconds))
    before = [text for value in inputs.values() for text in value["texts"]]
    return {"texts": [*before, context.path]}
