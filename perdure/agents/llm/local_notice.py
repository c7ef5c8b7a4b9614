"""The console of a run says once that a model on this machine answers in place of a provider's."""

from __future__ import annotations

from typing import Final

from perdure.agents.agent import AgentContext
from perdure.protocol.console import LOCAL_MODEL_NOTICE

MAX_NOTICED_RUN_COUNT: Final = 1_000
"""Runs that a worker remembers to have said it in: the latest."""

_noticed: dict[str, None] = {}


def notice_local_model(context: AgentContext) -> None:
    """Logs it for the run of this call, unless this process has done so."""
    if context.run in _noticed:
        return
    if len(_noticed) >= MAX_NOTICED_RUN_COUNT:
        del _noticed[next(iter(_noticed))]
    _noticed[context.run] = None
    model = context.settings.local_model
    hint = "set OPENAI_API_KEY, or refuse local models with --no-local or PERDURE_LOCAL_MODEL=off"
    context.log(f"{LOCAL_MODEL_NOTICE}: {model} answers for every model ({hint})")
