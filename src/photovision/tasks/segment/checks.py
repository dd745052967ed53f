"""Audit of a segmenter: whom and where it fails, and in what conditions.

As `photovision.tasks.detect.checks`, with Dice, mean IoU and, where objects are told apart, the objects that are found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image as Pillow

from photovision.core.drawing import percent
from photovision.core.errors import DataError
from photovision.core.parallel import in_order
from photovision.core.preprocess import Preprocess
from photovision.core.progress import Listener, Progress, silent
from photovision.core.regions import Detections, LabelMap
from photovision.core.report import Finding, Report
from photovision.core.segments import draw_segments
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image, Sample
from photovision.data.augment.image import load_pixels
from photovision.data.corruptions import CORRUPTIONS, corrupt
from photovision.data.corruptions.transform_targets import MOVING, moved_labels
from photovision.data.dataset import Dataset
from photovision.data.formats.colours import BACKGROUND
from photovision.tasks.audit_request import AuditRequest, Groups, run_checks
from photovision.tasks.detect.evaluation import opened
from photovision.tasks.segment.evaluation import SegmentEvaluation, background_of, judge, judged_report, truth_of
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.metrics.detection import Pair, Vector, resamples
from photovision.trust.metrics.matching import find_hits
from photovision.trust.metrics.rates import Rate
from photovision.trust.metrics.segmentation import confusion_of, pooled

MOST_PICTURES = 500
_SHARE_OF_CONDITIONS = 0.6
_MOST_CLASSES = 20  # with more, what moves pixels is left out: every class would go through it as a picture
_LARGEST = 768  # sides of pictures that are corrupted, in pixels
_N_BOOT = 100
_THUMB, _SIDE = 64, 260
_SHOWN_AT = (3, 5)


@dataclass(frozen=True, eq=False)
class MaskCase:
    """What is audited: the model, what it says of the pictures, their attributes, the budget in seconds, the seed."""

    segmenter: Segmenter
    judged: SegmentEvaluation
    groups: Groups
    seconds: float
    seed: int
    listener: Listener

    @property
    def score_name(self) -> str:
        """What the score of a picture is called."""
        return "mean IoU" if self.judged.counts is None else "F1 of objects"

    @cached_property
    def size(self) -> tuple[int, int]:
        """(H, W) of the pictures that are corrupted: one window of the model."""
        height, width = self.segmenter.tile or self.segmenter.preprocess.size
        return min(height, _LARGEST), min(width, _LARGEST)

    def view(self, sample: Sample) -> tuple[Image, LabelMap]:
        """One window of a picture and the class of its every pixel, both of `size`: its middle, or the whole, scaled.

        Raises:
            DataError: it cannot be read any more, or its masks are of another size.
        """
        image = opened(sample)
        if image is None:
            raise DataError(f"{sample.id} cannot be read any more")
        labels, _ = truth_of(sample, self.segmenter.classes, image.shape[:2])
        if self.segmenter.tile is not None:
            return _middle(image, self.size), _middle(labels, self.size)
        whole = self.segmenter.preprocess.apply(image)
        box = self.segmenter.preprocess.window(image.shape[1], image.shape[0])
        scaled = Pillow.fromarray(labels.astype(np.int32)).resize(self.size[::-1], Pillow.Resampling.NEAREST, box=box)
        return whole, np.asarray(scaled, dtype=np.int32)

    def answers(self, images: Sequence[Image]) -> list[LabelMap]:
        """What the model says of every pixel."""
        found = []
        for scene in self.segmenter.see(images):
            assert scene.found is not None  # these pictures are decoded already
            found.append(scene.found.labels)
        return found


def _middle(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle (H, W) of a picture or its labels, mirrored at the border where it is smaller."""
    lacking = [max(0, side - have) for side, have in zip(size, values.shape, strict=False)]
    edges = [(lack // 2, lack - lack // 2) for lack in lacking] + [(0, 0)] * (values.ndim - 2)
    whole = np.pad(values, edges, mode="symmetric") if any(lacking) else values
    top, left = ((have - side) // 2 for have, side in zip(whole.shape, size, strict=False))
    return np.ascontiguousarray(whole[top : top + size[0], left : left + size[1]])


def _shares(case: MaskCase) -> list[Rate]:
    """Dice of the classes but the background, and objects found where objects are told apart."""
    table = case.judged.confusions
    background = background_of(case.segmenter.classes)
    things = [number for number in range(table.shape[1]) if number != background]
    right = np.einsum("ncc->nc", table)[:, things].astype(np.float64)
    both = (table.sum(1) + table.sum(2))[:, things].astype(np.float64)
    rates = 2 * right.sum(0) / np.maximum(both.sum(0), 1)
    found = [Rate("dice", "right", 2 * right.sum(1), both.sum(1), both @ rates)]
    if case.judged.counts is not None:
        hits, spare, missed = case.judged.counts.T.astype(np.float64)
        for name, told, whole in (("recall", "found", hits + missed), ("precision", "right", hits + spare)):
            found.append(Rate(name, told, hits, whole, whole * hits.sum() / max(whole.sum(), 1)))
    return found


def _groups(case: MaskCase) -> Finding:
    from photovision.trust.fairness.regions import audit_shares

    if not case.groups.compared:
        return Finding(
            ("Groups were not compared: the data has no attributes (--attributes names a table that has them).",)
        )
    trained = (case.segmenter.info.get("data") or {}).get("groups") or {}
    return audit_shares(case.groups.values, case.groups.compared, _shares(case), train_counts=trained)


def _objects(case: MaskCase) -> Finding | None:
    """Kinds of objects, held against the truth by the boxes around their masks; None where they are not told apart."""
    from photovision.trust.fairness.object_subgroups import audit_kinds

    names = tuple(name for name in case.segmenter.classes if name != BACKGROUND)
    told = [sample for sample in case.judged.samples if isinstance(sample.regions, Detections)][:MOST_PICTURES]
    if not case.segmenter.instances or not told:
        return None
    pairs, sizes = [], []
    for sample, scene in zip(told, case.segmenter.see(sample.image for sample in told), strict=True):
        if scene.objects is not None and isinstance(sample.regions, Detections):
            both = (sample.regions, scene.objects)
            pairs.append(Pair(*(replace(one, labels=_numbered(one, names), classes=names) for one in both)))
            sizes.append(scene.size)
    hits = find_hits(pairs, names)
    thresholds = np.zeros(len(names), np.float32)  # every object that is said is shown
    return audit_kinds(hits.there, hits.seen(thresholds), np.array(sizes), said=hits.found, right=hits.right)


def _numbered(found: Detections, names: tuple[str, ...]) -> np.ndarray:
    return np.array([names.index(name) for name in found.names], dtype=np.int64)


def _slices(case: MaskCase) -> Finding:
    from photovision.trust.robustness.failure_clusters import weak_pictures

    score = 1 - case.judged.badness
    rows = np.unique(np.linspace(0, len(score) - 1, min(MOST_PICTURES, len(score))).round().astype(int))
    samples = [case.judged.samples[row] for row in rows]
    thumbs = Preprocess((_THUMB, _THUMB))
    images = np.stack([image for _, image in in_order(samples, lambda sample: load_pixels(sample, thumbs))])
    told = {name: [case.groups.values[name][row] for row in rows] for name in case.groups.compared}
    return weak_pictures(images, samples, score[rows], name=case.score_name, groups=told, seed=case.seed)


def _conditions(case: MaskCase) -> Finding:
    from photovision.trust.robustness import regions as conditions
    from photovision.trust.robustness.suite import spread

    many = len(case.segmenter.classes) > _MOST_CLASSES
    left_out = [name for name in CORRUPTIONS.names() if many and name in MOVING]
    names = tuple(name for name in CORRUPTIONS.names() if name not in left_out)
    samples = case.judged.samples
    first = [case.view(sample)[0] for sample in samples[:4]]
    most = conditions.affordable(case.answers, first, case.seconds * _SHARE_OF_CONDITIONS, names)
    rows = spread(len(samples), min(most, MOST_PICTURES)).tolist()
    if len(rows) < conditions.FEWEST:
        return Finding(
            (f"Conditions were not measured: that takes {conditions.FEWEST} pictures, there are {len(rows)}.",)
        )
    views = [case.view(samples[row]) for row in rows]
    images, truth = [image for image, _ in views], [labels for _, labels in views]
    clean = case.answers(images)
    example = _example(case, truth)
    found, kept = conditions.suite(
        case.answers,
        _measure(case, truth),
        images,
        clean,
        names=names,
        seed=case.seed,
        keep=example,
        left_out=left_out,
        progress=lambda done, total: case.listener(Progress("conditions", done, total)),
    )
    kept["", 0] = clean[example]
    return conditions.finding(found, _shown(case, images[example], truth[example], kept, example))


def _measure(case: MaskCase, truth: Sequence[LabelMap]) -> Callable[[str, int, list[LabelMap]], dict[str, Vector]]:
    """From the answers under a corruption to Dice and mean IoU, in the same resamples of pictures."""
    weights, count = resamples(len(truth), _N_BOOT, case.seed), len(case.segmenter.classes)
    background = background_of(case.segmenter.classes)

    def measure(name: str, severity: int, answers: list[LabelMap]) -> dict[str, Vector]:
        tables = []
        for row, (labels, said) in enumerate(zip(truth, answers, strict=True)):
            moved = moved_labels(labels, count, name, severity, (case.seed, row)) if name else labels
            tables.append(confusion_of(moved, said, count))
        sums = weights @ np.stack(tables).reshape(len(truth), -1)
        return pooled(sums.reshape(-1, count, count), background)

    return measure


def _example(case: MaskCase, truth: Sequence[LabelMap]) -> int:
    """Position of the picture in which most is of a class but the background, of up to half of the picture."""
    background = background_of(case.segmenter.classes)
    return int(np.argmin([abs(float((labels != background).mean()) - 0.4) for labels in truth]))


def _shown(
    case: MaskCase, image: Image, truth: LabelMap, answers: Mapping[tuple[str, int], LabelMap], example: int
) -> list[tuple[bytes, str]]:
    """One picture in every condition with what the model says of it, and its Dice."""
    classes, drawn = case.segmenter.classes, []
    for (name, severity), said in sorted(answers.items(), key=lambda item: item[0][0] != ""):
        if name and severity not in _SHOWN_AT:
            continue
        seed = (case.seed, example)
        picture = corrupt(image, name, severity, seed) if name else image
        moved = moved_labels(truth, len(classes), name, severity, seed) if name else truth
        dice = pooled(confusion_of(moved, said, len(classes))[None], background_of(classes))["dice"][0]
        words = f"{name}, severity {severity}" if name else "as it is"
        caption = f"{words}\nDice {percent(float(dice)) if np.isfinite(dice) else 'unknown'}"
        page = draw_segments(picture, said, None, classes, side=_SIDE, background=background_of(classes))
        drawn.append((jpeg(page[: round(_SIDE * image.shape[0] / image.shape[1])]), caption))  # without its legend
    return drawn


CHECKS: Mapping[str, Callable[[MaskCase], Finding | None]] = {
    "groups": _groups,
    "objects": _objects,
    "slices": _slices,
    "conditions": _conditions,
}
"""Name -> check of a segmenter, in the order of the report."""


def audit_masks(
    segmenter: Segmenter,
    dataset: Dataset,
    wish: AuditRequest,
    listener: Listener = silent,
    leaked: Collection[int] = (),
) -> Report:
    """Question a segmenter.

    Args:
        segmenter: the model.
        dataset: pictures with masks that it did not learn from, with attributes where groups are to be compared.
        wish: what is asked for; its checks are among `CHECKS`.
        listener: told what goes on.
        leaked: as for `evaluate_masks`.

    Returns:
        A report of kind "audit": the evaluation, and what every check found.

    Raises:
        DataError: as for `evaluate_masks`, or no picture has an attribute that was asked for.
        UsageError: there is no check of that name for segmenters.
    """
    wish.among(CHECKS, "a segmenter")
    started = time.monotonic()
    judged = judge(segmenter, dataset, lambda done, total: listener(Progress("judging", done, total)))
    groups = Groups.of(judged.samples, wish.by)
    base = judged_report(segmenter, judged, dataset, leaked)
    seconds = max(1.0, wish.minutes * 60 - (time.monotonic() - started))
    case = MaskCase(segmenter, judged, groups, seconds, wish.seed, listener)
    found, took = run_checks(CHECKS, case, wish.only, listener)
    return replace(
        base.including(*found),
        kind="audit",
        title=f"An audit of the segmenter on {len(judged.samples):,} pictures",
        provenance={**base.provenance, "audit": {**asdict(wish), "seconds": took}},
    )
