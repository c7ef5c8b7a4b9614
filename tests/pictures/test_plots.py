"""Plots: what is drawn of known numbers, and that names are text."""

from __future__ import annotations

from xml.etree import ElementTree

from perdure.pictures.plots import Series, bars_plot, lines_plot

EVIL = '<script>alert("x")</script>'


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<body>{svg}</body>")


def named(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return root.findall(f".//{{http://www.w3.org/2000/svg}}{name}")


def test_lines_share_a_scale() -> None:
    band = Series("a", [(1, 0.5), (2, 1.0)], low=[(1, 0.25), (2, 0.5)], high=[(1, 1.0), (2, 1.0)])
    root = parsed(lines_plot(EVIL, "runs", "share", [band, Series(EVIL, [(0, 0), (4, 1)])]))
    assert [line.get("points") for line in named(root, "polyline")] == [
        "208.0,148.0 368.0,48.0",
        "48.0,248.0 688.0,48.0",
    ]
    assert len(named(root, "polygon")) == 1
    assert root.findall(".//script") == []
    assert lines_plot("none", "x", "y", [Series("a", [])]) == ""


def test_bars_are_stacked() -> None:
    root = parsed(bars_plot("work", ("busy", EVIL), [("a", (3, 1)), (EVIL, (2, 0))]))
    drawn = [(bar.get("x"), bar.get("y"), bar.get("width")) for bar in named(root, "rect")]
    assert drawn == [
        ("180.0", "2", "480.0"),
        ("660.0", "2", "160.0"),
        ("180.0", "26", "320.0"),
        ("500.0", "26", "0.0"),
    ]
    assert root.findall(".//script") == []
    many = bars_plot("work", ("busy",), [(str(number), (1,)) for number in range(41)])
    assert len(named(parsed(many), "rect")) == 40
    assert bars_plot("none", ("busy",), [("a", (0,))]) == ""
