"""A classifier's decisions on cases: made, and measured where the truth is known."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from photovision.core.errors import DataError, UsageError
from photovision.core.progress import ProgressCallback
from photovision.core.report import Finding
from photovision.core.types import Ints, Sample
from photovision.data.dataset import Dataset
from photovision.engine.refer import ReferralRequest, read_costs
from photovision.runtime.validation import read_validation
from photovision.tasks.classify.evaluation import check_classes
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.labels.annotators import is_rater
from photovision.trust.referral import text
from photovision.trust.referral.cases import Cases
from photovision.trust.referral.outcomes import Outcomes
from photovision.trust.referral.rules import OperatingPoint, ReferralRule, positive_classes


def refer(
    model: Recognizer, dataset: Dataset, request: ReferralRequest, progress: ProgressCallback | None = None
) -> Finding:
    """Decide on the cases of a data set; see `engine.refer`.

    Raises:
        UsageError: a multi-label model.
        DataError: a class that the model does not know, nothing could be read, or no validation pictures are kept.
    """
    if model.multilabel:
        raise UsageError("'refer' needs a classifier of one class a picture; this one gives any number of classes")
    check_classes(model, dataset)
    rule = rule_of(model, request)
    answers = model.respond(dataset, progress)
    rows = np.flatnonzero(np.isfinite(answers.probs).all(1))
    if not len(rows):
        raise DataError(f"none of the {len(dataset):,} pictures could be read: check the files")
    samples = [dataset.samples[int(row)] for row in rows]
    limit = None if model.doubt is None else model.doubt.limit
    unknown = np.zeros(len(rows), bool) if limit is None else answers.novelty[rows] > limit
    cases = Cases.of(samples, answers.probs[rows], unknown, request.by, request.patient)
    found = text.decisions(rule, cases, model.classes, answers.problems)
    truth = _truth(samples, cases, rule, model.classes)
    known = np.flatnonzero(truth >= 0)
    if not len(known):
        return found
    judged = cases.at(known)
    outcomes = Outcomes.of(rule, judged, truth[known])
    names = sorted({name for sample in samples for name in sample.groups if is_rater(name)})
    readers = cases.readers(samples, names, rule, model.classes)[:, known]
    measured = text.measured(outcomes, judged, model.classes, request.base_rates, request.seed)
    beside = text.beside_readers(outcomes, dict(zip(names, readers, strict=True)), request.seed)
    return measured.including(beside, found)


def rule_of(model: Recognizer, request: ReferralRequest) -> ReferralRule:
    """The rule that is asked for; an operating point is chosen on the model's validation pictures.

    Raises:
        DataError: as `read_costs`, or the bundle keeps no predictions for validation pictures.
        UsageError: a class of `positive` is not known.
    """
    if request.costs is not None:
        return read_costs(request.costs, model.classes)
    positive = positive_classes(request.positive, model.classes)
    outputs = read_validation(model.bundle.path, len(model.classes))
    if outputs is None or not len(outputs):
        raise DataError(
            f"{model.bundle.path} keeps no predictions for validation pictures, on which an operating point is chosen:"
            " give --costs, or make such predictions with 'photovision calibrate'"
        )
    temperature = float(model.info.get("temperature") or 1.0)
    probs = np.asarray(softmax(outputs.logits.astype(np.float64) / temperature, axis=1), np.float32)
    return OperatingPoint.chosen(positive, probs, outputs.truth, request.sensitivity)


def _truth(samples: list[Sample], cases: Cases, rule: ReferralRule, classes: tuple[str, ...]) -> Ints:
    """int64 (N,): the true class of each case, that of its picture with the most urgent one; -1 where unknown."""
    index = {name: number for number, name in enumerate(classes)}
    labels = np.array([-1 if s.target is None else index[s.label] for s in samples], np.int64)
    urgent = np.where(labels >= 0, rule.best[labels] * len(classes) + labels, -1)
    found = cases.most_urgent(urgent)
    return np.where(found >= 0, found % len(classes), -1).astype(np.int64)
