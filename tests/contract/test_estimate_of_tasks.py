"""The verb estimate, of models that were trained just now: an answer without labels, or a sentence why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from doors import command, same
from PIL import Image
from tiny import TASKS, Task

import photovision as pv

CAN = ("classify", "detect", "embed", "segment")


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
def test_a_trained_model_estimates_its_score_on_pictures_without_labels(task: Task, tmp_path: Path) -> None:
    pv.train(task.data(tmp_path / "data", 260, 8), tmp_path / "model", **{**task.training, "minutes": 0.5})
    for number in range(20):
        (tmp_path / "place").mkdir(exist_ok=True)
        Image.fromarray(task.picture(7000 + number)).save(tmp_path / "place" / f"{number:02d}.png")
    told = command("estimate", tmp_path / "model", tmp_path / "place", "--json")
    if task.name not in CAN:
        assert "evaluate" in told.reason
        return
    assert told.ok, told.reason
    name, metric = next(iter(told.value["metrics"].items()))
    assert name == "expected_score"
    assert 0 <= metric["low"] <= metric["value"] <= metric["high"] <= 1
    assert metric["n"] == 20
    assert len(told.value["least_expected"]) == 20
    assert same(pv.estimate(tmp_path / "model", tmp_path / "place").to_json()["metrics"], told.value["metrics"])
