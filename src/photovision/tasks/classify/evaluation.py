"""Evaluate a classifier: its answers compared with the truth, with intervals, mistakes, and what weakens it all."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from photovision.core import phrases
from photovision.core.drawing import MAX_CLASSES, heatmap, percent, reliability_diagram
from photovision.core.errors import DataError
from photovision.core.progress import ProgressCallback
from photovision.core.report import Figure, Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.thumbnail import picture_grid
from photovision.core.types import Floats, Sample
from photovision.data.corrections import NAME
from photovision.data.dataset import Dataset, Problem
from photovision.engine.holdout import leak_free
from photovision.runtime.uncertainty import Uncertainty
from photovision.tasks.classify import report_text as story
from photovision.tasks.classify.recognizer import ModelOutputs
from photovision.tasks.classify.uncertainty_report import limits
from photovision.trust.metrics.calibrate import ece_by_chance, reliability
from photovision.trust.metrics.scores import confusion, multi_label, per_class, single_label

SHOWN = 24


class Predictor(Protocol):
    """What evaluation needs of a model; `Recognizer` has it."""

    classes: tuple[str, ...]
    multilabel: bool
    thresholds: Floats | None

    @property
    def info(self) -> dict[str, Any]:
        """The whole of bundle.json."""

    @property
    def doubt(self) -> Uncertainty | None:
        """Prediction sets and gate; None where the model has none."""

    def respond(
        self, dataset: Dataset, progress: ProgressCallback | None = None, *, embeddings: bool = False
    ) -> ModelOutputs:
        """Probabilities, logits, novelty of all pictures, and the problems of unreadable ones."""


@dataclass(frozen=True, eq=False)
class ClassifyEvaluation:
    """A model's answers on the pictures that could be read and whose truth is known.

    Attributes:
        samples: these pictures.
        positions: where they stand in the dataset, int64 (N,).
        classes: names, in the model's order.
        probs: float32 (N, C), in that order.
        truth: int64 (N,) class indices, or 0/1 float32 (N, C) for a multi-label model.
        thresholds: float32 (C,) for a multi-label model, else None.
        problems: pictures that could not be read.
        novelty: float32 (N,); NaN where the model has no gate.
        embeddings: float32 (N, D), where they were asked for.
    """

    samples: tuple[Sample, ...]
    positions: np.ndarray
    classes: tuple[str, ...]
    probs: Floats
    truth: np.ndarray
    thresholds: Floats | None
    problems: tuple[Problem, ...]
    novelty: Floats
    embeddings: Floats | None = None

    @property
    def multilabel(self) -> bool:
        """Whether several classes may be true at once."""
        return self.truth.ndim == 2

    @property
    def said(self) -> np.ndarray:
        """bool (N, C): what the model states of every picture."""
        return self._stated(self.probs)

    @property
    def right(self) -> np.ndarray:
        """bool (N,): whether the picture's label, or every label of it, is right."""
        return self.right_of(self.probs)

    def right_of(self, probs: Floats) -> np.ndarray:
        """`right` for other probabilities (N, C) of the same pictures."""
        if not self.multilabel:
            return np.asarray(probs.argmax(1) == self.truth)
        return np.asarray((self._stated(probs) == (self.truth > 0)).all(1))

    def _stated(self, probs: Floats) -> np.ndarray:
        if not self.multilabel:
            return np.asarray(np.arange(len(self.classes)) == probs.argmax(1)[:, None])
        limits = np.full(len(self.classes), 0.5, np.float32) if self.thresholds is None else self.thresholds
        return np.asarray(probs >= limits)

    def at(self, rows: np.ndarray) -> ClassifyEvaluation:
        """The answers at these rows."""
        samples = tuple(self.samples[int(row)] for row in rows)
        return ClassifyEvaluation(
            samples,
            self.positions[rows],
            self.classes,
            self.probs[rows],
            self.truth[rows],
            self.thresholds,
            self.problems,
            self.novelty[rows],
            None if self.embeddings is None else self.embeddings[rows],
        )

    def scores(self) -> dict[str, Metric]:
        """All figures of the task, the leading one first."""
        if self.multilabel:
            return multi_label(self.probs, self.truth, self.thresholds)
        return single_label(self.probs, self.truth)


def evaluate_classes(
    recognizer: Predictor,
    dataset: Dataset,
    *,
    leaked: Collection[int] = (),
    unknown: Dataset | None = None,
    progress: ProgressCallback | None = None,
) -> Report:
    """Compare a classifier's answers with the truth.

    Args:
        recognizer: the model.
        dataset: labelled pictures; their classes must be among the model's, in any order.
        leaked: positions in `dataset` of pictures that resemble, or share a group with, training pictures; the
            leading figure without them is given, too.
        unknown: pictures of something else, their classes being what they show, to judge the gate with.
        progress: called with (pictures done, N).

    Returns:
        A report of kind "evaluate"; `metrics` are those of `trust.metrics.scores`, `trust.metrics.selective`, and for
        models with prediction sets and a gate `trust.metrics.conformal` and `trust.metrics.novelty`.

    Raises:
        DataError: a class is unknown to the model, nothing is labelled, or nothing could be read.
    """
    return judge(recognizer, answer(recognizer, dataset, progress), dataset, leaked=leaked, unknown=unknown)


def judge(
    recognizer: Predictor,
    answers: ClassifyEvaluation,
    dataset: Dataset,
    *,
    leaked: Collection[int] = (),
    unknown: Dataset | None = None,
) -> Report:
    """`evaluate_classes` for answers that were given already."""
    metrics = answers.scores()
    leaks = leak_free(answers.samples, dataset, leaked, metrics, lambda rows: answers.at(rows).scores())
    by_class = per_class(answers.probs, answers.truth, answers.classes, answers.thresholds)
    pairs = _confused(answers)
    figures = [_mistakes(answers), _reliability(answers), _heatmap(answers)]
    tables = [by_class, *(_pair_table(pairs, answers) if pairs else ())]
    others = _novelty_by_class(recognizer, unknown)
    limited = limits(
        answers.probs, answers.truth, answers.right, answers.novelty, recognizer.doubt, answers.classes, others
    )
    report = Report(
        kind="evaluate",
        title=f"How well {_name(recognizer)} does on {len(answers.samples):,} pictures",
        summary=story.evaluation(metrics, answers.probs, answers.truth, by_class, pairs),
        metrics={**metrics, **leaks.metrics},
        tables=tables,
        figures=[figure for figure in figures if figure is not None],
        warnings=[*leaks.warnings, *_warnings(answers, dataset)],
        provenance={
            "model": _model_facts(recognizer.info),
            "data": {"fingerprint": dataset.fingerprint, "pictures": len(dataset), "source": dataset.source},
            **provenance(),
        },
        data={
            "task": "classify",
            "classes": list(answers.classes),
            "unreadable": [{"id": problem.id, "message": problem.message} for problem in answers.problems],
            "confusions": [{"true": a, "said": b, "n": n} for a, b, n in pairs],
        },
    )
    return report.including(*limited)


def _check_classes(recognizer: Predictor, dataset: Dataset) -> None:
    known = recognizer.classes
    unknown = sorted({name for sample in dataset.samples for name in sample.target or ()} - set(known))
    if unknown:
        raise DataError(
            f"the model does not know {phrases.listed(unknown)}: give data whose classes are among its {len(known)}"
            f" ({phrases.listed(known)})"
        )
    if not recognizer.multilabel and any(len(s.target) != 1 for s in dataset.samples if s.target is not None):
        raise DataError(
            "the model gives every picture exactly one class, but the data has pictures with none or several"
        )


def _novelty_by_class(recognizer: Predictor, unknown: Dataset | None) -> dict[str, Floats]:
    """Name of what is shown -> novelty of its readable pictures."""
    if unknown is None or recognizer.doubt is None:
        return {}
    novelty = recognizer.respond(unknown).novelty
    shown = np.array([(sample.target or ("pictures",))[0] for sample in unknown.samples])
    found = {str(name): novelty[(shown == name) & np.isfinite(novelty)] for name in np.unique(shown)}
    return {name: values for name, values in found.items() if len(values)}


def answer(
    recognizer: Predictor, dataset: Dataset, progress: ProgressCallback | None = None, *, embeddings: bool = False
) -> ClassifyEvaluation:
    """Ask the model about every labelled picture; raises DataError as `evaluate_classes` does."""
    known = {name: i for i, name in enumerate(recognizer.classes)}
    _check_classes(recognizer, dataset)
    labelled = np.array([i for i, s in enumerate(dataset.samples) if s.target is not None], dtype=np.int64)
    if not len(labelled):
        raise DataError(
            "the data has no labelled pictures: an evaluation needs the truth, in folders or a label column"
        )
    part = dataset.subset(labelled)
    said = recognizer.respond(part, progress, embeddings=embeddings)
    probs, problems = said.probs, said.problems
    readable = np.flatnonzero(np.isfinite(probs).all(1))
    if not len(readable):
        first = f" ({problems[0].message})" if problems else ""
        raise DataError(f"none of the {len(part):,} pictures could be read{first}: check the files")
    samples = tuple(part.samples[int(row)] for row in readable)
    truth = np.zeros((len(samples), len(known)), np.float32)
    for row, sample in enumerate(samples):
        truth[row, [known[name] for name in sample.target or ()]] = 1
    return ClassifyEvaluation(
        samples,
        labelled[readable],
        recognizer.classes,
        probs[readable],
        truth if recognizer.multilabel else truth.argmax(1).astype(np.int64),
        recognizer.thresholds if recognizer.multilabel else None,
        tuple(problems),
        said.novelty[readable],
        None if said.embeddings is None else said.embeddings[readable],
    )


def evaluation(recognizer: Predictor, dataset: Dataset, progress: ProgressCallback | None = None) -> ClassifyEvaluation:
    """`answer` with embeddings, for the checks of an audit."""
    return answer(recognizer, dataset, progress, embeddings=True)


def _warnings(answers: ClassifyEvaluation, dataset: Dataset) -> list[str]:
    found = []
    if answers.problems:
        names = phrases.listed([problem.id for problem in answers.problems])
        found.append(f"{phrases.count(len(answers.problems), 'picture')} could not be read and count nowhere: {names}.")
    if dataset.problems:
        names = phrases.listed([f"{problem.id} ({problem.kind})" for problem in dataset.problems])
        found.append(f"{phrases.count(len(dataset.problems), 'file')} of the data were left out: {names}.")
    if changed := sum(change.applied and change.decision == "label" for change in dataset.corrections):
        found.append(f"{phrases.count(changed, 'label')} of the data corrected by hand, in {NAME}.")
    unlabelled = sum(sample.target is None for sample in dataset.samples)
    if unlabelled:
        found.append(f"{phrases.count(unlabelled, 'picture')} without a label were left out.")
    counts = answers.truth.sum(0) if answers.multilabel else np.bincount(answers.truth, minlength=len(answers.classes))
    present, few = int((counts > 0).sum()), int(((counts > 0) & (counts < 10)).sum())
    if present < len(counts):
        found.append(
            f"The data holds {present} of the model's {len(counts)} classes: nothing is known about the others."
        )
    if few:
        found.append(
            f"{phrases.count(few, 'class', 'classes')} here have fewer than 10 pictures: read their rows with care."
        )
    if len(answers.samples) < 100:
        found.append(f"These figures rest on {len(answers.samples)} pictures only: the intervals are wide.")
    return found


def _mistakes(answers: ClassifyEvaluation) -> Figure | None:
    wrong = np.flatnonzero(~answers.right)
    said = answers.said
    if answers.multilabel:
        missed = said != (answers.truth > 0)
        cost = np.where(missed, np.abs(answers.probs - answers.truth), 0).max(1)
    else:
        cost = answers.probs.max(1)
    worst = wrong[np.argsort(-cost[wrong], kind="stable")][:SHOWN]
    return picture_grid(
        "Worst mistakes",
        [answers.samples[int(row)] for row in worst],
        [_caption(answers, int(row)) for row in worst],
        f"The {len(worst)} wrong answers with the highest confidence, of {len(wrong):,} wrong ones. Look for wrong"
        " labels first: some of these may be the data's mistakes.",
    )


def _caption(answers: ClassifyEvaluation, row: int) -> str:
    return f"true: {true_names(answers, row)}\nsaid: {said_names(answers, row)}\n{answers.samples[row].id}"


def true_names(answers: ClassifyEvaluation, row: int) -> str:
    """The true class of one picture, or the true classes."""
    true = np.flatnonzero(answers.truth[row]) if answers.multilabel else [answers.truth[row]]
    return ", ".join(answers.classes[int(c)] for c in true) or "nothing"


def said_names(answers: ClassifyEvaluation, row: int) -> str:
    """What the model says of one picture, with its confidence: 'leek (97 %)'."""
    said = np.flatnonzero(answers.said[row])
    return ", ".join(f"{answers.classes[int(c)]} ({answers.probs[row, c] * 100:.0f} %)" for c in said) or "nothing"


def _reliability(answers: ClassifyEvaluation) -> Figure:
    bins = int(np.clip(len(answers.samples) // 15, 3, 10))  # fewer pictures, fewer and steadier points
    curve = reliability(answers.probs, answers.truth, bins)
    chance = ece_by_chance(answers.probs, answers.truth)
    note = (
        "Below the dashed line the model promises more than it keeps. Bins hold equally many statements; bars are 95 %"
        " intervals. Chance alone gives even a perfectly calibrated model a calibration error of about"
        f" {percent(chance)} here."
    )
    return Figure("Calibration", svg=reliability_diagram(*curve, title="Stated confidence against truth"), note=note)


def _heatmap(answers: ClassifyEvaluation) -> Figure | None:
    if answers.multilabel:
        return None
    matrix = confusion(answers.probs.argmax(1), answers.truth, len(answers.classes))
    used = np.flatnonzero(matrix.any(0) | matrix.any(1))
    if len(used) > MAX_CLASSES:
        return None
    names = [answers.classes[int(c)] for c in used]
    drawing = heatmap(matrix[np.ix_(used, used)], names, "Confusion matrix")
    return Figure(
        "Confusion", svg=drawing, note="Rows are the truth, columns the answers; colour is the share of the row."
    )


def _confused(answers: ClassifyEvaluation) -> list[tuple[str, str, int]]:
    """(true class, what it was called, how often), most frequent first; single-label only."""
    if answers.multilabel:
        return []
    matrix = confusion(answers.probs.argmax(1), answers.truth, len(answers.classes))
    np.fill_diagonal(matrix, 0)
    rows, columns = np.nonzero(matrix)
    order = np.argsort(-matrix[rows, columns], kind="stable")
    names = answers.classes
    return [(names[rows[i]], names[columns[i]], int(matrix[rows[i], columns[i]])) for i in order]


def _pair_table(pairs: Sequence[tuple[str, str, int]], answers: ClassifyEvaluation) -> list[Table]:
    totals = np.bincount(answers.truth, minlength=len(answers.classes))
    total = {name: int(n) for name, n in zip(answers.classes, totals, strict=True)}
    rows = tuple((true, said, n, percent(n / total[true])) for true, said, n in pairs[:20])
    return [Table("Most confused pairs", ("true class", "called", "times", "share of the class"), rows)]


def _name(recognizer: Predictor) -> str:
    backbone = recognizer.info.get("backbone") or {}
    return str(backbone.get("name") or "the model")


def _model_facts(info: dict[str, Any]) -> dict[str, Any]:
    facts = {name: info.get(name) for name in ("chosen", "temperature", "version")}
    backbone, data = info.get("backbone") or {}, info.get("data") or {}
    facts |= {
        "backbone": backbone.get("name"),
        "weights": backbone.get("weights"),
        "trained_on": data.get("fingerprint"),
    }
    return {name: value for name, value in facts.items() if value is not None}
