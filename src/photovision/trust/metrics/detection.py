"""How well a detector does: average precision by COCO's protocol with intervals, and the thresholds that serve best.

Which box belongs to which object is decided by pycocotools, the reference; averages and their bootstrap over pictures
are computed here from its answer, for the reference cannot weigh pictures. With equal weights both give the same.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from photovision.core.errors import DataError, MissingExtra
from photovision.core.regions import Detections
from photovision.core.report import Metric
from photovision.core.types import Floats

Vector = npt.NDArray[np.float64]
IOUS = np.linspace(0.5, 0.95, 10)
"""Overlaps at which a box counts as right; the figures are means over them."""
SIZES = ("all", "small", "medium", "large")
"""Objects by the area of their boxes: all; below 32 x 32 pixels; up to 96 x 96; larger."""
MAX_BOXES = 100
"""Boxes of a class that count in one picture, the most probable ones."""
N_BOOT = 300
FEW = 10
"""A class with fewer objects shares its threshold with the others like it, and has no interval of its own."""
_AREAS = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))
_RECALLS = np.linspace(0, 1, 101)
_CHUNK = 2_000_000


class Pair(NamedTuple):
    """One picture: what is there, and what the detector says (with scores); labels count the same classes."""

    truth: Detections
    found: Detections


@dataclass(frozen=True, eq=False)
class Matched:
    """The boxes of one class and one range of sizes in all N pictures, most probable first.

    Attributes:
        scores: float64 (D,).
        right: bool (10, D), whether the box is an object's, at each of IOUS.
        counts: bool (10, D), whether it counts at all; boxes on crowds and on objects of other sizes do not.
        picture: int (D,), which picture it is in.
        objects: int (N,), how many objects each picture has.
    """

    scores: Vector
    right: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.bool_]
    picture: npt.NDArray[np.intp]
    objects: npt.NDArray[np.int64]

    def precisions(self, weights: Vector) -> Vector:
        """Average precision at each overlap, pictures counting so often: (B, N) -> (B, 10); NaN without objects."""
        total = weights @ self.objects
        out = np.zeros((len(weights), len(IOUS)))
        for level in range(len(IOUS)):
            kept = self.counts[level]
            times = weights[:, self.picture[kept]]
            out[:, level] = average_precisions(times, self.right[level][kept], total)
        out[total == 0] = np.nan
        return out

    @cached_property
    def recall(self) -> float:
        """Share of objects that any box finds, mean over the overlaps; NaN without objects."""
        total = self.objects.sum()
        return float((self.right & self.counts).sum() / (len(IOUS) * total)) if total else float("nan")


@dataclass(frozen=True, eq=False)
class Matches:
    """What belongs to what in N pictures.

    Attributes:
        classes: C names.
        pictures: N.
        by: for each range of sizes that was asked for, C `Matched`.
    """

    classes: tuple[str, ...]
    pictures: int
    by: dict[str, tuple[Matched, ...]]

    @property
    def objects(self) -> npt.NDArray[np.int64]:
        """int64 (C,): objects of every class that count."""
        return np.array([one.objects.sum() for one in self.by["all"]], dtype=np.int64)


def match(pairs: Sequence[Pair], classes: tuple[str, ...], sizes: Sequence[str] = SIZES) -> Matches:
    """Decide which box belongs to which object, class by class, by pycocotools.

    Args:
        pairs: N pictures; `truth.crowd` objects, and what is on them, are left out.
        classes: C names.
        sizes: some of SIZES, "all" among them; each takes as long as "all".

    Raises:
        DataError: there is no picture, or no object.
        MissingExtra: pycocotools is not installed.
    """
    judged = (len(truth) - (0 if truth.crowd is None else int(truth.crowd.sum())) for truth, _ in pairs)
    if not sum(judged):
        raise DataError("the data has no objects to be judged: an evaluation of a detector needs boxes around them")
    try:
        coco, evaluation = import_module("pycocotools.coco"), import_module("pycocotools.cocoeval")
    except ImportError:
        raise MissingExtra("pycocotools", "judging a detector") from None
    with contextlib.redirect_stdout(io.StringIO()):  # it tells its own progress
        judge = evaluation.COCOeval(
            _dataset(coco, [pair.truth for pair in pairs], classes),
            _dataset(coco, [pair.found for pair in pairs], classes),
            "bbox",
        )
        judge.params.iouThrs, judge.params.maxDets = IOUS, [MAX_BOXES]
        areas = dict(zip(SIZES, _AREAS, strict=True))
        judge.params.areaRng, judge.params.areaRngLbl = [list(areas[size]) for size in sizes], list(sizes)
        judge.evaluate()
    n = len(pairs)
    cells = [judge.evalImgs[start : start + n] for start in range(0, len(judge.evalImgs), n)]
    by = {
        size: tuple(_gathered(cells[label * len(sizes) + place], n) for label in range(len(classes)))
        for place, size in enumerate(sizes)
    }
    return Matches(classes, n, by)


def scores(matches: Matches, *, n_boot: int = N_BOOT, seed: int = 0) -> tuple[dict[str, Metric], dict[str, Metric]]:
    """Figures of a detector with 95% intervals by a bootstrap over pictures.

    Returns:
        The figures: "map" (mean over classes and overlaps .5 to .95), "map50", "map75", "map_small", "map_medium",
        "map_large" (left out where there are no such objects), "recall" (at most 100 boxes a picture and class); and
        the average precision of every class that has objects, with an interval where there are at least FEW.
    """
    weights = resamples(matches.pictures, n_boot, seed)
    whole = np.stack([one.precisions(weights) for one in matches.by["all"]])  # (C, 1 + B, 10)
    found = {"map": whole.mean(2), "map50": whole[:, :, 0], "map75": whole[:, :, 5]}
    for size in SIZES[1:]:
        if size in matches.by and any(one.objects.any() for one in matches.by[size]):
            found[f"map_{size}"] = np.stack([one.precisions(weights) for one in matches.by[size]]).mean(2)
    metrics = {name: _metric(_mean(values), matches.pictures) for name, values in found.items()}
    recalls = [one.recall for one in matches.by["all"] if one.objects.any()]
    metrics["recall"] = Metric(float(np.mean(recalls)), n=matches.pictures)
    by_class = {
        # The bootstrap of a handful of objects knows only what they are like: no interval is better than a wrong one.
        name: _metric(values if one.objects.sum() >= FEW else values[:1], int((one.objects > 0).sum()))
        for name, values, one in zip(matches.classes, found["map"], matches.by["all"], strict=True)
        if one.objects.any()
    }
    return metrics, by_class


def best_thresholds(matches: Matches, least: float = 0.05) -> Floats:
    """float32 (C,): for every class the least score at which F1 is highest, boxes being right from an overlap of .5 on.

    To be chosen on pictures that no figure is measured on. Classes with fewer than FEW objects share the threshold that
    is best for all boxes together.

    Args:
        matches: of validation pictures, boxes found at a low threshold.
        least: no threshold is lower.
    """
    every = matches.by["all"]
    pooled = np.concatenate([one.scores[one.counts[0]] for one in every])
    right = np.concatenate([one.right[0][one.counts[0]] for one in every])
    shared = _best(pooled, right, int(matches.objects.sum()))
    own = [
        _best(one.scores[one.counts[0]], one.right[0][one.counts[0]], int(one.objects.sum()))
        if one.objects.sum() >= FEW
        else shared
        for one in every
    ]
    return np.clip(np.array(own, dtype=np.float32), least, 1)


def f1(matches: Matches, thresholds: Floats) -> Metric:
    """F1 of all boxes at or above their class's threshold, right from an overlap of .5 on, with its interval."""
    weights = resamples(matches.pictures, N_BOOT, 0)
    right, predicted = np.zeros(len(weights)), np.zeros(len(weights))
    objects = np.zeros(len(weights))
    for one, limit in zip(matches.by["all"], thresholds.tolist(), strict=True):
        kept = one.counts[0] & (one.scores >= limit - 1e-9)
        times = weights[:, one.picture[kept]]
        right += times @ one.right[0][kept]
        predicted += times.sum(1)
        objects += weights @ one.objects
    return _metric(2 * right / np.maximum(predicted + objects, 1), matches.pictures)


def curve_of(matched: Matched) -> tuple[Vector, Vector]:
    """Recall and precision at an overlap of .5 from threshold to threshold, float64 (K,) each; () without objects.

    Precision is what is reached at this recall or any later one, as average precision takes it.
    """
    kept, total = matched.counts[0], int(matched.objects.sum())
    right = matched.right[0][kept]
    if not total or not len(right):
        return np.zeros(0), np.zeros(0)
    hits = np.cumsum(right)
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    turns = np.flatnonzero(right)  # between two right boxes the curve only falls
    return hits[turns] / total, precision[turns]


def average_precision(ordered: npt.NDArray[np.bool_], objects: int) -> float:
    """COCO's average precision of one class at one overlap: which boxes are right, most probable first.

    Example:
        >>> round(average_precision(np.array([True, False, True]), 2), 3)
        0.835
    """
    return float(average_precisions(np.ones((1, len(ordered))), ordered, np.array([float(objects)]))[0])


def average_precisions(times: Vector, right: npt.NDArray[np.bool_], total: Vector) -> Vector:
    """COCO's average precision (the mean precision at 101 recalls) of boxes that count so often.

    Args:
        times: float64 (B, D), how often each box counts in each resample, the most probable box first.
        right: bool (D,).
        total: float64 (B,), how many objects there are.

    Returns:
        float64 (B,).
    """
    out = np.zeros(len(times))
    if not times.shape[1]:
        return out
    size = max(1, _CHUNK // times.shape[1])
    for start in range(0, len(times), size):
        part, all_ = times[start : start + size], total[start : start + size]
        hits = np.cumsum(part * right, axis=1)
        precision = hits / np.maximum(np.cumsum(part, axis=1), np.spacing(1))
        # What any later place reaches counts here, too: the precision that this recall can be had at.
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = hits / np.maximum(all_, 1)[:, None]
        for row in range(len(part)):
            at = np.searchsorted(recall[row], _RECALLS, side="left")
            out[start + row] = precision[row, at[at < len(right)]].sum() / len(_RECALLS)
    return out


def _dataset(coco: Any, pictures: Sequence[Detections], classes: tuple[str, ...]) -> Any:
    """Boxes as pycocotools wants them; numbers of pictures, objects and classes start at 1."""
    made = coco.COCO()
    annotations: list[dict[str, Any]] = []
    for picture, regions in enumerate(pictures, 1):
        crowd = np.zeros(len(regions), bool) if regions.crowd is None else regions.crowd
        given = np.ones(len(regions)) if regions.scores is None else regions.scores
        for row, (x1, y1, x2, y2) in enumerate(regions.boxes.astype(np.float64).tolist()):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": picture,
                    "category_id": int(regions.labels[row]) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(crowd[row]),
                    "score": float(given[row]),
                }
            )
    made.dataset = {
        "images": [{"id": number} for number in range(1, len(pictures) + 1)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes, 1)],
        "annotations": annotations,
    }
    made.createIndex()
    return made


def _gathered(pictures: Sequence[dict[str, Any] | None], n: int) -> Matched:
    """One class and range of sizes over all pictures."""
    objects = np.zeros(n, dtype=np.int64)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    for number, evaluated in enumerate(pictures):
        if evaluated is None:
            continue
        objects[number] = int((np.asarray(evaluated["gtIgnore"]) == 0).sum())
        found = np.asarray(evaluated["dtScores"], dtype=np.float64)
        right = np.asarray(evaluated["dtMatches"]).reshape(len(IOUS), len(found)) > 0
        counts = ~np.asarray(evaluated["dtIgnore"], dtype=bool).reshape(len(IOUS), len(found))
        parts.append((found, right, counts, np.full(len(found), number)))
    if not parts:
        nothing = np.zeros((len(IOUS), 0), dtype=bool)
        return Matched(np.zeros(0), nothing, nothing, np.zeros(0, dtype=np.intp), objects)
    values, right, counts, picture = (np.concatenate(column, axis=-1) for column in zip(*parts, strict=True))
    order = np.argsort(-values, kind="mergesort")
    return Matched(values[order], right[:, order], counts[:, order], picture[order], objects)


def resamples(n: int, n_boot: int, seed: int = 0) -> Vector:
    """How often each picture counts: (1 + B, N); the first row is the data as they are."""
    rng = np.random.default_rng(seed)
    weights = np.ones((1 + n_boot, n))
    for row in weights[1:]:
        row[:] = np.bincount(rng.integers(n, size=n), minlength=n)
    return weights


def _mean(values: Vector) -> Vector:
    """Mean over the classes that have objects in each resample: (C, 1 + B) -> (1 + B,)."""
    present = np.isfinite(values)
    total = np.where(present, values, 0).sum(0)
    return np.asarray(total / np.maximum(present.sum(0), 1))


def _metric(values: Vector, n: int) -> Metric:
    """The first value with the interval that the resamples give, moved back by their bias.

    Resampling itself pushes average precision upwards: rare classes drop out of some resamples, and boxes that count
    twice are found twice.
    """
    value, rest = float(values[0]), values[1:][np.isfinite(values[1:])]
    if not len(rest):
        return Metric(value, n=n)
    low, high = np.quantile(rest, [0.025, 0.975]) - (rest.mean() - value)
    return Metric(value, float(np.clip(low, 0, value)), float(np.clip(high, value, 1)), n)


def _best(values: Vector, right: npt.NDArray[np.bool_], objects: int) -> float:
    """The least score at which F1 is highest; 0.5 where nothing is ever right."""
    order = np.argsort(-values, kind="stable")
    hits = np.cumsum(right[order])
    if not len(hits) or not hits[-1]:
        return 0.5
    f1_ = 2 * hits / (np.arange(1, len(hits) + 1) + objects)
    best = int(f1_.argmax())
    after = values[order[best + 1]] if best + 1 < len(order) else values[order[best]]
    # Halfway to the next box, so that rounding elsewhere does not lose the last good one.
    return float((values[order[best]] + after) / 2)
