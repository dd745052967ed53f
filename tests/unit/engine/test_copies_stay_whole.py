"""A model that was made smaller, or calibrated elsewhere, keeps its whole card, its data sheet and its record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from painter import painter_bundle
from recorded import recorded
from scenes import make_scene
from spotter import spotter_bundle, squares

import photovision as pv
from photovision.core.regions import Segmentation
from photovision.core.seal import write_sealed
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine.datasheet import datasheet
from photovision.engine.model_card import model_card
from photovision.runtime.training_images import RECALIBRATION, read_training_images


def painted(count: int) -> Dataset:
    names, samples = ("background", "thing"), []
    for number in range(count):
        image, labels = make_scene(seed=number)
        samples.append(
            Sample(f"{number}.png", image, ("thing",), annotations=Segmentation((labels == 1).astype(np.int32), names))
        )
    return Dataset(tuple(samples), names, multilabel=True, annotation_type="masks")


def whole(folder: Path, data: Dataset) -> Path:
    """A bundle with everything that a training leaves."""
    recorded(folder, data)
    info = json.loads((folder / "bundle.json").read_text())
    report = pv.evaluate(folder, data)
    info["metrics"] = {name: metric.to_json() for name, metric in report.metrics.items()}
    (folder / "bundle.json").write_text(json.dumps(info))
    (folder / "report.json").write_text(json.dumps({**report.to_json(), "kind": "train"}))
    (folder / "README.md").write_text(model_card(info, {**report.to_json(), "kind": "train"}))
    write_sealed(folder / "DATASHEET.md", datasheet(info))
    return folder


def headings(folder: Path) -> list[str]:
    return [line for line in (folder / "README.md").read_text().splitlines() if line.startswith("## ")]


@pytest.mark.parametrize(
    ("make", "data", "lead"), [(spotter_bundle, squares(80), "map"), (painter_bundle, painted(80), "miou")]
)
def test_a_smaller_detector_or_segmenter_keeps_its_card(
    make: Callable[[Path], Path], data: Dataset, lead: str, tmp_path: Path
) -> None:
    model, small = whole(make(tmp_path / "model"), data), tmp_path / "small"
    report = pv.optimize(model, data, small, ["bf16"], max_drop=1.0)
    assert headings(small) == headings(model)
    card = (small / "README.md").read_text()
    assert card.startswith("---\n")
    assert "Made smaller after the training" in card
    assert {"map": "Change of mAP", "miou": "Change of mean IoU"}[lead] in card
    assert "Not recorded: owner" in card  # the owner's part is still asked for
    assert (small / "DATASHEET.md").read_text() == (model / "DATASHEET.md").read_text()
    before, after = (read_training_images(folder) for folder in (model, small))
    assert before is not None
    assert after is not None
    assert np.array_equal(before.role, after.role)
    info = pv.load(small).info
    assert info["metrics"][lead] == report.to_json()["evaluation"][lead]
    assert info["optimized"]["methods"] == ["bf16"]
    held = pv.evaluate(small, data)
    assert held.metrics[lead].n == info["metrics"][lead]["n"]


def test_pictures_that_an_optimisation_learned_from_do_not_judge_it(tmp_path: Path) -> None:
    model, more = whole(spotter_bundle(tmp_path / "model"), squares(80)), squares(160).subset(range(80, 160))
    pv.optimize(model, more, tmp_path / "small", ["bf16"], max_drop=1.0)
    assert "were left out" not in pv.evaluate(model, more).summary[-1]
    assert "that the model learned from were left out" in pv.evaluate(tmp_path / "small", more).summary[-1]


def test_a_calibrated_detector_keeps_its_card_and_remembers_what_taught_it(tmp_path: Path) -> None:
    model, more = whole(spotter_bundle(tmp_path / "model"), squares(80)), squares(140).subset(range(80, 140))
    report = pv.calibrate(model, more, tmp_path / "here")
    assert headings(tmp_path / "here") == headings(model)
    card = (tmp_path / "here" / "README.md").read_text()
    assert "calibration elsewhere" in card
    assert "average precision" in card  # the tables of the training are still there
    record = read_training_images(tmp_path / "here")
    assert record is not None
    assert (record.role == RECALIBRATION).sum() == report.provenance["data"]["pictures"] == 60
    told = pv.evaluate(tmp_path / "here", more).summary[-1]
    assert "confidence was learned from 60 of them" in told
    assert {file.name for file in model.iterdir()} == {file.name for file in (tmp_path / "here").iterdir()} - {
        ".photovision.json"
    }
