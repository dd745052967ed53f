"""Calibrate a classifier: confidence, sets and novelty detection fitted to labelled images from the place of use.

What a model knows of its own limits holds for pictures like those that it was calibrated on. A hundred labelled
pictures of another clinic, shop or camera are enough to learn it for these; the network itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.drawing import percent
from photovision.core.errors import DataError, ModelError
from photovision.core.progress import ProgressCallback
from photovision.core.report import Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.types import Floats
from photovision.data.dataset import Dataset
from photovision.engine.calibrate import Calibration
from photovision.engine.graph_constants import set_constants
from photovision.runtime.bundle import Bundle
from photovision.runtime.held_out import HeldOut, write_held_out
from photovision.runtime.uncertainty import ConformalSets, NoveltyDetector, Uncertainty, write_doubt
from photovision.runtime.validation import ValidationOutputs, write_validation
from photovision.tasks.classify.adapt_bundle import shift_classes
from photovision.tasks.classify.none_of_these import calibrate_names
from photovision.tasks.classify.recognizer import ModelOutputs, Recognizer
from photovision.tasks.classify.refit import align
from photovision.trust.metrics.calibrate import confidences, ece, fit_class_shift, fit_temperature
from photovision.trust.metrics.conformal import fit_sets
from photovision.trust.metrics.novelty import refit_gate
from photovision.trust.metrics.statistics import Vector, bootstrap, proportion

MIN_PICTURES = 50
"""Labelled pictures below which nothing can be calibrated and verified."""
_FOLDS = 5


def calibrate(
    model: Recognizer, dataset: Dataset, *, seed: int = 0, progress: ProgressCallback | None = None
) -> Calibration:
    """Fit a classifier's temperature, prediction sets and novelty detection to these images.

    A classifier made of class names has no sets: when it says "nothing like this" is fitted. How well that works is
    measured by cross-validation: each image is evaluated by what was fitted to the others.

    Args:
        model: made with sets and novelty detection.
        dataset: at least 50 labelled images that the model did not learn from, of its classes.
        seed: of the folds.
        progress: called with (images done, N).

    Raises:
        DataError: too few labelled images.
        ModelError: the bundle was made without sets, or by an older version.
    """
    if "zero_shot" in model.info:
        return calibrate_names(model, dataset, seed, progress)
    if model.doubt is None:
        raise ModelError(
            f"{model.bundle.path} was made without prediction sets and novelty detection: to have them,"
            f" {model.bundle.origin.remedy}"
        )
    case = _ask(model, dataset, progress)
    learned = _learn(case, model.doubt, np.arange(len(case.truth)))
    report = _report(case, model.doubt, learned, seed)
    fitted = "Confidence, prediction sets and novelty detection"
    return Calibration(report, len(case.truth), partial(_change, learned, case, model.info), fitted)


@dataclass(frozen=True, eq=False)
class _Case:
    """Pictures with what the model says of them."""

    said: ModelOutputs
    truth: np.ndarray
    multilabel: bool
    fingerprint: str
    unit: Floats
    alike: Floats | None

    def alike_of(self, rows: np.ndarray) -> Floats | None:
        return None if self.alike is None else self.alike[rows]

    def moved(self, shift: Vector) -> _Case:
        """The same with a number added to the logits of each class."""
        return replace(self, said=replace(self.said, logits=(self.said.logits + shift).astype(np.float32)))

    def probs(self, temperature: float, rows: np.ndarray) -> Floats:
        scaled = self.said.logits[rows].astype(np.float64) / temperature
        if self.multilabel:
            return np.asarray(1 / (1 + np.exp(-np.clip(scaled, -60, 60))), dtype=np.float32)
        powers = np.exp(scaled - scaled.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Learned:
    shift: Vector
    temperature: float
    sets: ConformalSets
    gate: NoveltyDetector


def _ask(model: Recognizer, dataset: Dataset, progress: ProgressCallback | None) -> _Case:
    labelled = [i for i, sample in enumerate(dataset.samples) if sample.target is not None]
    part = align(model, dataset).subset(labelled)
    said = model.respond(part, progress, embeddings=True)
    rows = np.flatnonzero(np.isfinite(said.probs).all(1))
    if len(rows) < MIN_PICTURES or said.embeddings is None:
        raise DataError(
            f"calibrating needs at least {MIN_PICTURES} readable labelled pictures, got {len(rows)}: add more"
        )
    unit = said.embeddings[rows]
    kept = ModelOutputs(said.probs[rows], said.logits[rows], said.novelty[rows], said.similarity[rows], unit)
    alike = None if model.references is None else model.references.similarity.of(unit)
    return _Case(kept, part.truth[rows], model.multilabel, dataset.fingerprint, unit, alike)


def _learn(case: _Case, doubt: Uncertainty, rows: np.ndarray) -> _Learned:
    shift = np.zeros(case.said.logits.shape[1])
    if not case.multilabel:
        shift = fit_class_shift(case.said.logits[rows], case.truth[rows])
    case = case.moved(shift)
    temperature = fit_temperature(case.said.logits[rows], case.truth[rows], multilabel=case.multilabel)
    sets = fit_sets(case.probs(temperature, rows), case.truth[rows], case.alike_of(rows))
    assert sets is not None  # there are enough pictures
    gate = refit_gate(doubt.gate, doubt.gate.distances(case.unit[rows]), case.said.logits[rows], case.alike_of(rows))
    return _Learned(shift, temperature, sets, gate)


def _report(case: _Case, doubt: Uncertainty, learned: _Learned, seed: int) -> Report:
    n = len(case.truth)
    fold = np.random.default_rng(seed).permutation(n) % _FOLDS
    probs, within = np.empty_like(case.said.probs), np.empty(case.said.probs.shape, bool)
    alarm = np.empty(n, bool)
    for number in range(_FOLDS):
        rest, own = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        part = _learn(case, doubt, rest)
        moved, limited = case.moved(part.shift), replace(doubt, sets=part.sets, gate=part.gate)
        probs[own] = moved.probs(part.temperature, own)
        alarm[own] = part.gate.novelty(case.unit[own], moved.said.logits[own], case.alike_of(own)) > limited.limit
        within[own] = _within(case, limited, probs[own], own, alarm[own])
    alarms = case.said.novelty > doubt.limit
    before = _figures(case, case.said.probs, _within(case, doubt, case.said.probs, np.arange(n), alarms), alarms)
    after = _figures(case, probs, within, alarm)
    shown = {name: tuple(percent(one[name].value) for one in (before, after)) for name in after}
    asked = {"coverage": doubt.coverage, "false_alarms": doubt.false_alarms}
    rows = tuple((_NAMES[name], asked.get(name), before[name], after[name]) for name in after)
    note = f"After: cross-validation in {_FOLDS} parts. The model that was written has learned from all pictures."
    return Report(
        kind="calibrate",
        title=f"confidence fitted to {n:,} pictures",
        summary=(
            "Calibration error: {} before, {} after.".format(*shown["ece"]),
            *(_SHIFTED if learned.shift.any() else ()),
            "Sets that hold the truth: {} before, {} after".format(*shown["coverage"])
            + f" (asked: {percent(doubt.coverage)}).",
            "Called unknown: {} before, {} after".format(*shown["false_alarms"])
            + f" (asked: {percent(doubt.false_alarms)}).",
        ),
        metrics=after,
        tables=[Table("Before and after", ("figure", "asked", "before", "after"), rows, note)],
        provenance={"data": {"fingerprint": case.fingerprint, "pictures": n}, "seed": seed, **provenance()},
        data={
            "before": {name: metric.to_json() for name, metric in before.items()},
            "temperature": learned.temperature,
            "class_shift": learned.shift.tolist(),
        },
    )


_SHIFTED = ("The classes come in other shares here than in the training: the probabilities are corrected for that.",)
_NAMES = {"ece": "calibration error", "coverage": "coverage", "set_size": "classes in a set", "false_alarms": "unknown"}


def _figures(case: _Case, probs: Floats, within: np.ndarray, alarm: np.ndarray) -> dict[str, Metric]:
    n, true = len(probs), _true(case)
    error = bootstrap(lambda p, t: ece(p, t), [probs, case.truth], n_boot=200)
    stated, _ = confidences(probs, case.truth)
    return {
        "ece": Metric(*error, stated.size),
        "coverage": Metric(*proportion(int((within & true).sum()), max(int(true.sum()), 1)), int(true.sum())),
        "set_size": Metric(float(within.sum(1).mean()), n=n, unit=""),
        "false_alarms": Metric(*proportion(int(alarm.sum()), n), n),
    }


def _within(case: _Case, doubt: Uncertainty, probs: Floats, rows: np.ndarray, alarm: np.ndarray) -> np.ndarray:
    """bool (N, C): which classes are in the sets of pictures at some rows; the answers are, where they are known."""
    best = np.arange(probs.shape[1]) == probs.argmax(1)[:, None]
    named = None if case.multilabel else best & ~alarm[:, None]
    return np.asarray(probs >= doubt.thresholds(case.alike_of(rows), named))


def _true(case: _Case) -> np.ndarray:
    if case.multilabel:
        return np.asarray(case.truth > 0)
    return np.asarray(np.arange(case.said.probs.shape[1]) == case.truth[:, None])


def _change(learned: _Learned, case: _Case, info: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    if not set_constants(folder / "model.onnx", {"temperature": np.array(learned.temperature)}):
        raise ModelError("the graph of this model has no temperature to set: train it again to be able to recalibrate")
    if learned.shift.any():
        shift_classes(Bundle(folder, dict(info)), learned.shift)
        case = case.moved(learned.shift)
    doubt = write_doubt(learned.sets, learned.gate, folder)
    probs = case.probs(learned.temperature, np.arange(len(case.truth)))
    novelty = learned.gate.novelty(case.unit, case.said.logits, case.alike)
    write_held_out(HeldOut.of(probs, novelty, case.unit), folder)
    rows = np.arange(len(case.truth))
    write_validation(ValidationOutputs(case.said.logits, case.truth.astype(np.int64), case.unit, rows), folder)
    return {"temperature": learned.temperature, "doubt": doubt}
