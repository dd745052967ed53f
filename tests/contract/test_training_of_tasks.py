"""The verb train, for every task: by the command and from Python, to a whole bundle that opens with the same bits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from doors import command, same
from PIL import Image
from tiny import TASKS, Task, arrays

import photovision as pv

TASK = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
FILES = {"bundle.json", "model.onnx", "README.md", "DATASHEET.md", "report.html", "report.json", "report.md"}


@pytest.mark.slow
@TASK
def test_a_training_ends_in_a_whole_bundle_that_opens_with_the_same_bits(task: Task, tmp_path: Path) -> None:
    data, choices = task.data(tmp_path / "data", 60, 8), {**task.training, "minutes": 0.5}
    flags = [part for name, value in choices.items() for part in (f"--{name}", str(value))]
    told = command("train", data, "-o", tmp_path / "one", *flags, "--json")
    assert told.ok, told.reason
    assert task.lead in told.value["metrics"]
    model = pv.train(data, tmp_path / "two", **choices)
    for folder in ("one", "two"):
        assert {file.name for file in (tmp_path / folder).iterdir()} >= FILES
        assert not (tmp_path / f".{folder}.work").exists()
    one, two = (json.loads((tmp_path / name / "report.json").read_text(encoding="utf-8")) for name in ("one", "two"))
    assert one["metrics"].keys() == two["metrics"].keys()
    assert same(one["metrics"][task.lead]["n"], two["metrics"][task.lead]["n"])
    parity = json.loads((tmp_path / "two" / "bundle.json").read_text(encoding="utf-8"))["parity"]
    assert parity["max_abs_prob_difference"] <= parity["tolerance"]
    pictures = [np.asarray(Image.fromarray(task.picture(number))) for number in range(3)]
    opened = pv.load(tmp_path / "two")
    for before, after in zip(model.predict(pictures), opened.predict(pictures), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(arrays(before), arrays(after), strict=True))
    report = pv.evaluate(opened, data, split="all").metrics
    assert f"{task.lead}_leak_free" in report
