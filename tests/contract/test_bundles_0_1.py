"""What version 0.1 wrote: its bundles open and answer as they did, its unfinished trainings finish.

The folders of bundles_0_1 were written by version 0.1 and are never written again; see the README there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from doors import command, http, same, service
from tiny import OLD, SMALLEST, TASKS, Task

import photovision as pv

OLD_TASKS = [task for task in TASKS.values() if (OLD / task.name).is_dir()]
TASK = pytest.mark.parametrize("task", OLD_TASKS, ids=lambda task: task.name)
ROUNDING = 1e-3
"""Kernels of other processors and versions of ONNX Runtime round differently."""


def _answers(task: Task) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads((OLD / task.name / "answers.json").read_text(encoding="utf-8"))
    return answers


@TASK
def test_an_old_bundle_answers_as_it_did(task: Task, tmp_path: Path) -> None:
    folder = OLD / task.name
    files = sorted((folder / "pictures").iterdir())
    told = command(task.command, folder / "model", *files, *["--engine", "onnxruntime", "--precision", "f32", "--json"])
    assert told.ok, told.reason
    named = [{**line, "file": Path(line["file"]).name} for line in told.value]
    assert same(named, _answers(task)["predictions"], ROUNDING)
    with service({task.name: folder / "model"}) as client:
        found = http(client, "/predict", files).value["predictions"]
    named = [{**line, "file": Path(line["file"]).name} for line in found]
    assert same(named, _answers(task)["predictions"], 0.1)  # the service takes the fastest arithmetic, such as bf16


@TASK
def test_an_old_bundle_is_judged_as_it_was(task: Task, tmp_path: Path) -> None:
    model = pv.load(OLD / task.name / "model", engine="onnxruntime", precision="f32")
    found = pv.evaluate(model, task.data(tmp_path / "new", 60, 5)).metrics[task.lead].value
    assert found == pytest.approx(_answers(task)["metrics"][task.lead], abs=0.005)


@TASK
def test_an_old_bundle_says_what_it_is(task: Task) -> None:
    told = command("info", OLD / task.name / "model", "--json")
    assert told.ok, told.reason
    assert told.value["task"] == task.name
    assert told.value["version"] == 1
    assert set(told.value["classes"]) >= {"disc", "square"}


@pytest.mark.parametrize(
    "task",  # the classifier's work holds a checkpoint, the others' the first decisions only
    [pytest.param(task, id=task.name, marks=() if task.name == "classify" else pytest.mark.slow) for task in OLD_TASKS],
)
def test_an_unfinished_training_finishes_or_says_that_it_starts_again(task: Task, tmp_path: Path) -> None:
    shutil.copytree(OLD / task.name / ".model.work", tmp_path / ".model.work")
    kept = {file.name for file in (tmp_path / ".model.work").iterdir()}
    choices = {**task.training, "epochs": 3, "minutes": 0.5}
    pictures = 48
    if task.name == "classify":
        choices, pictures = {**choices, "backbone": SMALLEST}, 24
    told: list[Any] = []
    model = pv.train(task.data(tmp_path / "data", pictures, 3), tmp_path / "model", **choices, listener=told.append)
    assert "arguments.json" in kept
    assert any("unfinished" in f"{one.stage} {one.line}" for one in told), [one.stage for one in told]
    assert not (tmp_path / ".model.work").exists()
    assert model.classes == pv.load(tmp_path / "model").classes
    if task.name == "classify" and any(one.stage == "resuming" for one in told):
        steps = [one.done for one in told if one.stage == "from scratch"]
        assert steps[0] > 1  # the checkpoint is taken up


@TASK
def test_the_unfinished_work_of_another_training_is_not_taken_over(task: Task, tmp_path: Path) -> None:
    shutil.copytree(OLD / task.name / ".model.work", tmp_path / ".model.work")
    told: list[Any] = []

    def listen(progress: Any) -> None:
        told.append(progress)
        if progress.stage == "checking pictures":
            raise RuntimeError("enough is known")

    with pytest.raises(RuntimeError, match="enough is known"):
        pv.train(task.data(tmp_path / "data", 12, 4), tmp_path / "model", **task.training, listener=listen)
    assert not any(one.stage == "resuming" for one in told)
    assert any("unfinished" in one.line and "start" in one.line for one in told)  # it is said, not done in silence
