"""Audit: whom and where a model fails, in what conditions, by what shortcuts, and beside what people."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from photovision.core.drawing import percent
from photovision.core.files import write_json
from photovision.core.parallel import in_order
from photovision.core.progress import Listener, Progress, ProgressCallback, counted, silent
from photovision.core.report import Finding, Metric, Report, Table
from photovision.core.seal import edited, write_sealed
from photovision.core.types import Floats, Image
from photovision.data.attributes import with_attributes
from photovision.data.augment.image import load_pixels
from photovision.data.dataset import Dataset
from photovision.data.read import as_dataset
from photovision.engine.holdout import hold_out
from photovision.engine.load import opened
from photovision.tasks.audit_request import AuditRequest as AuditRequest
from photovision.tasks.audit_request import Groups, run_checks
from photovision.tasks.classify.evaluation import ClassifyEvaluation, answer, judge
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.detect.checks import audit_boxes
from photovision.tasks.detect.detector import Detector
from photovision.tasks.evaluate import Model, check_unknown
from photovision.tasks.model_card import model_card
from photovision.tasks.segment.checks import audit_masks
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.metrics.statistics import proportion

MOST_PICTURES = 1000
_MOST_BYTES = 300_000_000
_BATCH = 32
_SHARE_OF_ROBUSTNESS, _SHARE_OF_SHORTCUTS = 0.4, 0.15
_LEAST_ANSWERS, _MAPS = 1000, 24
_LEAST_FOR_LABELS = 50
_SUSPECTS_SHOWN = 24
_LEAST_EXPLAINED, _EXPLAINED, _ORDERS, _FAITHFUL = 10, 24, 5, 0.75


@dataclass(frozen=True, eq=False)
class AuditContext:
    """What is audited, with everything that the checks share.

    Attributes:
        model: the model.
        answers: what it says of the readable, labelled pictures, with embeddings.
        by: attributes to compare groups by.
        seconds: budget of all checks together.
        seed: of everything random.
        listener: told what goes on.
    """

    model: Recognizer
    answers: ClassifyEvaluation
    by: tuple[str, ...]
    seconds: float
    seed: int
    listener: Listener

    @cached_property
    def rows(self) -> np.ndarray:
        """Rows of `answers` whose pixels the checks work on: evenly spread, as many as memory allows."""
        height, width = self.model.preprocess.size
        most = min(MOST_PICTURES, max(50, _MOST_BYTES // (height * width * 3)), len(self.answers.samples))
        return np.unique(np.linspace(0, len(self.answers.samples) - 1, most).round().astype(int))

    @cached_property
    def images(self) -> Image:
        """uint8 (M, H, W, 3): these pictures as the network sees them."""
        samples = [self.answers.samples[int(row)] for row in self.rows]
        loaded = in_order(samples, lambda sample: load_pixels(sample, self.model.preprocess))
        return np.stack([image for _, image in loaded])

    @cached_property
    def part(self) -> ClassifyEvaluation:
        """The answers for `images`."""
        return self.answers.at(self.rows)

    @cached_property
    def attributes(self) -> Groups:
        """The attributes of the pictures; raises DataError where one that was asked for does not exist."""
        return Groups.of(self.answers.samples, self.by)

    @property
    def groups(self) -> dict[str, list[str]]:
        """Attribute -> one value a picture, "" where it is not known."""
        return self.attributes.values

    @property
    def compared(self) -> tuple[str, ...]:
        """Attributes to compare groups by."""
        return self.attributes.compared

    def probs(self, images: Image) -> Floats:
        """float32 (N, C): what the model says of pictures (N, H, W, 3) at its own size."""
        parts = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
        return np.concatenate([self.model.session.run(part)["probs"] for part in parts])

    @cached_property
    def seconds_of_answer(self) -> float:
        """How long one answer takes on this machine, without decoding."""
        few = self.images[: 2 * _BATCH]
        self.probs(few[:1])  # the first time loads libraries
        started = time.perf_counter()
        self.probs(few)
        return (time.perf_counter() - started) / len(few)

    def tell(self, check: str) -> ProgressCallback:
        """A callback (done, total) for one check."""
        return lambda done, total: self.listener(Progress(check, done, total))


def _groups(case: AuditContext) -> Finding | None:
    from photovision.trust.fairness.audit import audit_groups

    if not case.compared:
        return Finding(("Groups were not compared: the data has no attributes (columns beside the label).",))
    answers, doubt = case.answers, case.model.doubt
    trained = (case.model.info.get("data") or {}).get("groups") or {}
    return audit_groups(
        case.groups,
        case.compared,
        classes=answers.classes,
        probs=answers.probs,
        truth=answers.truth,
        right=answers.right,
        said=answers.said,
        sets=None if doubt is None else answers.probs >= doubt.thresholds,
        coverage=None if doubt is None else doubt.coverage,
        train_counts=trained,
    )


def _slices(case: AuditContext) -> Finding | None:
    from photovision.trust.robustness.slices import find_slices, finding

    answers = case.answers
    assert answers.embeddings is not None
    found = find_slices(
        answers.embeddings,
        answers.right,
        groups={name: case.groups[name] for name in case.compared},
        classes=answers.classes,
        truth=answers.truth,
        seed=case.seed,
    )
    return finding(found, answers.samples, answers.right)


def _shortcuts(case: AuditContext) -> Finding | None:
    from photovision.tasks.explain import heatmaps
    from photovision.trust.robustness.shortcuts import audit_shortcuts

    part = case.part
    few = np.linspace(0, len(case.images) - 1, min(_MAPS, len(case.images))).round().astype(int)
    maps = heatmaps(case.model, case.images[few], part.probs[few].argmax(1))
    return audit_shortcuts(
        case.probs,
        case.images,
        part.truth,
        classes=part.classes,
        thresholds=part.thresholds,
        heatmaps=maps,
        answers=max(_LEAST_ANSWERS, int(_SHARE_OF_SHORTCUTS * case.seconds / case.seconds_of_answer)),
        seed=case.seed,
    )


def _labels(case: AuditContext) -> Finding | None:
    from photovision.core.thumbnail import picture_grid
    from photovision.trust.labels.label_errors import label_errors

    answers = case.answers
    if answers.multilabel or len(answers.samples) < _LEAST_FOR_LABELS:
        return None
    found = label_errors(answers.probs, answers.truth)
    names, n = answers.classes, len(answers.samples)
    rate = Metric(*found.share, n)
    if not found.shown:
        return Finding((f"The labels of the {n:,} pictures show no errors beyond chance.",), {"label_error_rate": rate})
    rows = found.suspects[:_SUSPECTS_SHOWN]
    captions = [
        f"label: {names[int(answers.truth[r])]}\nlooks like: {names[int(found.suggested[r])]}\n{answers.samples[r].id}"
        for r in rows
    ]
    note = (
        f"{len(rows)} of {len(found.suspects):,} labels that are more probably wrong than right, as this model sees it."
    )
    grid = picture_grid("Suspicious labels", [answers.samples[int(r)] for r in rows], captions, note)
    told = (
        f"{len(found.suspects):,} of {n:,} labels are more probably wrong than right; look at them before the figures."
    )
    suspects = [{"id": answers.samples[int(r)].id, "suggested": names[int(found.suggested[r])]} for r in found.suspects]
    return Finding(
        (told,), {"label_error_rate": rate}, figures=[grid] if grid else [], data={"suspicious_labels": suspects}
    )


def _explanations(case: AuditContext) -> Finding | None:
    from photovision.tasks.explain import heatmaps, subject_of
    from photovision.trust.explain.default_method import choose
    from photovision.trust.explain.faithfulness import trials

    part = case.part
    right = np.flatnonzero(part.right & (part.said.sum(1) > 0))
    if len(right) < _LEAST_EXPLAINED:
        return None
    rows = right[np.linspace(0, len(right) - 1, min(_EXPLAINED, len(right))).round().astype(int)]
    images, classes = case.images[rows], part.probs[rows].argmax(1)
    subject = subject_of(case.model)
    maps = heatmaps(case.model, images, classes)
    found = [
        trials(subject, image, int(target), heat[None], orders=_ORDERS, seed=case.seed)[0]
        for image, target, heat in zip(images, classes, maps, strict=True)
    ]
    n, method = len(found), choose(subject).name
    both = Metric(*proportion(sum(t.beats_insertion and t.beats_deletion for t in found), n), n)
    rows_of = (("insertion", [t.beats_insertion for t in found]), ("deletion", [t.beats_deletion for t in found]))
    table = Table(
        "Explanations",
        ("test", "better than random order"),
        tuple((name, Metric(*proportion(sum(better), n), n)) for name, better in rows_of),
        f"Maps of the default explainer ({method}) for rightly named pictures, against {_ORDERS} random orders each.",
    )
    told = (
        f"Maps of where it looks ({method}) beat random order in both tests on {percent(both.value)} of {n} pictures."
    )
    warning = (
        f"Maps by {method} are often no better than chance for this model: see the test of each before you use it."
    )
    poor = both.high is not None and both.high < _FAITHFUL
    return Finding((told,), {"faithful_maps": both}, [table], warnings=[warning] if poor else [])


def _robustness(case: AuditContext) -> Finding:
    from photovision.trust.robustness.report import finding
    from photovision.trust.robustness.suite import affordable, highest, spread, suite

    part = case.part
    count = affordable(case.probs, case.images[:16], case.seconds * _SHARE_OF_ROBUSTNESS)
    rows = spread(len(case.images), count)
    chosen = part.at(rows)
    found = suite(
        case.probs,
        chosen.right_of,
        case.images[rows],
        seed=case.seed,
        probs_clean=chosen.probs,
        confidence=None if part.multilabel else highest,
        progress=case.tell("conditions"),
    )
    return finding(found, case.images[rows], total=len(case.answers.samples))


def _raters(case: AuditContext) -> Finding | None:
    from photovision.trust.labels.annotators import is_rater, raters_finding

    names = sorted({name for sample in case.answers.samples for name in sample.groups if is_rater(name)})
    if not names or case.answers.multilabel:
        return None
    ratings = {name: [sample.groups.get(name, "") for sample in case.answers.samples] for name in names}
    answers = case.answers
    return raters_finding(ratings, answers.classes, answers.probs.argmax(1), answers.truth, seed=case.seed)


CHECKS: Mapping[str, Callable[[AuditContext], Finding | None]] = {
    "groups": _groups,
    "slices": _slices,
    "shortcuts": _shortcuts,
    "conditions": _robustness,
    "labels": _labels,
    "raters": _raters,
    "explanations": _explanations,
}
"""Name -> check, in the order of the report; a check that has nothing to look at says None."""


def audit(
    model: Model | str | Path,
    data: Dataset | str | Path,
    *,
    by: Sequence[str] = (),
    only: Sequence[str] = (),
    minutes: float = 3.0,
    seed: int = 0,
    split: str | None = None,
    attributes: str | Path | None = None,
    unknown: Dataset | None = None,
    listener: Listener = silent,
) -> Report:
    """Question a model.

    Args:
        model: the model, or its folder; a detector or a segmenter is questioned by `CHECKS` of its own, see
            `audit_boxes` and `audit_masks`.
        data: labelled pictures, or their path, with attributes where groups are to be compared.
        by: attributes to compare groups by; empty takes all that have few values.
        only: names of `CHECKS` to run; empty runs all.
        minutes: wall time for all of them; the costly ones look at as many pictures as fit.
        seed: of everything random.
        split: as for `evaluate`; None takes the pictures that the model did not learn from.
        attributes: a table with a column file_name and attributes of the pictures to add.
        unknown: pictures of something else, for classifiers with a gate.
        listener: told what goes on.

    Returns:
        A report of kind "audit": the evaluation, and what every check found.

    Raises:
        DataError: as for `evaluate`, or no picture has an attribute that was asked for.
        UsageError: no check of that name, or a model that cannot be audited.
    """
    wish = AuditRequest(tuple(by), tuple(only), minutes, seed)
    own: Model = opened(model, "audit")
    check_unknown(own, unknown)
    dataset = as_dataset(data)
    held = hold_out(dataset, [own], split, counted(listener, "checking pictures"))
    chosen = with_attributes(held.dataset, Path(attributes)) if attributes is not None else held.dataset
    if isinstance(own, Detector):
        report = audit_boxes(own, chosen, wish, listener, held.leaked)
    elif isinstance(own, Segmenter):
        report = audit_masks(own, chosen, wish, listener, held.leaked)
    else:
        report = _audit_classes(own, chosen, wish, listener, held.leaked, unknown)
    drawn = {**report.provenance["data"], "drawn_from": dataset.fingerprint}
    return replace(report, summary=(*report.summary, held.note), provenance={**report.provenance, "data": drawn})


def _audit_classes(
    model: Recognizer,
    dataset: Dataset,
    wish: AuditRequest,
    listener: Listener,
    leaked: Collection[int],
    unknown: Dataset | None,
) -> Report:
    wish.among(CHECKS, "a classifier")
    started = time.monotonic()
    answers = answer(model, dataset, counted(listener, "judging"), embeddings=True)
    base = judge(model, answers, dataset, leaked=leaked, unknown=unknown)
    case = AuditContext(model, answers, wish.by, wish.minutes * 60 - (time.monotonic() - started), wish.seed, listener)
    _ = case.attributes  # a mistaken name is told before the work
    found, seconds = run_checks(CHECKS, case, wish.only, listener)
    report = base.including(*found)
    return replace(
        report,
        kind="audit",
        title=f"An audit on {len(answers.samples):,} pictures",
        provenance={**report.provenance, "audit": {**asdict(wish), "seconds": seconds}},
    )


def rewrite_card(model: Model, report: Report) -> bool:
    """Write what an audit found into a model's folder: audit.json, and a card that tells of it.

    Args:
        model: what was questioned.
        report: of the audit.

    Returns:
        whether the card was written; one that was edited by hand stays.
    """
    found, card = report.to_json(), model.bundle.path / "README.md"
    write_json(model.bundle.path / "audit.json", found)
    if card.is_file() and edited(card):
        return False
    write_sealed(card, model_card(model.info, found))
    return True
