"""Recalibrate a classifier: confidence, sets and gate learned on labelled pictures from the place of use.

What a model knows of its own limits holds for pictures like those that it was calibrated on. A hundred labelled
pictures of another clinic, shop or camera are enough to learn it for these; the network itself stays as it is.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.drawing import percent
from photovision.core.errors import DataError, ModelError
from photovision.core.files import write_json
from photovision.core.folder import new_folder, reserved
from photovision.core.progress import ProgressCallback
from photovision.core.report import Metric, Report, Table
from photovision.core.seal import write_sealed
from photovision.core.system import provenance
from photovision.core.types import Floats
from photovision.data.dataset import Dataset
from photovision.engine.card_metrics import report_of
from photovision.engine.holdout import add_recalibration
from photovision.engine.model_card import model_card
from photovision.runtime.held_out import HeldOut, write_held_out
from photovision.runtime.uncertainty import ConformalSets, NoveltyDetector, Uncertainty, write_doubt
from photovision.tasks.classify.recognizer import ModelOutputs, Recognizer, load
from photovision.trust.metrics.calibrate import confidences, ece, fit_temperature
from photovision.trust.metrics.conformal import fit_sets
from photovision.trust.metrics.novelty import refit_gate
from photovision.trust.metrics.statistics import bootstrap, proportion

MIN_PICTURES = 50
"""Labelled pictures below which nothing can be calibrated and verified."""
_FOLDS = 5


def recalibrate_classes(
    model: Recognizer, dataset: Dataset, output: str | Path, *, seed: int = 0, progress: ProgressCallback | None = None
) -> Report:
    """Write a copy of a classifier whose confidence, sets and gate are calibrated on these pictures.

    How well that works is measured by cross-validation: each picture is judged by what the others taught.

    Args:
        model: made with sets and a gate.
        dataset: at least 50 labelled pictures that the model did not learn from, of its classes.
        output: folder of the new bundle; a model already there is replaced, whole.
        seed: of the folds.
        progress: called with (pictures done, N).

    Returns:
        A report of kind "calibrate": calibration error, coverage and false alarms before and after.

    Raises:
        DataError: too few labelled pictures.
        ModelError: the bundle was made without doubt, or by an older version.
        UsageError: `output` is the model's own folder.
    """
    with reserved(output, "model", [model.bundle.path]):
        return _recalibrated(model, dataset, Path(output), seed, progress)


def _recalibrated(
    model: Recognizer, dataset: Dataset, target: Path, seed: int, progress: ProgressCallback | None
) -> Report:
    if model.doubt is None:
        raise ModelError(
            f"{model.bundle.path} was made without prediction sets and a gate: train it again to have them"
        )
    case = _ask(model, dataset, progress)
    learned = _learn(case, model.doubt, np.arange(len(case.truth)))
    report = _report(case, model.doubt, learned, seed)
    _write(model, learned, case, dataset, report, target)
    return report


@dataclass(frozen=True, eq=False)
class _Case:
    """Pictures with what the model says of them."""

    said: ModelOutputs
    truth: np.ndarray
    multilabel: bool
    fingerprint: str
    unit: Floats

    def probs(self, temperature: float, rows: np.ndarray) -> Floats:
        scaled = self.said.logits[rows].astype(np.float64) / temperature
        if self.multilabel:
            return np.asarray(1 / (1 + np.exp(-np.clip(scaled, -60, 60))), dtype=np.float32)
        powers = np.exp(scaled - scaled.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Learned:
    temperature: float
    sets: ConformalSets
    gate: NoveltyDetector


def _ask(model: Recognizer, dataset: Dataset, progress: ProgressCallback | None) -> _Case:
    unknown = sorted({name for sample in dataset.samples for name in sample.target or ()} - set(model.classes))
    if unknown:
        raise DataError(f"the model does not know the class '{unknown[0]}': give pictures of its classes")
    labelled = [i for i, sample in enumerate(dataset.samples) if sample.target is not None]
    part = replace(dataset.subset(labelled), classes=model.classes, multilabel=model.multilabel)
    said = model.respond(part, progress, embeddings=True)
    rows = np.flatnonzero(np.isfinite(said.probs).all(1))
    if len(rows) < MIN_PICTURES or said.embeddings is None:
        raise DataError(
            f"calibrating needs at least {MIN_PICTURES} readable labelled pictures, got {len(rows)}: add more"
        )
    unit = said.embeddings[rows]
    kept = ModelOutputs(said.probs[rows], said.logits[rows], said.novelty[rows], unit)
    return _Case(kept, part.truth[rows], model.multilabel, dataset.fingerprint, unit)


def _learn(case: _Case, doubt: Uncertainty, rows: np.ndarray) -> _Learned:
    temperature = fit_temperature(case.said.logits[rows], case.truth[rows], multilabel=case.multilabel)
    sets = fit_sets(case.probs(temperature, rows), case.truth[rows])
    assert sets is not None  # there are enough pictures
    return _Learned(temperature, sets, refit_gate(doubt.gate, case.unit[rows], case.said.logits[rows]))


def _report(case: _Case, doubt: Uncertainty, learned: _Learned, seed: int) -> Report:
    n = len(case.truth)
    fold = np.random.default_rng(seed).permutation(n) % _FOLDS
    probs, within = np.empty_like(case.said.probs), np.empty(case.said.probs.shape, bool)
    alarm = np.empty(n, bool)
    for number in range(_FOLDS):
        rest, own = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        part = _learn(case, doubt, rest)
        probs[own] = case.probs(part.temperature, own)
        within[own] = probs[own] >= part.sets.thresholds(doubt.coverage)
        alarm[own] = part.gate.novelty(case.unit[own], case.said.logits[own]) > part.gate.limit(doubt.false_alarms)
    before = _figures(case, case.said.probs, case.said.probs >= doubt.thresholds, case.said.novelty > doubt.limit)
    after = _figures(case, probs, within, alarm)
    shown = {name: tuple(percent(one[name].value) for one in (before, after)) for name in after}
    asked = {"coverage": doubt.coverage, "false_alarms": doubt.false_alarms}
    rows = tuple((_NAMES[name], asked.get(name), before[name], after[name]) for name in after)
    note = f"After: cross-validation in {_FOLDS} parts. The model that was written has learned from all pictures."
    return Report(
        kind="calibrate",
        title=f"Confidence learned anew on {n:,} pictures",
        summary=(
            "Calibration error: {} before, {} after.".format(*shown["ece"]),
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
        },
    )


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


def _true(case: _Case) -> np.ndarray:
    if case.multilabel:
        return np.asarray(case.truth > 0)
    return np.asarray(np.arange(case.said.probs.shape[1]) == case.truth[:, None])


def _write(model: Recognizer, learned: _Learned, case: _Case, dataset: Dataset, report: Report, target: Path) -> None:
    with new_folder(target, "model", [model.bundle.path]) as folder:
        shutil.copytree(model.bundle.path, folder, dirs_exist_ok=True)
        _set_temperature(folder / "model.onnx", learned.temperature)
        doubt = write_doubt(learned.sets, learned.gate, folder)
        probs = case.probs(learned.temperature, np.arange(len(case.truth)))
        novelty = learned.gate.novelty(case.unit, case.said.logits)
        write_held_out(HeldOut.of(probs, novelty, case.unit), folder)
        add_recalibration(folder, dataset)
        info: dict[str, Any] = {
            **model.info,
            "temperature": learned.temperature,
            "doubt": doubt,
            "recalibrated": {
                "data": case.fingerprint,
                "pictures": len(case.truth),
                "metrics": report.to_json()["metrics"],
            },
        }
        info["warnings"] = [
            *(model.info.get("warnings") or ()),
            f"Confidence, prediction sets and gate were learned anew on {len(case.truth):,} other pictures after these"
            " figures were measured.",
        ]
        write_json(folder / "bundle.json", info)
        write_sealed(folder / "README.md", model_card(info, report_of(folder)))
        load(folder)  # refuses what it cannot read, before an older model is replaced


def _set_temperature(graph: Path, temperature: float) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(graph), load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.name == "temperature":
            tensor.CopyFrom(numpy_helper.from_array(np.array(temperature, np.float32), "temperature"))
            onnx.save(model, str(graph))
            return
    raise ModelError("the graph of this model has no temperature to set: train it again to be able to recalibrate")
