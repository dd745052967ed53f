"""What a training of anomaly detection asks of the data before it costs time: good images, enough for the promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photovision.core.errors import DataError, UsageError
from photovision.core.task import task
from photovision.core.types import Sample
from photovision.engine.read import read_for
from photovision.engine.splits import gather
from photovision.engine.train_config import TrainConfig
from photovision.tasks.anomaly.learn import _session, prepare
from tests.unit.tasks.anomaly.surfaces import surface


def _write(folder: Path, count: int, first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        Image.fromarray(surface(number)).save(folder / f"{number:03d}.png")
    return folder


def _config(**own: object) -> TrainConfig:
    return TrainConfig(weights="none", size=64, own=own)


@pytest.mark.parametrize("inside", ["", "good", "train/good"])
def test_good_images_alone_are_split(tmp_path: Path, inside: str) -> None:
    _write(tmp_path / "data" / inside, 12)
    dataset = read_for(tmp_path / "data", "anomaly")
    splits = gather(dataset, seed=0, min_classes=task("anomaly").min_classes).splits
    assert len(splits.train) + len(splits.val) + len(splits.test) == 12
    assert len(splits.test) >= 1


def test_a_promise_that_good_images_cannot_carry_is_refused_before_the_work(tmp_path: Path) -> None:
    dataset = read_for(_write(tmp_path / "data", 31), "anomaly")
    with pytest.raises(UsageError, match=r"31 good pictures cannot promise 0\.01 false alarms: that needs at least 99"):
        prepare(dataset, _config(false_alarms=0.01))


def test_test_images_carry_no_promise(tmp_path: Path) -> None:
    _write(tmp_path / "data" / "train" / "good", 18)
    _write(tmp_path / "data" / "test" / "good", 10, 50)
    with pytest.raises(UsageError, match="18 good pictures"):
        prepare(read_for(tmp_path / "data", "anomaly"), _config(false_alarms=0.05))


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, float("nan")])
def test_a_rate_out_of_range_is_refused(tmp_path: Path, rate: float) -> None:
    with pytest.raises(UsageError, match="above 0 and below 1"):
        prepare(read_for(_write(tmp_path / "data", 12), "anomaly"), _config(false_alarms=rate))


def test_three_good_images_are_too_few(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 8 good pictures, got 3"):
        prepare(read_for(_write(tmp_path / "data", 3), "anomaly"), _config())


def test_a_group_that_nobody_has_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"have no 'camera' to group by; known attributes: none"):
        prepare(read_for(_write(tmp_path / "data", 12), "anomaly"), _config(group_by="camera"))


def test_a_good_class_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no class is called 'fine'"):
        prepare(read_for(_write(tmp_path / "data", 12), "anomaly"), _config(good="fine"))


def test_classes_of_which_none_is_called_good_are_refused(tmp_path: Path) -> None:
    for name in ("red", "blue"):
        _write(tmp_path / "data" / name, 9)
    with pytest.raises(DataError, match="none of blue, red is called good"):
        prepare(read_for(tmp_path / "data", "anomaly"), _config())


def test_a_flat_folder_is_read_as_good_images(tmp_path: Path) -> None:
    dataset = read_for(_write(tmp_path / "data", 9), "anomaly")
    assert {sample.target for sample in dataset.samples} == {("good",)}
    assert dataset.annotation_type == "defects"
    assert np.asarray(dataset.labels).tolist() == [0] * 9


def test_stated_sessions_keep_images_together_and_groups_stand_in_for_them() -> None:
    image = Sample("a.png", Path("a.png"), groups={"visit": "3", "group": "part 7"})
    assert _session(image, {}, None) == "part 7"
    assert _session(image, {}, "visit") == "session 3"
    assert _session(image, {"a.png": "shelf"}, "visit") == "session shelf"
    assert _session(image, {"a.png": "none"}, "visit") == "part 7"


def test_a_column_of_sessions_that_nobody_has_is_refused(tmp_path: Path) -> None:
    config = replace(_config(), sessions_by="visit")
    with pytest.raises(UsageError, match="'visit' that capture sessions are to be found by"):
        prepare(read_for(_write(tmp_path / "data", 12), "anomaly"), config)
