"""Calibrate a detector: scores and thresholds fitted to labelled images from the place of use.

What a score means, and which threshold serves best, holds for pictures like those that both were chosen on. Boxes of
other pictures are the same boxes in the same order, for the network stays as it is: average precision does not change,
but what is shown, and how far its scores can be trusted, does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.drawing import percent
from photovision.core.errors import DataError, ExportError
from photovision.core.progress import ProgressCallback
from photovision.core.regions import Detections
from photovision.core.report import Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.types import Floats, Image
from photovision.data.augment.image import load_pixels
from photovision.data.dataset import Dataset
from photovision.engine.calibrate import Calibration
from photovision.runtime.session import open_session
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.evaluation import DetectEvaluation, evaluate
from photovision.trust.metrics.box_confidence import calibrated, d_ece, fit_logistic
from photovision.trust.metrics.detection import Pair, Vector, best_thresholds, match
from photovision.trust.metrics.matching import Whole, find_hits
from photovision.trust.metrics.statistics import bootstrap_sums

MIN_PICTURES, MIN_OBJECTS = 30, 50
"""With fewer labelled pictures or objects nothing can be learned and verified."""
TOLERANCE = 1e-3
_FOLDS = 5
_CHECKED = 4  # pictures that the changed graph is held against


@dataclass(frozen=True, eq=False)
class DetectCalibration:
    """What the scores of every class mean, and from which score on a box is shown.

    Attributes:
        slope, shift: C each.
        thresholds: float32 (C,), of the scores as they are then.
        kept: whether they show the same boxes as before.
    """

    slope: list[float]
    shift: list[float]
    thresholds: Floats
    kept: bool = False

    def scores(self, found: Detections) -> Floats:
        """What the scores of some boxes mean, float32 (M,)."""
        assert found.scores is not None
        labels = found.labels
        slope, shift = np.array(self.slope)[labels], np.array(self.shift)[labels]
        return calibrated(found.scores, slope, shift)


def calibrate(
    model: Detector, dataset: Dataset, *, seed: int = 0, progress: ProgressCallback | None = None
) -> Calibration:
    """Fit a detector's scores and thresholds to these images.

    How well that works is measured by cross-validation: each image is evaluated by what was fitted to the others.

    Args:
        model: any.
        dataset: at least 30 images with at least 50 boxes of its classes, which it did not learn from.
        seed: of the folds.
        progress: called with (images done, N).

    Raises:
        DataError: too few images or boxes, or of other classes.
    """
    looked = evaluate(model, dataset, progress=progress)
    objects = int(looked.hits.objects.sum())
    if len(looked.pairs) < MIN_PICTURES or objects < MIN_OBJECTS:
        raise DataError(
            f"calibrating a detector needs at least {MIN_PICTURES} readable pictures with {MIN_OBJECTS} boxes, got"
            f" {len(looked.pairs)} with {objects}: add more"
        )
    learned, before, after = _proved(looked, seed)
    report = _report(looked, dataset, learned, before, after, seed)
    return Calibration(
        report, len(looked.pairs), partial(change_scores, model, looked, learned), "Scores and thresholds"
    )


def learn_scores(looked: DetectEvaluation, rows: np.ndarray) -> DetectCalibration:
    """Scores and thresholds, from some of the images."""
    matches = match([looked.pairs[int(row)] for row in rows], looked.classes)
    slope, shift = fit_logistic(matches)
    # The order of a class's boxes stays, so they are on the same objects.
    truer = tuple(
        replace(one, scores=calibrated(one.scores, [slope[label]], [shift[label]]).astype(np.float64))
        for label, one in enumerate(matches.by["all"])
    )
    return DetectCalibration(slope, shift, best_thresholds(replace(matches, by={**matches.by, "all": truer})))


def _proved(looked: DetectEvaluation, seed: int) -> tuple[DetectCalibration, dict[str, Metric], dict[str, Metric]]:
    """What is learned from all pictures, and the figures before and after, each picture judged by what others taught.

    Where thresholds that others taught serve worse than the old ones, the old ones stay: what is shown does not change.
    """
    pairs, tally = cross_fitted(looked, seed)
    old = looked.hits.tally(looked.thresholds)
    before, after = _figures(looked.pairs, old, looked.classes), _figures(pairs, tally, looked.classes)
    learned = learn_scores(looked, np.arange(len(looked.pairs)))
    if after["f1"].value < before["f1"].value:
        learned = replace(learned, thresholds=calibrated(looked.thresholds, learned.slope, learned.shift), kept=True)
        after = _figures(pairs, old, looked.classes)
    return learned, before, after


def cross_fitted(looked: DetectEvaluation, seed: int) -> tuple[list[Pair], Whole]:
    """N images with scores and thresholds that the others taught: true and predicted boxes, and the tally (N, 3)."""
    n = len(looked.pairs)
    fold = np.random.default_rng(seed).permutation(n) % _FOLDS
    pairs, tally = list(looked.pairs), np.zeros((n, 3), dtype=np.int64)
    for number in range(_FOLDS):
        own = np.flatnonzero(fold == number)
        part = learn_scores(looked, np.flatnonzero(fold != number))
        for row in own:
            truth, found = looked.pairs[row]
            pairs[row] = Pair(truth, replace(found, scores=part.scores(found)))
        tally[own] = find_hits([pairs[row] for row in own], looked.classes).tally(part.thresholds)
    return pairs, tally


def _report(
    looked: DetectEvaluation,
    dataset: Dataset,
    learned: DetectCalibration,
    before: dict[str, Metric],
    after: dict[str, Metric],
    seed: int,
) -> Report:
    n = len(looked.pairs)
    rows = tuple((name, before[key], after[key]) for key, name in _NAMES.items() if key in after)
    note = f"After: cross-validation in {_FOLDS} parts. The model that was written has learned from all pictures."
    limits = tuple(zip(looked.classes, looked.thresholds.tolist(), learned.thresholds.tolist(), strict=True))
    lines = [
        f"{_NAMES[key].capitalize()}: {percent(before[key].value)} before, {percent(after[key].value)} after."
        for key in ("d_ece", "f1")
        if key in after
    ]
    if learned.kept:
        lines.append("New thresholds would serve worse on pictures that they were not learned from: the old ones stay.")
    return Report(
        kind="calibrate",
        title=f"scores and thresholds fitted to {n:,} pictures",
        summary=tuple(lines),
        metrics=after,
        tables=[
            Table("Before and after", ("figure", "before", "after"), rows, note),
            Table("Thresholds", ("class", "before", "after"), limits),
        ],
        provenance={"data": {"fingerprint": dataset.fingerprint, "pictures": n}, "seed": seed, **provenance()},
        data={
            "before": {name: metric.to_json() for name, metric in before.items()},
            "calibration": {"slope": learned.slope, "shift": learned.shift},
            "thresholds": learned.thresholds.tolist(),
        },
    )


_NAMES = {
    "d_ece": "calibration error of boxes",
    "f1": "F1 at the thresholds",
    "recall_shown": "objects found",
    "precision_shown": "boxes right",
}


def _figures(pairs: Sequence[Pair], tally: Whole, classes: tuple[str, ...]) -> dict[str, Metric]:
    """Calibration error of these boxes, and the shares that the tally of what is shown gives, over pictures."""

    def share(part: Vector, whole: Vector) -> Vector:
        return part / np.maximum(whole, 1)

    finish = {
        "f1": lambda sums: share(2 * sums[:, 0], 2 * sums[:, 0] + sums[:, 1] + sums[:, 2]),
        "recall_shown": lambda sums: share(sums[:, 0], sums[:, 0] + sums[:, 2]),
        "precision_shown": lambda sums: share(sums[:, 0], sums[:, 0] + sums[:, 1]),
    }
    found = bootstrap_sums(tally.astype(np.float64), finish, n_boot=400)
    error = d_ece(find_hits(pairs, classes))
    own = {} if error is None else {"d_ece": error}
    return own | {name: Metric(*estimate, len(pairs)) for name, estimate in found.items()}


def change_scores(
    model: Detector, looked: DetectEvaluation, learned: DetectCalibration, folder: Path
) -> dict[str, Any]:
    """Change the graph in a folder, which is that of the model; the entries of bundle.json that differ."""
    images = np.stack([load_pixels(sample, model.preprocess) for sample in looked.samples[:_CHECKED]])
    _set_scores(folder / "model.onnx", learned)
    _verify(model, folder / "model.onnx", learned, images)
    own = model.info.get("calibration") or {}
    slope, shift = own.get("slope") or [1.0] * len(learned.slope), own.get("shift") or [0.0] * len(learned.shift)
    whole = {
        "slope": [a * b for a, b in zip(slope, learned.slope, strict=True)],
        "shift": [b * a + c for a, b, c in zip(shift, learned.slope, learned.shift, strict=True)],
    }
    return {"thresholds": learned.thresholds.tolist(), "calibration": whole}


def _verify(detector: Detector, graph: Path, learned: DetectCalibration, images: Image) -> None:
    """Raise ExportError unless the changed graph gives the scores that were learned."""
    outputs = detector.bundle.row.outputs
    old = open_session(detector.bundle.graph, precision="f32", outputs=outputs).run(images)["scores"]
    new = open_session(graph, precision="f32", outputs=outputs).run(images)["scores"]
    off = float(np.abs(calibrated(old, learned.slope, learned.shift) - new).max(initial=0))
    if not off <= TOLERANCE:
        raise ExportError(f"the changed graph does not give the scores it should (off by {off:.2g}); report this")


def _set_scores(graph: Path, learned: DetectCalibration) -> None:
    """Change what a graph says: its own slope and shift where it has them, else new ones after its scores."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(graph), load_external_data=False)
    own = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name in ("slope", "shift")}
    values = [numpy_helper.to_array(own[name]) for name in ("slope", "shift") if name in own]
    width = (len(learned.slope),)
    if len(values) == 2 and all(value.shape == width for value in values):
        slope = values[0] * np.array(learned.slope)
        shift = values[1] * np.array(learned.slope) + np.array(learned.shift)
    else:
        slope, shift = np.array(learned.slope), np.array(learned.shift)
        own = _append(model)
    for name, value in (("slope", slope), ("shift", shift)):
        own[name].CopyFrom(numpy_helper.from_array(value.astype(np.float32), name))
    onnx.save(model, str(graph))


def _append(model: Any) -> dict[str, Any]:
    """Nodes after the scores of a graph: the logit of each, times slope, plus shift; the two tensors by their names."""
    from onnx import TensorProto, helper

    nodes = model.graph.node
    taken = {name for node in nodes for name in (*node.input, *node.output)} | {t.name for t in model.graph.initializer}
    if taken & {"slope", "shift", "score_least", "score_most"}:
        raise ExportError("the graph of this detector has names that recalibration needs: train it again")
    for node in nodes:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == "scores":
                    names[place] = "scores_before"
    bounds = {"score_least": 1e-9, "score_most": 1 - 1e-7}
    one = [helper.make_tensor(name, TensorProto.FLOAT, [], [value]) for name, value in bounds.items()]
    one += [helper.make_tensor("score_one", TensorProto.FLOAT, [], [1.0])]
    one += [helper.make_tensor(name, TensorProto.FLOAT, [1], [0.0]) for name in ("slope", "shift")]
    model.graph.initializer.extend(one)
    nodes.extend(
        [
            helper.make_node("Clip", ["scores_before", "score_least", "score_most"], ["scores_held"]),
            helper.make_node("Sub", ["score_one", "scores_held"], ["scores_rest"]),
            helper.make_node("Div", ["scores_held", "scores_rest"], ["scores_odds"]),
            helper.make_node("Log", ["scores_odds"], ["scores_logit"]),
            helper.make_node("Mul", ["scores_logit", "slope"], ["scores_steep"]),
            helper.make_node("Add", ["scores_steep", "shift"], ["scores_moved"]),
            helper.make_node("Sigmoid", ["scores_moved"], ["scores"]),
        ]
    )
    return {tensor.name: tensor for tensor in model.graph.initializer if tensor.name in ("slope", "shift")}
