"""The route that compares two runs: ``/api/v1/runs/{id}/diff/{other}``."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import asdict
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.engine.granting.prices import Prices
from perdure.history.model import RunModel
from perdure.history.rerun import compared_calls
from perdure.lineage.compare import DIFFERENCE_TEXTS, call_differences
from perdure.web.answers import as_json
from perdure.web.hub import Hub

MAX_SHOWN_DIFFERENCE_COUNT: Final = 1_000
"""Calls of one answer that differ: the first, in the order of the second run."""


async def diff(request: Request) -> Response:
    """Compares a run with another, call by call: those that differ, and how many do not."""
    hub = cast(Hub, request.app.state.hub)
    first, second = [await hub.model(request.path_params[name]) for name in ("id", "other")]
    return as_json(await asyncio.to_thread(_compared, first, second, request.app.state.prices))


def _compared(first: RunModel, second: RunModel, prices: Prices) -> dict[str, Any]:
    differences = call_differences(compared_calls(first, prices), compared_calls(second, prices))
    different = [difference for difference in differences if difference.kind != "equal"]
    counts = Counter(difference.kind for difference in differences)
    return {
        "first": first.id,
        "second": second.id,
        "counts": counts,
        "reused": sum(difference.is_reused for difference in differences if difference.kind == "equal"),
        "calls": [
            {**asdict(difference), "text": DIFFERENCE_TEXTS[difference.kind]}
            for difference in different[:MAX_SHOWN_DIFFERENCE_COUNT]
        ],
        "left_out": max(len(different) - MAX_SHOWN_DIFFERENCE_COUNT, 0),
        "seconds": _sums([difference.seconds for difference in differences]),
        "tokens": _sums([difference.tokens for difference in differences]),
        "money": _sums([difference.money for difference in differences]),
    }


def _sums(pairs: list[tuple[float, float]]) -> list[float]:
    return [sum(pair[side] for pair in pairs) for side in (0, 1)]


DIFF_ROUTES: Final = [Route("/runs/{id}/diff/{other}", diff, methods=["GET"])]
