"""Held-out images as they might look elsewhere: their truth stays, and what they cost is bounded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faded import faded
from painter import painter_bundle

from photovision.core.regions import Segmentation
from photovision.core.types import Sample
from photovision.data.corruptions import SEVERITIES
from photovision.data.dataset import Dataset
from photovision.engine.elsewhere import CHANGES, MAX_IMAGES, changed, evaluated_elsewhere
from photovision.engine.load import load


def _squares(count: int) -> Dataset:
    samples = []
    for number in range(count):
        truth = np.zeros((32, 32), np.int64)
        truth[8:24, 8:24] = 1
        image = np.array([[40, 40, 220], [230, 20, 20]], np.uint8)[truth]
        image[:4] = number % 256  # hardly one shows the same as another
        samples.append(Sample(str(number), image, annotations=Segmentation(truth, ("background", "thing"))))
    return Dataset(tuple(samples), ("background", "thing"), multilabel=True, annotation_type="masks")


def test_every_change_shows_another_picture_of_the_same_truth() -> None:
    sample = _squares(1).samples[0]
    kinds = [changed(sample, number) for number in range(len(CHANGES) * len(SEVERITIES))]
    pictures = {np.asarray(one.image).tobytes() for one in kinds if one is not None}
    assert len(pictures) == len(CHANGES) * len(SEVERITIES)
    assert np.asarray(sample.image).tobytes() not in pictures
    assert all(one is not None and one.annotations is sample.annotations for one in kinds)
    again = changed(sample, 3)
    assert again is not None
    assert np.array_equal(np.asarray(again.image), np.asarray(kinds[3].image))  # type: ignore[union-attr]


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    assert changed(replace(_squares(1).samples[0], image=tmp_path / "gone.png"), 0) is None


@pytest.mark.parametrize(("count", "expected"), [(3, 3 * len(CHANGES)), (300, MAX_IMAGES)])
def test_each_image_meets_other_changes_up_to_a_number(count: int, expected: int, tmp_path: Path) -> None:
    model = load(painter_bundle(tmp_path / "model", embedding=True))
    found = list(evaluated_elsewhere(model, _squares(count)))
    positions = np.concatenate([part.positions for part in found])
    assert len(positions) == expected
    assert len(np.unique(positions)) == min(count, expected)
    assert {kind for part in found for kind in part.change.tolist()} == set(range(len(CHANGES)))
    for part in found:
        assert part.evaluation.answers.embedding is not None
        assert [sample.id for sample in part.evaluation.samples] == [str(row) for row in part.positions.tolist()]


def test_no_time_is_spent_where_there_is_none(tmp_path: Path) -> None:
    model = load(painter_bundle(tmp_path / "model", embedding=True))
    assert list(evaluated_elsewhere(model, _squares(8), seconds=0.0)) == []


def test_a_classifier_needs_none(tmp_path: Path) -> None:
    from faded import faded_bundle

    from photovision.runtime.similarity import NAME

    model = load(faded_bundle(tmp_path / "model"))
    assert model.info[NAME]["changed"] == 0
    assert model.info[NAME]["n"] == len(faded(300, (0.0, 1.0), 2))
