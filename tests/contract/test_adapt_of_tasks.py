"""The verb adapt, of models that were trained just now: what it changes gains at the place, and never costs much."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from doors import command
from PIL import Image
from tiny import TASKS, Task

import photovision as pv
from photovision.core.image import open_sample, to_array
from photovision.data.dataset import Dataset
from photovision.engine.read import read_for

REGIONS = pytest.mark.parametrize("name", ["detect", "segment"])


def _there(dataset: Dataset) -> Dataset:
    """The same images at a place with little light."""
    seen = (to_array(open_sample(sample)) for sample in dataset.samples)
    dark = ((0.35 * image + 4).astype(np.uint8) for image in seen)
    samples = tuple(replace(sample, image=image) for sample, image in zip(dataset.samples, dark, strict=True))
    return replace(dataset, samples=samples)


def _pictures(dataset: Dataset, folder: Path) -> Path:
    folder.mkdir()
    for number, sample in enumerate(dataset.samples):
        Image.fromarray(to_array(open_sample(sample))).save(folder / f"{number:03d}.png")
    return folder


@pytest.mark.slow
@REGIONS
def test_what_a_place_does_to_the_pictures_is_undone_or_left_alone(name: str, tmp_path: Path) -> None:
    task: Task = TASKS[name]
    labelled = task.data(tmp_path / "data", 240, 8)
    model = pv.train(labelled, tmp_path / "model", **{**task.training, "epochs": 12, "minutes": 1})
    new, rest = (_there(read_for(task.data(tmp_path / f"{seed}", 60, seed), name)) for seed in (21, 22))
    place = _pictures(new, tmp_path / "place")
    told = command("adapt", tmp_path / "model", place, "--labelled", labelled, "-o", tmp_path / "here", "--json")
    evaluate = model.bundle.row.part("evaluate")
    before = float(evaluate(model, rest).score().mean())
    if not told.ok:
        assert "nothing is gained" in told.reason
        assert not (tmp_path / "here").exists()
        return
    adapted = pv.load(tmp_path / "here")
    assert float(evaluate(adapted, rest).score().mean()) > before - 0.005
    assert [step["name"] for step in told.value["steps"] if step["taken"]] == adapted.info["adapted"]["steps"]
    usual = _pictures(read_for(task.data(tmp_path / "usual", 60, 23), name), tmp_path / "as")
    assert not command("adapt", tmp_path / "model", usual, "-o", tmp_path / "no", "--json").ok
