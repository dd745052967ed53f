"""Trivial predictors: beside a finished model, and of data before a training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from photovision.core.report import Finding, Report
from photovision.core.task import Task
from photovision.data.dataset import Dataset
from photovision.data.split import Splits
from photovision.data.trivial_facts import MAX_PICTURES, trivial_facts
from photovision.engine.assessment import concerns_of, with_concerns
from photovision.engine.evaluation import Evaluation
from photovision.engine.splits import TrainingSplits
from photovision.trust.robustness.trivial_predictors import TrivialPredictor, trivial_predictors
from photovision.trust.robustness.trivial_text import before_training, beside_model

FEW = 300
"""Pictures that are looked at in short trainings."""


def fit_trivial(
    dataset: Dataset, splits: Splits, *, seed: int = 0, max_pictures: int = MAX_PICTURES
) -> list[TrivialPredictor]:
    """Fit trivial predictors to the pictures that learn, select or judge.

    Args:
        dataset: pictures with their classes.
        splits: what became of them.
        seed: of folds and forests.
        max_pictures: so many are looked at, at most.
    """
    used = np.sort(np.concatenate([splits.train, splits.val, splits.test]))
    facts = trivial_facts(dataset, used, max_pictures)
    rows = facts.positions
    units = rows if splits.units is None else splits.units[rows]
    return trivial_predictors(facts.blocks, dataset.subset(rows).truth, units, dataset.classes, seed=seed)


def with_trivial(
    report: Report, row: Task, evaluation: Evaluation, splits: TrainingSplits, *, seed: int = 0, short: bool = False
) -> Report:
    """The report of a training with trivial predictors beside the model; first of all where one is as good.

    Args:
        report: of the training.
        row: of the task; one whose evaluations have no areas under ROC curves gets its report back.
        evaluation: of the model, on test.
        splits: of the training.
        seed: of folds and forests.
        short: whether a few pictures have to do.
    """
    if not row.has("areas"):
        return report
    areas = row.part("areas")(evaluation)
    few = FEW if short else MAX_PICTURES
    predictors = fit_trivial(splits.dataset, splits.splits, seed=seed, max_pictures=few) if areas else []
    found = beside_model(predictors, areas)
    assessment = report.assessment and with_concerns(report.assessment, concerns_of([found]))
    whole = report.including(found)
    return replace(whole, summary=(*found.summary, *report.summary), assessment=assessment)


def trivial_before_training(dataset: Dataset, splits: Splits, *, seed: int = 0) -> Finding:
    """Trivial predictors of labelled pictures, for `check`; arguments as for `fit_trivial`."""
    return before_training(fit_trivial(dataset, splits, seed=seed))
