"""Commands of the scheduler, made by hand."""

from __future__ import annotations

from typing import Any

from perdure.engine.messages import NodeOptions, RunAgent


def call(number: int, position: str, inputs: Any, **params: Any) -> RunAgent:
    return RunAgent(
        call=number,
        node="n",
        path=position,
        key=position,
        agent="model",
        inputs=inputs,
        params=params,
        config={},
        filter_params={},
        retry=0,
        is_result=False,
        version=0.5,
        verbose=False,
        options=NodeOptions(),
    )
