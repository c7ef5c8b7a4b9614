"""How work grows with its text, as a ratio: a machine under load slows both sides of it."""

import time
from collections.abc import Callable, Sequence
from typing import Any

SMALL = 16_384
FACTOR = 16
MOST = 4 * FACTOR
"""Linear work grows by FACTOR, quadratic work by its square, which is four times as much again."""
FLOOR_S = 0.001
"""Quadratic work on SMALL characters takes longer; below it the ratio would be one of clocks."""
TRIES = 5

Work = Callable[[], Any]


def overgrown(works: Callable[[int], Sequence[Work]], small: int = SMALL) -> list[str]:
    """Which of the works for a size of `small` take over MOST times as long for FACTOR times the size."""
    pairs = zip(works(small), works(FACTOR * small), strict=True)
    ratios = enumerate(_ratio(few, many) for few, many in pairs)
    return [f"{number}: {ratio:.0f} times" for number, ratio in ratios if ratio > MOST]


def _ratio(few: Work, many: Work) -> float:
    """The best of each side; another try only where the first ones look bad."""
    least, most = _seconds(few), _seconds(many)
    for _ in range(TRIES):
        if most <= MOST * max(least, FLOOR_S):
            break
        most = min(most, _seconds(many))
    return most / max(least, FLOOR_S)


def _seconds(work: Work) -> float:
    """Processor time of this thread alone."""
    start = time.thread_time()
    work()
    return time.thread_time() - start
