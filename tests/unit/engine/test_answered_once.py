"""What a network has predicted for a picture is handed on: no verb asks it a second time."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelerate import Accelerator
from colours import colour_bundle
from faded import faded, faded_bundle
from painter import painter_bundle

from photovision.core.regions import Segmentation
from photovision.core.report import Metric
from photovision.core.types import Image, Sample
from photovision.data.dataset import Dataset
from photovision.data.scan import scan
from photovision.data.split import Splits
from photovision.engine.bundle_writer import write_learned
from photovision.engine.elsewhere import MAX_IMAGES
from photovision.engine.estimate import estimate
from photovision.engine.evaluate import evaluate
from photovision.engine.learned import Learned
from photovision.engine.load import load
from photovision.engine.remember import remember_references
from photovision.engine.splits import TrainingSplits
from photovision.engine.stage import StageResult
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.engine.workdir import WorkDir
from photovision.runtime.bundle import Bundle
from photovision.runtime.held_out import read_held_out
from photovision.runtime.session import Session
from photovision.runtime.training_images import TrainingImages
from photovision.tasks.classify.fit_novelty import fit_limits
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.segment.segmenter import Segmenter

DRAWN = 12
"""Pictures that a report on masks shows, which are predicted again, for masks are too large to be kept."""


class Counting:
    """A session that counts how often it is given every picture."""

    def __init__(self, session: Session, seen: Counter[str]) -> None:
        self._session, self._seen = session, seen
        self.engine, self.precision = session.engine, session.precision

    def run(self, images: Image) -> dict[str, np.ndarray]:
        """As the session that it stands for."""
        self._seen.update(hashlib.sha256(image.tobytes()).hexdigest() for image in images)
        return self._session.run(images)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each picture was given to a network that was opened from a bundle."""
    counts, opened = Counter[str](), Bundle.open_session
    monkeypatch.setattr(Bundle, "open_session", lambda bundle, *rest: Counting(opened(bundle, *rest), counts))
    return counts


def _masked(count: int, seed: int) -> Dataset:
    rng, samples = np.random.default_rng(seed), []
    for number in range(count):
        truth = np.zeros((32, 32), np.int64)
        truth[8:24, 8:24] = 1
        grey = rng.uniform(0, 0.9)
        image = (1 - grey) * np.array([[40, 40, 220], [230, 20, 20]])[truth] + grey * 128
        noisy = np.clip(image + rng.normal(0, 6, (32, 32, 3)), 0, 255).astype(np.uint8)
        samples.append(Sample(f"{number}", noisy, annotations=Segmentation(truth, ("background", "thing"))))
    return Dataset(tuple(samples), ("background", "thing"), multilabel=True, annotation_type="masks")


def _limits(run: TrainingRun, bundle: Bundle) -> Mapping[str, Any]:
    splits = run.splits
    return fit_limits(Recognizer(bundle), splits.train, splits.val, bundle.path, 0)


def _references(run: TrainingRun, bundle: Bundle) -> Mapping[str, Any]:
    remember_references(Segmenter(bundle), run.splits.train, bundle.path, 0)
    return {}


def _finish(run: TrainingRun, made: Path, output: Path, complete: Callable[[TrainingRun, Bundle], Any]) -> None:
    """The end of a training that learned what a ready bundle holds."""
    own = load(made)
    stage = StageResult("whole", Metric(0.9, 0.8, 1.0, 20), 1.0, 0.1, None, None, 2, "as it is")
    names = ("multilabel", "temperature", "thresholds", "instances", "tile", "least_area")
    learned = Learned(
        own.classes,
        own.preprocess,
        {"name": "none", "weights": "none"},
        (),
        [stage],
        "whole",
        lambda folder: shutil.copy(made / "model.onnx", folder) and {},
        {name: own.info[name] for name in names if name in own.info},
        lambda bundle: complete(run, bundle),
    )
    write_learned(run, own.bundle.row, learned, output)


@pytest.mark.parametrize("task", ["classify", "segment"])
def test_at_the_end_of_a_training_all_is_predicted_once(task: str, tmp_path: Path, seen: Counter[str]) -> None:
    data = faded(240, (0.0, 1.0), 5) if task == "classify" else _masked(240, 5)
    made = (colour_bundle if task == "classify" else _painter)(tmp_path / "made")
    rows = np.arange(240)
    splits = Splits(rows[:90], rows[90:130], rows[130:], np.empty(0, np.int64), published=False)
    sides = np.full(240, 32, np.int32)
    material = TrainingSplits(data, splits, (), sides, TrainingImages.of(scan(data), splits))
    run = TrainingRun(TrainConfig(), material, WorkDir(tmp_path / "model", {}, Accelerator(), {}))
    _finish(run, made, tmp_path / "model", _limits if task == "classify" else _references)
    run.work.close()
    again, elsewhere = (0, 0) if task == "classify" else (DRAWN, MAX_IMAGES)
    assert len(seen) == 240 + elsewhere  # changed ones are others
    assert sum(seen.values()) <= 240 + again + elsewhere
    info, held_out = load(tmp_path / "model").info, read_held_out(tmp_path / "model")
    assert info["accuracy_by_similarity"]["n"] == 40 + info["accuracy_by_similarity"]["changed"]
    assert held_out is not None
    assert len(held_out) == 110  # of test, which stands for the usual


def _painter(folder: Path) -> Path:
    return painter_bundle(folder, embedding=True)


def test_an_evaluation_beside_the_expectation_asks_once(tmp_path: Path, seen: Counter[str]) -> None:
    model, pictures = load(faded_bundle(tmp_path / "model")), faded(120, (0.5, 1.0), 7)
    seen.clear()
    assert evaluate(model, pictures).metrics["expected_score"].n == 120
    assert sum(seen.values()) == len(seen) == 120


def test_measured_and_unlabelled_pictures_lead_to_the_same_expectation(tmp_path: Path) -> None:
    model, pictures = load(faded_bundle(tmp_path / "model")), faded(120, (0.5, 1.0), 7)
    unlabelled = replace(pictures, samples=tuple(replace(sample, target=None) for sample in pictures.samples))
    found = [verb.metrics["expected_score"] for verb in (evaluate(model, pictures), estimate(model, unlabelled))]
    assert found[0] == found[1]
