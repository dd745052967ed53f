"""Drawings are well-formed, escaped, titled, and draw what they are given."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from photovision.core import drawing
from photovision.core.drawing import Bar
from photovision.core.errors import UsageError

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script> & \"quotes'"


def read(text: str) -> ElementTree.Element:
    root = ElementTree.fromstring(text)
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text
    return root


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_bars_are_as_long_as_their_values_with_whiskers_where_known() -> None:
    root = read(drawing.bars({"a": [Bar(0.5, 0.4, 0.6)], "b": [Bar(1.0)]}, "Accuracy"))
    half, whole = (float(r.get("width", 0)) for r in root.iter(f"{SVG}rect"))
    assert whole == pytest.approx(2 * half)
    assert "50.0%" in texts(root)
    whiskers = [line for line in root.iter(f"{SVG}line") if line.get("style") == "stroke:currentColor"]
    assert len(whiskers) == 3  # one interval: its length and two ends


def test_bars_of_counts() -> None:
    root = read(drawing.bars({"cats": [Bar(12)], "dogs": [Bar(3)]}, "Pictures", top=12, form=lambda n: f"{n:.0f}"))
    assert {"cats", "12", "dogs", "3"} <= set(texts(root))
    with pytest.raises(UsageError):
        drawing.bars({}, "Pictures", top=0)


def test_reliability_diagram_puts_certain_and_right_at_the_top() -> None:
    one = np.array([1.0])
    root = read(drawing.reliability_diagram(one, one, one * 0.8, one, np.array([9]), "Calibration"))
    over = read(drawing.reliability_diagram(one, one * 0, one * 0, one * 0.2, np.array([9]), "Calibration"))
    high, low = (float(next(r.iter(f"{SVG}circle")).get("cy", 0)) for r in (root, over))
    assert high < low


def test_learning_curve_draws_a_panel_for_each_known_figure() -> None:
    points = [{"epoch": i, "seconds": 2.0 * i, "loss": 3.0 / i, "val": 0.1 * i} for i in range(1, 6)]
    both = read(drawing.learning_curve(points, "Curve"))
    assert len(list(both.iter(f"{SVG}polyline"))) == 2
    assert "10 seconds" in texts(both)
    only = read(drawing.learning_curve([{"epoch": 1, "val": 0.5}, {"epoch": 2, "val": 0.5}], "Curve"))
    assert len(list(only.iter(f"{SVG}polyline"))) == 1
    assert "2 epoch" in texts(only)
    assert not list(read(drawing.learning_curve([], "Curve")).iter(f"{SVG}polyline"))


def test_heatmap_writes_counts_and_survives_an_empty_class() -> None:
    matrix = np.array([[5, 2, 0], [0, 7, 0], [0, 0, 0]])
    root = read(drawing.heatmap(matrix, ("a", "b", "never"), "Confusion"))
    assert {"5", "2", "7"} <= set(texts(root))
    with pytest.raises(UsageError):
        drawing.heatmap(np.zeros((31, 31), int), [str(i) for i in range(31)], "Confusion")


def test_hostile_names_are_escaped_everywhere() -> None:
    drawings = [
        drawing.bars({HOSTILE: [Bar(0.5)]}, HOSTILE, series=(HOSTILE, "b")),
        drawing.heatmap(np.ones((1, 1), int), (HOSTILE,), HOSTILE),
        drawing.learning_curve([], HOSTILE),
        drawing.reliability_diagram(*[np.array([0.5])] * 4, np.array([1]), HOSTILE),
    ]
    for text in drawings:
        assert "<script" not in text
        title = read(text).find(f"{SVG}title")
        assert title is not None
        assert title.text == HOSTILE


def test_axes_have_round_numbers_and_begin_where_the_figures_do() -> None:
    root = read(drawing.bars({"a": [Bar(0.5, 0.4, 0.6)]}, "Accuracy"))
    assert {"0%", "20%", "40%", "60%", "80%", "100%"} <= set(texts(root))
    high = np.array([0.93, 0.97])
    root = read(drawing.reliability_diagram(high, high, high - 0.02, high + 0.02, np.array([9, 9]), "Calibration"))
    assert {"90%", "100%"} <= set(texts(root))
    assert "50%" not in texts(root)
