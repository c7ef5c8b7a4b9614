"""What an engine's outcome has that GraphAI's answer has not, and the other way round."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from tests.support.recorded import FREE_TEXTS, Outcome, differences

V8_TEXT = re.compile(
    r"Cannot (read|set|convert|create|use|destructure|mix)|Invalid (array|count|string) "
    r"|Unexpected (token|end|non-whitespace|number|string)|Expected (property|',|double)"
    r"|is not (a function|iterable|defined|a constructor|an object|valid JSON)|in JSON at"
    r"|must have a callable|Spread syntax|control character|Unterminated|Reduce of empty"
    r"|object null is not|Bad escaped|cannot be converted"
)
"""What JavaScript itself says: that there is an error is compared, not its words."""


def compare(case: dict[str, Any], answer: dict[str, Any], outcome: Outcome) -> list[str]:
    """Every difference; none where GraphAI crashes or hangs and the engine ends."""
    if outcome.status.startswith("RAISED"):
        return [f"{outcome.status}: {outcome.thrown}"]
    if answer["status"] in ("crash", "hang"):
        endless = answer.get("blocked", False)  # the graph itself asks for it
        return ["it never ends"] if outcome.status == "hang" and not endless else []
    recorded = {**case, **answer}
    if V8_TEXT.search(str(answer.get("thrown"))):
        recorded["thrownType"] = FREE_TEXTS[0]
    want = answer["atEnd"] if answer["status"] == "thrown" else answer["all"]
    different = differences(
        recorded,
        replace(
            outcome,
            all=_aligned(outcome.all, want),
            results=_aligned(outcome.results, answer.get("results")),
        ),
    )
    for node, message in answer["errors"].items():
        got = outcome.errors.get(node, message)
        if got != message and not V8_TEXT.search(message):
            different.append(f"error of {node} {got!r}, recorded {message!r}")
    order = started(answer)
    if order is not None and outcome.order != order:
        different.append(f"order {outcome.order}, recorded {order}")
    return different


def started(answer: dict[str, Any]) -> list[str] | None:
    """The nodes in the order in which GraphAI started them, if the answer says."""
    if "log" not in answer:
        return answer.get("order")
    return [entry["nodeId"] for entry in answer["log"] if entry["state"] == "executing"]


def _aligned(got: Any, want: Any) -> Any:
    """`got` with JavaScript's own words where `want` has them, for errors that became results."""
    if isinstance(got, str) and isinstance(want, str) and V8_TEXT.search(want):
        return want
    if isinstance(got, list) and isinstance(want, list) and len(got) == len(want):
        return [_aligned(*pair) for pair in zip(got, want, strict=True)]
    if isinstance(got, dict) and isinstance(want, dict):
        return {key: _aligned(item, want.get(key)) for key, item in got.items()}
    return got
