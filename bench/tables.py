"""Results as tables: for a terminal, and as Markdown. They take a comparison as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Compared = Mapping[str, Any]
Row = Sequence[str]

CPU = ("worker CPU", "server CPU")


def text(compared: Compared) -> str:
    """For a terminal."""
    lines = [f"{compared['name']}: {headline(compared)}"]
    for table in (sides(compared), claims(compared), curves(compared)):
        if len(table) > 1:
            lines += ["", *_aligned(table)]
    lines += [f"  {note}" for note in compared["notes"]]
    return "\n".join(lines) + "\n"


def markdown(compared: Compared) -> str:
    """For a document."""
    lines = [headline(compared) + "."]
    for table in (sides(compared), claims(compared), curves(compared)):
        if len(table) > 1:
            lines += ["", *_marked_down(table)]
    if compared["notes"]:
        lines += ["", *(f"- {note}" for note in compared["notes"])]
    return "\n".join(lines) + "\n"


def summary(comparisons: Mapping[str, Compared]) -> str:
    """The numbers of all comparisons for which a bound was set, in Markdown."""
    rows: list[Row] = [("", "", "value", "pairs", "wanted", "")]
    for compared in comparisons.values():
        _, *bounded = claims({"claims": [each for each in compared["claims"] if each["bound"] is not None]})
        rows += [(compared["title"], *row) for row in bounded]
    return "\n".join(_marked_down(rows)) + "\n"


def headline(compared: Compared) -> str:
    """What was measured, how often, and how busy the machine was."""
    before, after = compared["load"]
    size = f"{compared['size']:,} {compared['unit']}{'s' if compared['size'] != 1 else ''}"
    return (
        f"{compared['title']}: {size}, calls of each side: {compared['pairs']}, "
        f"load {before:.1f} before and {after:.1f} after"
    )


def sides(compared: Compared) -> list[Row]:
    """A row for each side; processor time in milliseconds for each unit of work."""
    unit, size = compared["unit"], compared["size"]
    rows: list[Row] = []
    for each in compared["series"]:
        medians = each["medians"]
        seconds = medians.get("seconds")
        if each["error"] is not None or seconds is None:
            rows.append((each["name"], f"not measured: {each['error']}", *[""] * 7))
            continue
        taken = each["taken"]["seconds"]
        rows.append(
            (
                each["name"],
                _seconds(seconds),
                f"{_seconds(min(taken))}-{_seconds(max(taken))}",
                number(size / seconds),
                *(_each(medians.get(what), size) for what in CPU),
                number(medians["history bytes"]) if "history bytes" in medians else "",
                each["durability"],
                each["versions"],
            )
        )
    head = ("side", "median", "min-max", f"{unit}s/s", *(f"{what}, ms/{unit}" for what in CPU))
    return _without_empty([(*head, "history, bytes", "durability", "versions"), *rows])


def claims(compared: Compared) -> list[Row]:
    """A row for each number that the comparison is about."""
    rows: list[Row] = [("", "value", "pairs", "wanted", "")]
    for each in compared["claims"]:
        bound = ""
        if each["bound"] is not None:
            bound = f"at {'most' if each['at_most'] else 'least'} {number(each['bound'])}"
        met = {None: "", True: "met", False: "not met"}[each["met"]]
        spread = f"{number(each['low'])}-{number(each['high'])}"
        rows.append((each["what"], number(each["value"]), spread, bound, met))
    return _without_empty(rows)


def curves(compared: Compared) -> list[Row]:
    """A row for each curve: its values by x, and its slope."""
    drawable = [each for each in compared["curves"] if each["points"]]
    xs = sorted({x for each in drawable for x, _ in each["points"]})
    rows: list[Row] = [("", *(number(x) for x in xs), "slope")]
    for each in drawable:
        values = dict(map(tuple, each["points"]))
        shows_slope = "grow" in compared["name"] and each["slope"] is not None  # else a base hides it
        slope = f"{each['slope']:.2f}" if shows_slope else ""
        label = each["y"] if "grow" in compared["name"] else f"{each['name']}, {each['y']}"
        rows.append((label, *(number(values[x]) if x in values else "" for x in xs), slope))
    return rows


def number(value: float) -> str:
    """A number with about three digits that count."""
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.2g}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.3g} ms"


def _each(total: float | None, size: int) -> str:
    return "" if total is None else number(total / size * 1000)


def _without_empty(rows: Sequence[Row]) -> list[Row]:
    """The table without the columns that hold nothing but a heading."""
    kept = [index for index in range(len(rows[0])) if any(row[index] for row in rows[1:])]
    return [tuple(row[index] for index in kept) for row in rows] if kept else [()]


def _marked_down(rows: Sequence[Row]) -> list[str]:
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return [head, f"|{'---|' * len(rows[0])}", *rest]


def _aligned(rows: Sequence[Row]) -> list[str]:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
