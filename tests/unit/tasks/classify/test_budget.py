"""What a budget allows: what is planned, what is left out, and what is named with minutes that would do."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from photovision.core.progress import Progress
from photovision.data.read import dataset_from_arrays
from photovision.engine.closing import closing_seconds
from photovision.engine.splits import TrainingSplits, gather
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.engine.workdir import WorkDir
from photovision.learn.feed import FeatureFeed
from photovision.learn.plan import Plan
from photovision.tasks.classify import study as studies
from photovision.tasks.classify.study import EpochLimits, Study, budgeted

LIMITS = EpochLimits(most=30, least=5)


@pytest.fixture(scope="module")
def splits() -> TrainingSplits:
    images = list(np.random.default_rng(0).integers(0, 256, (60, 24, 24, 3), dtype=np.uint8))
    return gather(dataset_from_arrays(images, ["odd" if number % 2 else "even" for number in range(60)]), seed=0)


def training(splits: TrainingSplits, folder: Path, minutes: float, passed: float, heard: list[Progress]) -> TrainingRun:
    work = WorkDir(folder / "model", {}, Accelerator())
    config = TrainConfig(minutes=minutes)
    return TrainingRun(config, splits, work, heard.append, started=time.monotonic() - passed, closing=10.0)


def study(splits: TrainingSplits) -> Study:
    rows = np.zeros((len(splits.train), 8), np.float32)
    feed = FeatureFeed([rows], splits.train.label_matrix)
    return Study("whole network", splits.train, nn.Linear(8, 2), lambda value: value, feed, feed, (8, 1, 1))


def test_as_many_epochs_are_planned_as_fit_at_the_measured_speed(
    splits: TrainingSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "quickest", lambda run, study, base: ("f32", 1.0))
    run, one = training(splits, tmp_path, 2, 20, []), study(splits)
    plan = budgeted(run, one, Plan(1, batch_size=4), LIMITS)
    steps = -(-len(splits.train) // 4)
    assert plan is not None
    assert plan.epochs == int((120 - 20 - 10) / (1.07 * steps))
    assert run.not_tried == {}


def test_what_does_not_fit_is_named_with_minutes_in_which_it_is_tried(
    splits: TrainingSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "quickest", lambda run, study, base: ("f32", 3.0))
    heard: list[Progress] = []
    run, one = training(splits, tmp_path / "short", 1, 20, heard), study(splits)
    assert budgeted(run, one, Plan(1, batch_size=4), LIMITS) is None
    minutes = run.not_tried["whole network"]
    assert heard[-1].line == f"not tried for lack of time; {minutes:g} min would do"
    longer = training(splits, tmp_path / "longer", minutes, 20, [])
    assert budgeted(longer, one, Plan(1, batch_size=4), LIMITS) is not None


def test_no_step_is_measured_where_none_can_fit(
    splits: TrainingSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "quickest", lambda run, study, base: pytest.fail("a step was measured"))
    run = training(splits, tmp_path, 1, 20, [])
    assert budgeted(run, study(splits), Plan(1, batch_size=4), replace(LIMITS, picture=10.0)) is None
    assert run.not_tried["whole network"] > 1


def test_a_run_that_is_taken_up_again_names_the_same(splits: TrainingSplits, tmp_path: Path) -> None:
    first, again = (training(splits, tmp_path, 1, 20, []) for _ in range(2))
    for run in (first, again):
        assert budgeted(run, study(splits), Plan(1, batch_size=4), replace(LIMITS, picture=10.0)) is None
    assert first.not_tried == again.not_tried != {}


def test_a_hopeless_arithmetic_is_measured_once(splits: TrainingSplits, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    one, plan = study(splits), Plan(1, batch_size=4)
    one = replace(one, part=nn.Sequential(nn.Flatten(), nn.Linear(8, 2)))
    assert studies.step_seconds(one, plan, torch.device("cpu"), limit=3.0, hopeless=0.5) == 1
    assert next(moments) == 2, "one pass has a beginning and an end"
    assert studies.step_seconds(one, plan, torch.device("cpu"), limit=3.0) == 1
    assert next(moments) == 9, "three passes reach the limit"


def test_a_short_budget_remembers_fewer_pictures_and_a_long_one_all(
    splits: TrainingSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photovision.engine.training_run._FEW_REMEMBERED", 12)
    short, long = (training(splits, tmp_path / str(minutes), minutes, 0, []) for minutes in (0.5, 5))
    assert len(short.remembered) == 12
    assert short.remembered.fingerprint == training(splits, tmp_path, 0.5, 9, []).remembered.fingerprint
    assert long.remembered is splits.train


def test_more_time_is_kept_for_the_end_where_the_machine_is_slower() -> None:
    assert closing_seconds(14, 20) > closing_seconds(7, 10) > closing_seconds(0, 0) > 5
