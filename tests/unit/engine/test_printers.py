"""Predictions of every task as lines for people and as rows of CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import colour_bundle
from painter import painter_bundle
from spotter import scene, spotter_bundle

import photovision as pv

BUNDLES = {"classify": colour_bundle, "detect": spotter_bundle, "segment": painter_bundle}
RED = np.full((24, 32, 3), (250, 5, 5), np.uint8)


def printed(model: Any, image: np.ndarray) -> tuple[list[tuple[str, str]], list[dict[str, str]]]:
    """The text and the rows, by column, of the prediction for one image."""
    printer = model.bundle.row.part("print")(model)
    (result,) = model.results([image])
    rows = printer.rows(result.value, result.size)
    return printer.text(result.value), [dict(zip(printer.columns, row, strict=True)) for row in rows]


@pytest.mark.parametrize("task", BUNDLES)
def test_every_task_prints_text_and_cells_for_its_columns(task: str, tmp_path: Path) -> None:
    text, rows = printed(pv.load(BUNDLES[task](tmp_path / "model")), RED)
    assert all(name for name, _ in text)
    assert all(isinstance(cell, str) for row in rows for cell in row.values())


def test_classes_are_as_many_as_are_asked_for(tmp_path: Path) -> None:
    model = pv.load(colour_bundle(tmp_path / "model"))
    text, (row,) = printed(model.with_options(top=2), RED)
    assert text[0][0] == row["label"] == "red"
    assert len(text) == 2
    assert text[1][0] == row["label_2"]
    assert float(row["prob"]) > float(row["prob_2"])
    assert "label_3" not in row


def test_boxes_are_counted_in_text_and_listed_in_rows(tmp_path: Path) -> None:
    model = pv.load(spotter_bundle(tmp_path / "model"))
    text, rows = printed(model, scene((128, 128), [("red", (16, 16, 32, 32)), ("red", (64, 64, 80, 80))]))
    assert text == [("2 red", "")]
    assert [(row["label"], row["height"], row["width"]) for row in rows] == [("red", "128", "128")] * 2
    assert {tuple(float(row[side]) for side in ("x1", "y1", "x2", "y2")) for row in rows} == {
        (16, 16, 32, 32),
        (64, 64, 80, 80),
    }
    assert printed(model, np.zeros((64, 64, 3), np.uint8)) == ([("nothing", "")], [])


def test_areas_are_shares_of_the_image(tmp_path: Path) -> None:
    model = pv.load(painter_bundle(tmp_path / "model"))
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32, 0] = 255
    ((areas, _),), rows = printed(model, image)
    assert sum(float(row["area"]) for row in rows) == pytest.approx(1)
    assert all(row["label"] in areas for row in rows)
