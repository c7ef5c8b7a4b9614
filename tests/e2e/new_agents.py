"""The agents of a worker after an update: one more."""

from __future__ import annotations

from typing import Any

from perdure import agent


@agent("newAgent")
def new(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"n": inputs["n"]}
