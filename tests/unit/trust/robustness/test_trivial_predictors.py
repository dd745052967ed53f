"""Facts that say nothing of what is shown: each planted one is found, and nothing in clean data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import make_folder, make_picture
from PIL import Image

from photovision.app.check import check
from photovision.core.report import Metric
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.trivial_facts import BRIGHTNESS, CORNERS, HEADER, NUMBER, SIZE, THUMBNAIL, trivial_facts
from photovision.trust.robustness.trivial_predictors import MACRO, TrivialPredictor, trivial_predictors
from photovision.trust.robustness.trivial_text import beside_model

N = 120
CLASSES = ("circle", "square")


def _shapes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """N pictures of two shapes, and their classes."""
    truth = np.arange(N) % 2
    images = [np.asarray(make_picture(int(c), 64, 1000 * seed + i)) for i, c in enumerate(truth)]
    return np.stack(images), truth


def _clean(images: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return images, rng.permutation(N)


def _mark(images: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    images = images.copy()
    images[truth == 1, 2:7, -8:-3] = 250
    return images, rng.permutation(N)


def _grey(images: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    moved = images.astype(np.int64) + 45 * truth[:, None, None, None]
    return np.clip(moved, 0, 255).astype(np.uint8), rng.permutation(N)


def _numbered(images: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return images, np.argsort(np.argsort(truth + rng.normal(0, 0.2, N)))


def _data(folder: Path, images: np.ndarray, truth: np.ndarray, numbers: np.ndarray) -> Dataset:
    samples = []
    for image, label, number in zip(images, truth, numbers, strict=True):
        path = folder / f"img_{number:04d}.bmp"
        Image.fromarray(image).save(path)
        samples.append(Sample(path.name, path, (CLASSES[label],)))
    return Dataset(tuple(samples), CLASSES)


def _found(data: Dataset, seed: int, model: Metric) -> set[str]:
    facts = trivial_facts(data, np.arange(len(data)))
    fitted = trivial_predictors(facts.blocks, data.truth, np.arange(len(data)), CLASSES, seed=seed)
    named = beside_model(fitted, {MACRO: model}).data["trivial_predictors"]["found"]
    return {one["predictor"] for one in named}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("plant", "fact"), [(_clean, None), (_mark, CORNERS), (_grey, BRIGHTNESS), (_numbered, NUMBER)]
)
def test_a_planted_shortcut_is_found_and_nothing_else(
    tmp_path: Path, plant: Callable[..., tuple[np.ndarray, np.ndarray]], fact: str | None, seed: int
) -> None:
    images, truth = _shapes(seed)
    images, numbers = plant(images, truth, np.random.default_rng(seed))
    found = _found(_data(tmp_path, images, truth, numbers), seed, Metric(0.97, 0.9, 1.0, N))
    assert (fact in found) if fact else not found
    if plant is _numbered:
        assert found == {NUMBER}


def test_what_is_known_of_arrays_has_no_number_and_of_small_pictures_no_thumbnail() -> None:
    images, truth = _shapes(0)
    names = [f"{i}" for i in range(N)]
    data = Dataset(
        tuple(
            Sample(name, image[:28, :28], (CLASSES[c],)) for name, image, c in zip(names, images, truth, strict=True)
        ),
        CLASSES,
    )
    assert set(trivial_facts(data, np.arange(N)).blocks) == {CORNERS, BRIGHTNESS}


def test_a_device_is_part_of_the_header_and_long_numbers_stay_apart(tmp_path: Path) -> None:
    images, truth = _shapes(0)
    samples = []
    for i, (image, label) in enumerate(zip(images, truth, strict=True)):
        path = tmp_path / f"study_{10**15 + i}.png"
        Image.fromarray(image[: 60 + 4 * (i % 2)]).save(path)
        samples.append(Sample(path.name, path, (CLASSES[label],), {"device": "A" if label else "B", "age": str(i)}))
    facts = trivial_facts(Dataset(tuple(samples), CLASSES), np.arange(N))
    assert facts.blocks[HEADER].shape == (N, 2)
    assert len(np.unique(facts.blocks[NUMBER][:, 1])) == N
    assert facts.blocks[SIZE][0].tolist() == [60, 64]


def test_unreadable_pictures_are_left_out(tmp_path: Path) -> None:
    images, truth = _shapes(0)
    data = _data(tmp_path, images, truth, np.arange(N))
    (tmp_path / "img_0003.bmp").write_bytes(b"BM")
    assert len(trivial_facts(data, np.arange(N)).positions) == N - 1


def test_no_patient_is_on_two_sides() -> None:
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(60), 10)
    truth = np.repeat(rng.integers(0, 2, 60), 10)
    block = (rng.normal(size=(60, 4))[units] + rng.normal(0, 0.01, (600, 4))).astype(np.float32)  # who, not what
    by_patient = trivial_predictors({"who": block}, truth, units, CLASSES)[0].areas[MACRO]
    by_file = trivial_predictors({"who": block}, truth, np.arange(600), CLASSES)[0].areas[MACRO]
    assert by_file.value > 0.95
    assert by_patient.low is not None
    assert by_patient.low < 0.55
    assert by_patient.high is not None
    assert by_file.high is not None
    assert by_patient.high - by_patient.low > 0.15  # as wide as 60 patients make it, not 600 files


def test_several_labels_of_which_some_are_unknown() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (200, 2)).astype(np.float32)
    block = truth[:, :1] + rng.normal(0, 0.3, (200, 1)).astype(np.float32)
    truth[:40, 0] = np.nan
    areas = trivial_predictors({"first": block}, truth, np.arange(200), CLASSES)[0].areas
    assert areas["circle"].value > 0.9
    assert areas["circle"].n == 160
    assert areas["square"].value < 0.65


@pytest.mark.parametrize(
    ("area", "model", "named"),
    [
        (Metric(0.95, 0.9, 0.98), Metric(0.99, 0.94, 1.0), True),
        (Metric(0.80, 0.75, 0.85), Metric(0.94, 0.90, 0.97), False),  # clearly worse than the model
        (Metric(0.62, 0.50, 0.74), Metric(0.66, 0.55, 0.77), False),  # no better than chance
        (Metric(0.65, 0.60, 0.70), Metric(0.80, 0.50, 0.95), False),  # within a wide interval, but with little skill
        (Metric(0.75, 0.72, 0.78), Metric(0.65, 0.57, 0.73), True),  # better than the model
        (Metric(0.97, 0.95, 0.98), Metric(1.0, 0.99, 1.0), True),  # nearly all that the model knows
    ],
)
def test_when_a_trivial_predictor_is_named(area: Metric, model: Metric, named: bool) -> None:
    one = TrivialPredictor(SIZE, {MACRO: area, "circle": area})
    found = beside_model([one], {MACRO: model, "circle": model})
    assert (found.assessment is not None) == named
    assert [line.split(":")[0] for line in found.summary] == ["A shortcut is possible"] * named
    assert TrivialPredictor.from_json(one.to_json()).areas == one.areas


def test_a_thumbnail_that_is_clearly_worse_is_the_picture_made_small() -> None:
    area, model = Metric(0.97, 0.95, 0.98), Metric(1.0, 0.99, 1.0)
    found = {
        name: beside_model([TrivialPredictor(name, {MACRO: area, "circle": area})], {MACRO: model}).assessment
        for name in (CORNERS, THUMBNAIL)
    }
    assert found[CORNERS] is not None
    assert found[THUMBNAIL] is None


@pytest.mark.parametrize("giveaway", [HEADER, SIZE])
def test_check_warns_of_files_that_give_their_class_away(tmp_path: Path, giveaway: str) -> None:
    for name, kind in (("circle", 0), ("square", 1)):
        (tmp_path / name).mkdir()
        for number in range(40):
            suffix = "bmp" if giveaway == HEADER and kind else "png"
            side = 60 if giveaway == SIZE and kind else 48
            make_picture(kind, side, number).save(tmp_path / name / f"{number}.{suffix}")
    report = check(tmp_path)
    assert [warning.split(" alone")[0].lower() for warning in report.warnings] == [giveaway.lower()]
    assert report.assessment is not None
    assert report.assessment.level == "care"


def test_check_of_sound_data_has_a_table_and_no_warning(tmp_path: Path) -> None:
    report = check(make_folder(tmp_path, per_class=40))
    assert report.warnings == []
    assert report.assessment is not None
    assert report.assessment.level == "good"
    assert any(table.title == "Trivial predictors" for table in report.tables)
