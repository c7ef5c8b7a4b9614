"""A filter that kills the worker after an agent's work and before the report of it, once for each key.

It wraps every agent with an effect, shipped or not: `perdure worker --filters` with this
file. A node takes part with `filterParams: {chaosMarks: FOLDER, chaosShare: 1}`.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

from perdure.agents.filters import AgentFilter, FilteredCall, Next
from perdure.graph.values import Value

AGENTS = (
    "effectAgent",
    "syncAgent",
    "flakyAgent",
    "fileWriteAgent",
    "fetchAgent",
    "openAIAgent",
    "stringEmbeddingsAgent",
)


async def die_after(call: FilteredCall, next: Next) -> Value:
    """Dies when this key is done for the first time, and its place is in the `chaosShare` of all."""
    result = await next(call)
    filter_params = call.context.filter_params
    if isinstance(filter_params, dict) and "chaosMarks" in filter_params:
        mark = Path(filter_params["chaosMarks"]) / call.context.idempotency_key
        place = f"{call.params.get('run')}/{call.context.path.partition('#')[0]}"
        if Random(place).random() < float(filter_params.get("chaosShare", 1)) and not mark.exists():
            mark.touch()
            os._exit(9)
    return result


filters = [AgentFilter("dieAfter", die_after, agents=AGENTS)]
