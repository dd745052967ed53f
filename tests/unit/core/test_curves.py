"""Lines and points: what is drawn where, and that names cannot break out."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from photovision.core.curves import CurveLine, CurvePoint, lines, points
from photovision.core.errors import UsageError


def places(drawing: str) -> list[list[tuple[float, float]]]:
    found = re.findall(r'<polyline points="([^"]+)"', drawing)
    return [[(float(x), float(y)) for x, y in (pair.split(",") for pair in line.split())] for line in found]


def test_a_higher_value_stands_higher_and_a_later_one_further_right() -> None:
    (line,) = places(lines({"a": CurveLine([0, 1, 2], [0.2, 0.9, 0.5])}, "t", "x", "y"))
    assert line[0][0] < line[1][0] < line[2][0]
    assert line[1][1] < line[2][1] < line[0][1]


def test_lines_share_their_axes() -> None:
    drawing = lines({"a": CurveLine([0, 1], [0.5, 0.5]), "b": CurveLine([0, 2], [0.5, 0.5])}, "t", "x", "y")
    first, second = places(drawing)
    assert first[0] == second[0]
    assert first[1][0] < second[1][0]


def test_a_band_is_drawn_where_there_are_bounds() -> None:
    assert "<polygon" in lines({"a": CurveLine([0, 1], [0.5, 0.6], [0.4, 0.5], [0.6, 0.7])}, "t", "x", "y")
    assert "<polygon" not in lines({"a": CurveLine([0, 1], [0.5, 0.6])}, "t", "x", "y")


def test_names_from_strangers_stay_text() -> None:
    drawings = (
        lines({"<script>&": CurveLine([0], [1])}, "<b>", "<x>", "<y>"),
        points([CurvePoint(0.5, 0.5, "<script>&", 0.4, 0.6, 0.4, 0.6)], "<b>", "<x>", "<y>"),
    )
    for drawing in drawings:
        assert "<script" not in drawing
        ElementTree.fromstring(drawing)


def test_many_lines_fold_their_legend() -> None:
    few = lines({"a": CurveLine([0], [1])}, "t", "x", "y")
    many = lines({f"a rather long name {i}": CurveLine([0], [1]) for i in range(12)}, "t", "x", "y")
    height = [int(re.search(r'viewBox="0 0 \d+ (\d+)"', d).group(1)) for d in (few, many)]  # type: ignore[union-attr]
    assert height[1] > height[0]


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(UsageError, match="at least one"):
        lines({}, "t", "x", "y")
    with pytest.raises(UsageError, match="as many y as x"):
        lines({"a": CurveLine([0, 1], [1])}, "t", "x", "y")
    with pytest.raises(UsageError, match="at least one point"):
        points([], "t", "x", "y")


def test_the_labels_of_an_axis_are_round_and_do_not_touch() -> None:
    drawing = lines(
        {"a": CurveLine([0.037, 0.96], [0.342, 0.671])}, "t", "x", "y", y_range=None, x_form="{:.3f}".format
    )
    texts = [element.text for element in ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")]
    assert {"30%", "70%", "0.200"} <= set(texts)
    assert "34.2%" not in texts
