"""python -m bench.plots RESULTS FOLDER: a plot of each comparison, as SVG. Needs matplotlib."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INK = "#2b4c7e"
WIDE = 20
"""Sides that are further apart than this are drawn on a logarithmic axis."""


def main(results: str, folder: str) -> None:
    import matplotlib  # noqa: PLC0415 -- belongs to the benchmarks' own environment

    matplotlib.use("svg")
    # Text stays text, and the same results give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "perdure", "font.size": 9})
    Path(folder).mkdir(exist_ok=True)
    for name, compared in json.loads(Path(results).read_text())["comparisons"].items():
        drawn = _curves(compared) or _bars(compared)
        if drawn is not None:
            drawn.savefig(Path(folder) / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")


def drawable(compared: Mapping[str, Any]) -> bool:
    """Whether there is anything to draw."""
    curves = any(each["points"] for each in compared["curves"])
    return curves or any(each["taken"].get("seconds") for each in compared["series"])


def _bars(compared: Mapping[str, Any]) -> Any:
    """The median of each side as a bar, or as a line where the axis is logarithmic; each call as a dot."""
    import matplotlib.pyplot as plt  # noqa: PLC0415 -- as above

    series = [each for each in compared["series"] if each["taken"].get("seconds")]
    if not series:
        return None
    figure, axes = plt.subplots(figsize=(7, 0.6 + 0.4 * len(series)))
    medians = [each["medians"]["seconds"] for each in series]
    if max(medians) > WIDE * min(medians):
        axes.set_xscale("log")  # on which the length of a bar means nothing
        axes.plot(medians, range(len(series)), "|", color=INK, markersize=14, markeredgewidth=3)
    else:
        axes.barh(range(len(series)), medians, color=INK, alpha=0.6, height=0.6)
    for place, each in enumerate(series):
        taken = each["taken"]["seconds"]
        axes.plot(taken, [place] * len(taken), ".", color="black", markersize=4)
    axes.set_yticks(range(len(series)), [each["name"] for each in series])
    axes.set_ylim(-0.6, len(series) - 0.4)
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    axes.set_title(f"{compared['title']}: {compared['size']:,} {compared['unit']}s", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _curves(compared: Mapping[str, Any]) -> Any:
    """Each curve in a panel of its own, both axes logarithmic except those that start from a base."""
    import matplotlib.pyplot as plt  # noqa: PLC0415 -- as above

    drawable = [each for each in compared["curves"] if each["points"]]
    if not drawable:
        return None
    figure, panels = plt.subplots(1, len(drawable), figsize=(2.7 * len(drawable), 2.5), squeeze=False)
    scale = "log" if compared["name"].startswith("grow") else "linear"
    for axes, each in zip(panels[0], drawable, strict=True):
        axes.plot(*zip(*each["points"], strict=True), "o-", color=INK, markersize=4)
        axes.set_xscale(scale)
        axes.set_yscale(scale)
        axes.set_xlabel(each["x"])
        axes.set_title(
            each["y"] if scale == "log" else f"{each['name']}: {each['y']}", loc="left", fontsize=9
        )
        axes.grid(alpha=0.3)
    figure.tight_layout()
    return figure


if __name__ == "__main__":
    main(*sys.argv[1:])
