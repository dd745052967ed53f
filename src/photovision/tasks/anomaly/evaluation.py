"""Predictions of an anomaly detector beside the truth: good or not, of which kind, and where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import DataError
from photovision.core.progress import ProgressCallback
from photovision.core.regions import IGNORE, Segmentation
from photovision.core.report import Metric
from photovision.core.result import Result, Size
from photovision.core.types import Floats, Ints, Sample
from photovision.data.dataset import Dataset, Problem
from photovision.data.formats.mvtec import good_class
from photovision.runtime.held_out import HeldOut
from photovision.tasks.anomaly.detector import AnomalyDetector
from photovision.tasks.anomaly.drift import held_out
from photovision.tasks.anomaly.heatmap import enlarged
from photovision.tasks.anomaly.metrics import by_kind, picture_metrics, place_metrics
from photovision.tasks.anomaly.prediction import Anomaly
from photovision.tasks.anomaly.threshold import Verdict
from photovision.trust.metrics.paired_tests import Gains
from photovision.trust.metrics.rates import Rate
from photovision.trust.metrics.statistics import Vector, auroc, bootstrap, proportion

GOOD = "good"
_TITLES = {
    "auroc": ("Image AUROC", "chance that an image with a defect scores higher than a good one; 50% is guessing"),
    "aupro": ("AUPRO", "overlap of heatmaps with each defect, up to 30% of good pixels called anomalous"),
    "pixel_auroc": ("Pixel AUROC", "chance that a pixel of a defect is hotter than a good one"),
    "recall_at_1": ("Recall at 1% false alarms", "share of images with a defect above 99% of the good ones"),
    "false_alarms": ("False alarms", "share of good images called anomalous at the promised threshold"),
    "recall": ("Recall", "share of images with a defect called anomalous at the promised threshold"),
    "recall_checked": ("Recall with checks", "share of images with a defect called anomalous or unsure"),
    "false_checks": ("Good images to check", "share of good images called anomalous or unsure"),
}
"""Metric -> its heading, and what it means."""
_MAX_CHECKS = 0.5  # of the good images: a detector that leaves more of them to people saves them little
_SIDE = 256  # pixels of the longer side at which places are compared


@dataclass(frozen=True, eq=False)
class AnomalyEvaluation:
    """Predictions of an anomaly detector beside the truth of N images; see `engine.evaluation.Evaluation`.

    Attributes:
        model: the detector.
        samples: these images.
        positions: where they stand in the data set, int64 (N,).
        problems: images that could not be read, or whose mask does not fit.
        scores: float64 (N,), higher for more anomalous.
        p_values: float64 (N,).
        alarms: bool (N,), called anomalous.
        unsure: bool (N,).
        kinds: N names, "good" for good images.
        heatmaps: float32 (H, W) each, in units of the limit of good images, at most 256 pixels wide.
        masks: bool (H, W) each, where the image departs; None where that is not known.
    """

    model: AnomalyDetector
    samples: tuple[Sample, ...]
    positions: Ints
    problems: tuple[Problem, ...]
    scores: Vector
    p_values: Vector
    alarms: np.ndarray
    unsure: np.ndarray
    kinds: tuple[str, ...]
    heatmaps: tuple[Floats, ...]
    masks: tuple[np.ndarray | None, ...]

    @property
    def bad(self) -> np.ndarray:
        """bool (N,): images with a defect."""
        return np.array([kind != GOOD for kind in self.kinds], dtype=bool)

    @cached_property
    def _metrics(self) -> dict[str, Metric]:
        bad = self.bad
        checked = self.alarms | self.unsure
        rates = [("recall", bad, self.alarms), ("false_alarms", ~bad, self.alarms)]
        if self.unsure.any():
            rates.append(("false_checks", ~bad, checked))
        if self.unsure.any() and (checked & ~bad).sum() <= _MAX_CHECKS * (~bad).sum():
            rates.append(("recall_checked", bad, checked))
        metrics = {
            name: Metric(*proportion(int((hits & of).sum()), int(of.sum())), int(of.sum()))
            for name, of, hits in rates
            if of.any()
        }
        if not bad.any() or bad.all():
            return metrics
        found = picture_metrics(self.scores, bad)
        return {**metrics, "auroc": found["auroc"], **self._places(), "recall_at_1": found["recall_at_1"]}

    def metrics(self) -> dict[str, Metric]:
        """See `Evaluation`: "recall" and "false_alarms" at the promised threshold, which is what happens in use, then
        what any threshold could do: "auroc", "aupro" and "pixel_auroc" where there are masks, "recall_at_1" (at 1%
        false alarms). Without bad images the false alarms alone. Where images are unsure, "false_checks" and
        "recall_checked" count these as well."""
        return {
            name: replace(metric, title=_TITLES[name][0], hint=_TITLES[name][1])
            for name, metric in self._metrics.items()
        }

    def _places(self) -> dict[str, Metric]:
        rows = [row for row, mask in enumerate(self.masks) if mask is not None]
        masks = [mask for mask in self.masks if mask is not None]
        if not any(mask.any() for mask in masks):
            return {}
        return place_metrics([self.heatmaps[row] for row in rows], masks)

    def by_kind(self) -> dict[str, Metric]:
        """AUROC of every kind of defect against the good images."""
        bad = self.bad
        return by_kind(self.scores, list(self.kinds), GOOD) if bad.any() and not bad.all() else {}

    @property
    def score_name(self) -> str:
        """See `Evaluation`."""
        return "agreement with the truth"

    def score(self) -> Vector:
        """See `Evaluation`: 1 on the right side of the promised rate, and less the further p is on the wrong side."""
        side = self.p_values / self.model.false_alarms
        return np.minimum(np.where(self.bad, 1 / np.maximum(side, 1e-9), side), 1.0).astype(np.float64)

    def rates(self) -> list[Rate]:
        """See `Evaluation`: good images that are called so, and bad ones that are found."""
        found = []
        for name, verb, of, right in (
            ("specificity", "called good", ~self.bad, ~self.alarms),
            ("recall", "found", self.bad, self.alarms),
        ):
            if of.any():
                part, whole = (of & right).astype(np.float64), of.astype(np.float64)
                found.append(Rate(name, verb, part, whole, whole * part.sum() / whole.sum()))
        return found

    def gains(self, other: AnomalyEvaluation) -> Gains:
        """See `Evaluation`: of AUROC, without bad images of false alarms, by a paired bootstrap."""
        bad = self.bad
        name = "auroc" if bad.any() and not bad.all() else "false_alarms"
        columns = [self.scores, other.scores, bad, self.alarms, other.alarms]

        def gained(a: Vector, b: Vector, bad: np.ndarray, alarms_a: np.ndarray, alarms_b: np.ndarray) -> float:
            if name == "false_alarms":
                return float(alarms_b.mean() - alarms_a.mean())
            return _area(b, bad) - _area(a, bad)

        metric = Metric(*bootstrap(gained, columns), len(self.scores), "points")
        return Gains({name: metric}, {})

    @property
    def answers(self) -> HeldOut:
        """See `Evaluation`; there are no embeddings."""
        return replace(held_out(self.model, self.scores), positions=self.positions)

    def at(self, rows: Ints) -> AnomalyEvaluation:
        """See `Evaluation`."""
        some = [int(row) for row in rows]
        return replace(
            self,
            samples=tuple(self.samples[row] for row in some),
            kinds=tuple(self.kinds[row] for row in some),
            heatmaps=tuple(self.heatmaps[row] for row in some),
            masks=tuple(self.masks[row] for row in some),
            positions=self.positions[rows],
            scores=self.scores[rows],
            p_values=self.p_values[rows],
            alarms=self.alarms[rows],
            unsure=self.unsure[rows],
        )


def evaluate(
    model: AnomalyDetector, dataset: Dataset, *, progress: ProgressCallback | None = None, embeddings: bool = False
) -> AnomalyEvaluation:
    """Score every image of which it is known whether it is good.

    Args:
        model: the detector.
        dataset: images whose class is that of good images (good, normal, ok, or the one the model learned from), or
            else the kind of their defect; with masks where the places are to be evaluated.
        progress: called with (images done, N).
        embeddings: anomaly detectors have none.

    Raises:
        DataError: no image has a label, or nothing could be read.
    """
    good = _good_name(model, dataset)
    positions = [row for row, sample in enumerate(dataset.samples) if sample.target]
    labelled = [dataset.samples[row] for row in positions]
    if not labelled:
        raise DataError("the data has no labels: an evaluation needs good images, and better also some with defects")
    found, kept, problems = [], [], []
    results = model.results(sample.image for sample in labelled)
    for done, (sample, result) in enumerate(zip(labelled, results, strict=True), 1):
        try:
            found.append(_compared(model, sample, result, good))
            kept.append(done - 1)
        except DataError as error:
            problems.append(Problem(sample.id, "unreadable", str(error)))
        if progress:
            progress(done, len(labelled))
    if not found:
        raise DataError(
            f"none of the {len(labelled):,} pictures could be judged ({problems[0].message}): check the files"
        )
    return AnomalyEvaluation(
        model,
        tuple(labelled[row] for row in kept),
        np.array(positions, np.int64)[kept],
        tuple(problems),
        np.array([one.score for one in found]),
        np.array([one.p for one in found]),
        np.array([one.verdict == "anomalous" for one in found], dtype=bool),
        np.array([one.verdict == "unsure" for one in found], dtype=bool),
        tuple(one.kind for one in found),
        tuple(one.heat for one in found),
        tuple(one.mask for one in found),
    )


@dataclass(frozen=True, eq=False)
class _BesideTruth:
    """The prediction for one image beside its truth."""

    score: float
    p: float
    verdict: Verdict
    kind: str
    heat: Floats
    mask: np.ndarray | None


def _compared(model: AnomalyDetector, sample: Sample, result: Result[Anomaly], good: str) -> _BesideTruth:
    """Raises UnreadableImage, or DataError where the mask is of another size."""
    if result.value is None:
        assert result.error is not None
        raise result.error
    kind = GOOD if sample.target == (good,) else " and ".join(sample.target or ())
    group = sample.groups.get(str(model.info["anomaly"].get("group_by")))
    p, verdict = model.judged(result.value.score, group)
    small = _small(result.size)
    return _BesideTruth(
        result.value.score, p, verdict, kind, enlarged(result.value.heat, small), _mask(sample, kind, result.size)
    )


def _mask(sample: Sample, kind: str, size: Size) -> np.ndarray | None:
    """bool (H, W) at the size at which places are compared: where an image departs; None where nobody drew it."""
    small = _small(size)
    if kind == GOOD:
        return np.zeros(small, dtype=bool)
    if not isinstance(sample.annotations, Segmentation):
        return None
    labels = sample.annotations.labels
    if labels.shape != size:
        raise DataError(f"{sample.id} is {size[1]} x {size[0]} pixels, its mask {labels.shape[1]} x {labels.shape[0]}")
    good = [number for number, name in enumerate(sample.annotations.classes) if name not in (sample.target or ())]
    drawn = ~np.isin(labels, [*good, IGNORE])
    # A defect thinner than the grid stays visible in the mean.
    shares = Pillow.fromarray((255 * drawn).astype(np.uint8)).resize((small[1], small[0]), Pillow.Resampling.BOX)
    mask: np.ndarray = np.asarray(shares) >= 128
    return mask


def _small(size: Size) -> Size:
    factor = min(1.0, _SIDE / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _good_name(model: AnomalyDetector, dataset: Dataset) -> str:
    """What the data call good images.

    Raises:
        DataError: no class of the data means that.
    """
    learned = model.info["anomaly"].get("good_class")
    names = sorted({name for sample in dataset.samples for name in sample.target or ()})
    found = learned if learned in names else good_class(names)
    if found is None and learned is None and len(names) == 1:
        found = names[0]
    if found is None:
        wanted = f"'{learned}', good, normal or ok" if learned else "good, normal or ok"
        raise DataError(f"no class of the data is called {wanted}, got {', '.join(names[:20])}: rename the good one")
    return str(found)


def _area(scores: Vector, bad: np.ndarray) -> float:
    return auroc(scores, bad)[0] if bad.any() and not bad.all() else float("nan")
