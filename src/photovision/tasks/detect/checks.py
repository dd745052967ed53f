"""Audit of a detector: whom and where it fails, in what conditions, and whether scores and truth can be trusted.

One pass over the pictures and the evaluation, then one check after the other, each a function of the same `BoxCase`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image as Pillow

from photovision.core.boxes import draw_regions
from photovision.core.parallel import in_order
from photovision.core.progress import Listener, Progress, silent
from photovision.core.regions import Detections
from photovision.core.report import Finding, Report
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image
from photovision.data.augment.image import load_pixels
from photovision.data.corruptions import CORRUPTIONS
from photovision.data.corruptions.transform_targets import BOXLESS, moved_boxes, through
from photovision.data.dataset import Dataset
from photovision.tasks.audit_request import AuditRequest, Groups, run_checks
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.evaluate import judge_boxes
from photovision.tasks.detect.evaluation import DetectEvaluation, kept, look, opened
from photovision.trust.metrics.detection import Pair, Vector, resamples
from photovision.trust.metrics.detection_errors import break_down
from photovision.trust.metrics.matching import ObjectBoxes, f1_of, find_hits

MOST_PICTURES = 1000
_SHARE_OF_CONDITIONS = 0.6
_LEAST_SCORE = 0.01  # in the conditions, which are many: boxes below count next to nothing for average precision
_N_BOOT = 100
_BATCH = 8
_SUSPECTS_SHOWN = 24
_SIDE, _CROP = 260, 220
_SHOWN_AT = (3, 5)


@dataclass(frozen=True, eq=False)
class BoxCase:
    """What is audited, with everything that the checks share.

    Attributes:
        detector: the model.
        looked: what it says of the readable pictures with boxes.
        groups: their attributes.
        seconds: budget of all checks together.
        seed: of everything random.
        listener: told what goes on.
    """

    detector: Detector
    looked: DetectEvaluation
    groups: Groups
    seconds: float
    seed: int
    listener: Listener

    @cached_property
    def f1(self) -> Vector:
        """float64 (N,): F1 of every picture at the thresholds."""
        return f1_of(self.looked.hits.tally(self.looked.thresholds))

    @cached_property
    def sizes(self) -> np.ndarray:
        """int64 (N, 2): (H, W) of every picture."""
        return np.array(self.looked.sizes)

    @cached_property
    def eager(self) -> Detector:
        """The detector at a low threshold, for average precision."""
        own = self.detector
        return Detector(own.bundle, threshold=_LEAST_SCORE, iou=own.iou, most=own.most)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of what the network sees."""
        return self.detector.preprocess.size

    def pixels(self, rows: Sequence[int]) -> Image:
        """uint8 (M, H, W, 3): some pictures as the network sees them."""
        samples = [self.looked.samples[row] for row in rows]
        return np.stack([image for _, image in in_order(samples, lambda s: load_pixels(s, self.detector.preprocess))])

    def truth(self, row: int) -> Detections:
        """The objects of a picture in pixels of what the network sees."""
        height, width = self.looked.sizes[row]
        return through(self.looked.pairs[row].truth, self.detector.preprocess.window(width, height), self.size)

    def found(self, images: Sequence[Image]) -> list[Detections]:
        """What the detector finds in pictures at the network's own size, in their pixels."""
        answers = []
        whole = (0.0, 0.0, float(self.size[1]), float(self.size[0]))
        for start in range(0, len(images), _BATCH):
            part = images[start : start + _BATCH]
            outputs = self.eager.session.run(np.stack(part))
            for row in range(len(part)):
                boxes = self.eager.boxes({name: value[row] for name, value in outputs.items()}, self.size, whole)
                answers.append(Detections(boxes.xyxy, boxes.labels, self.looked.classes, boxes.scores))
        return answers

    def shown(self, found: Detections) -> Detections:
        """The boxes that reach their class's threshold."""
        assert found.scores is not None
        return kept(found, np.flatnonzero(found.scores >= self.looked.thresholds[found.labels]))


def _groups(case: BoxCase) -> Finding:
    from photovision.trust.fairness.regions import audit_shares
    from photovision.trust.metrics.rates import precision, recall

    if not case.groups.compared:
        return Finding(
            ("Groups were not compared: the data has no attributes (--attributes names a table that has them).",)
        )
    hits, thresholds = case.looked.hits, case.looked.thresholds
    return audit_shares(
        case.groups.values,
        case.groups.compared,
        [recall(hits, thresholds), precision(hits, thresholds)],
        precise=hits.ap50,
        train_counts=(case.detector.info.get("data") or {}).get("groups") or {},
    )


def _objects(case: BoxCase) -> Finding:
    from photovision.trust.fairness.object_subgroups import audit_kinds

    hits, thresholds = case.looked.hits, case.looked.thresholds
    rows = np.flatnonzero(hits.shown(thresholds))
    found = hits.found
    said = ObjectBoxes(found.boxes[rows], found.labels[rows], found.picture[rows], found.row[rows])
    return audit_kinds(hits.there, hits.seen(thresholds), case.sizes, said=said, right=hits.right[rows])


def _slices(case: BoxCase) -> Finding:
    from photovision.trust.robustness.failure_clusters import weak_pictures

    rows = np.unique(np.linspace(0, len(case.f1) - 1, min(MOST_PICTURES, len(case.f1))).round().astype(int))
    samples = [case.looked.samples[row] for row in rows]
    values = {name: [column[row] for row in rows] for name, column in case.groups.values.items()}
    compared = {name: values[name] for name in case.groups.compared}
    images = case.pixels(rows.tolist())
    return weak_pictures(images, samples, case.f1[rows], name="F1", groups=compared, seed=case.seed)


def _conditions(case: BoxCase) -> Finding:
    from photovision.trust.robustness import regions as conditions
    from photovision.trust.robustness.suite import spread

    names = tuple(name for name in CORRUPTIONS.names() if name not in BOXLESS)
    first = case.pixels(range(min(4, len(case.f1))))
    most = conditions.affordable(case.found, first, case.seconds * _SHARE_OF_CONDITIONS, names)
    rows = spread(len(case.f1), min(most, MOST_PICTURES)).tolist()
    if len(rows) < conditions.FEWEST:
        return Finding(
            (f"Conditions were not measured: that takes {conditions.FEWEST} pictures, there are {len(rows)}.",)
        )
    images, truth = case.pixels(rows), [case.truth(row) for row in rows]
    clean = case.found(list(images))
    example = _example(case, rows)
    found, answers = conditions.suite(
        case.found,
        _measure(case, truth),
        images,
        clean,
        names=names,
        seed=case.seed,
        keep=example,
        left_out=[name for name in CORRUPTIONS.names() if name in BOXLESS],
        progress=lambda done, total: case.listener(Progress("conditions", done, total)),
    )
    answers["", 0] = clean[example]
    drawn = _shown_conditions(case, images[example], truth[example], answers, example)
    return conditions.finding(found, drawn, total=len(case.f1))


def _measure(case: BoxCase, truth: Sequence[Detections]) -> Callable[[str, int, list[Detections]], dict[str, Vector]]:
    """From the answers under a corruption to mAP at .5, recall and false boxes a picture, in the same resamples."""
    weights = resamples(len(truth), _N_BOOT, case.seed)

    def measure(name: str, severity: int, answers: list[Detections]) -> dict[str, Vector]:
        moved = [moved_boxes(one, case.size, name, severity, (case.seed, row)) for row, one in enumerate(truth)]
        hits = find_hits([Pair(*both) for both in zip(moved, answers, strict=True)], case.looked.classes)
        found, spare, missed = (weights @ hits.tally(case.looked.thresholds)).T
        recall = found / np.maximum(found + missed, 1)
        return {"map50": hits.ap50(weights), "recall_shown": recall, "false_boxes": spare / len(truth)}

    return measure


def _example(case: BoxCase, rows: Sequence[int]) -> int:
    """Position of a telling picture: a typical number of objects, as many of them found as possible."""
    tally = case.looked.hits.tally(case.looked.thresholds)[rows]
    there = tally[:, 0] + tally[:, 2]
    typical = np.abs(there - np.median(there[there > 0])) if there.any() else there
    return int(np.lexsort((-case.f1[rows], typical))[0])


def _shown_conditions(
    case: BoxCase, image: Image, truth: Detections, answers: Mapping[tuple[str, int], Detections], example: int
) -> list[tuple[bytes, str]]:
    """One picture in every condition with the boxes that are shown, and what became of its objects in words."""
    from photovision.data.corruptions import corrupt

    drawn = []
    for (name, severity), found in sorted(answers.items(), key=lambda item: item[0][0] != ""):
        if name and severity not in _SHOWN_AT:
            continue
        seed = (case.seed, example)
        picture = corrupt(image, name, severity, seed) if name else image
        shown = case.shown(found)
        moved = moved_boxes(truth, case.size, name, severity, seed)
        tally = find_hits([Pair(moved, shown)], case.looked.classes).tally(
            np.zeros(len(case.looked.classes), np.float32)
        )
        hits, spare, missed = tally[0].tolist()
        words = f"{name}, severity {severity}" if name else "as it is"
        caption = f"{words}\n{hits} of {hits + missed} found, {spare} false"
        drawn.append((jpeg(draw_regions(picture, shown, _SIDE)), caption))
    return drawn


def _labels(case: BoxCase) -> Finding:
    from photovision.trust.labels.box_errors import WORDS, find_suspects, finding

    looked = case.looked
    suspects = find_suspects(looked.pairs, break_down(looked.pairs, len(looked.classes)), len(looked.classes))
    pictures = []
    for one in suspects.found[:_SUSPECTS_SHOWN]:
        pair, sample = looked.pairs[one.picture], looked.samples[one.picture]
        image = opened(sample)
        if image is None:
            continue
        rows = np.array([one.row])
        if one.kind == "missed":
            own = pair.truth
            said = Detections(own.boxes[rows], own.labels[rows], looked.classes)
        else:
            said = kept(pair.found, rows)
        caption = f"{WORDS[one.kind][0]}: {said.names[0]}\n{sample.id}"
        pictures.append((jpeg(_surroundings(image, pair.truth, said)), caption))
    return finding(suspects, [sample.id for sample in looked.samples], pictures)


def _surroundings(image: Image, truth: Detections, said: Detections) -> Image:
    """A box in question amid its surroundings, with the annotations: uint8, _CROP pixels at its longer side."""
    x1, y1, x2, y2 = said.boxes[0].tolist()
    reach = 1.1 * max(x2 - x1, y2 - y1, 24)
    middle = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = (max(0, int(middle[axis] - reach)) for axis in (0, 1))
    right, bottom = (min(image.shape[1 - axis], int(middle[axis] + reach) + 1) for axis in (0, 1))
    part = Pillow.fromarray(image).crop((left, top, right, bottom))
    scale = _CROP / max(part.size)
    size = (max(1, round(part.height * scale)), max(1, round(part.width * scale)))
    page = np.asarray(part.resize(size[::-1], Pillow.Resampling.BICUBIC))
    window = (left, top, right, bottom)
    for regions in (truth, said):
        near = through(regions, window, size, least=0.0)
        page = draw_regions(page, replace(near, crowd=None))
    return page


def _calibration(case: BoxCase) -> Finding:
    from photovision.trust.metrics.box_confidence import finding

    return finding(case.looked.hits, case.looked.thresholds)


CHECKS: Mapping[str, Callable[[BoxCase], Finding | None]] = {
    "groups": _groups,
    "objects": _objects,
    "slices": _slices,
    "conditions": _conditions,
    "calibration": _calibration,
    "labels": _labels,
}
"""Name -> check of a detector, in the order of the report."""


def audit_boxes(
    detector: Detector, dataset: Dataset, wish: AuditRequest, listener: Listener = silent, leaked: Collection[int] = ()
) -> Report:
    """Question a detector.

    Args:
        detector: the model.
        dataset: pictures with boxes that it did not learn from, with attributes where groups are to be compared.
        wish: what is asked for; its checks are among `CHECKS`.
        listener: told what goes on.
        leaked: as for `evaluate_boxes`.

    Returns:
        A report of kind "audit": the evaluation, and what every check found.

    Raises:
        DataError: as for `evaluate_boxes`, or no picture has an attribute that was asked for.
        UsageError: there is no check of that name for detectors.
    """
    wish.among(CHECKS, "a detector")
    started = time.monotonic()
    looked = look(detector, dataset, lambda done, total: listener(Progress("judging", done, total)))
    groups = Groups.of(looked.samples, wish.by)
    base = judge_boxes(detector, looked, dataset, leaked)
    seconds = max(1.0, wish.minutes * 60 - (time.monotonic() - started))
    found, took = run_checks(
        CHECKS, BoxCase(detector, looked, groups, seconds, wish.seed, listener), wish.only, listener
    )
    return replace(
        base.including(*found),
        kind="audit",
        title=f"An audit of the detector on {len(looked.samples):,} pictures",
        provenance={**base.provenance, "audit": {**asdict(wish), "seconds": took}},
    )
