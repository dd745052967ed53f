"""Evaluate: how good a model of any task is on labelled images that it did not learn from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.progress import Listener, ProgressCallback, counted, visible
from photovision.core.report import Assessment, Finding, Metric, Report
from photovision.core.system import provenance
from photovision.core.task import Task
from photovision.data.dataset import Dataset
from photovision.data.read import Labels, Pictures
from photovision.engine import evaluate_text
from photovision.engine.adopt_text import unknowns
from photovision.engine.assessment import NOT_TESTED, fitness, with_concerns
from photovision.engine.evaluation import Evaluation
from photovision.engine.expectation import MAX_EMBEDDED, compared
from photovision.engine.holdout import hold_out
from photovision.engine.load import opened
from photovision.engine.progress import narrated
from photovision.engine.read import data_for

_FACTS = ("chosen", "temperature", "version")


@narrated
def evaluate(
    model: Any,
    data: Dataset | str | Path | Pictures,
    labels: Labels | None = None,
    *,
    split: str | None = None,
    unknown: Dataset | None = None,
    listener: Listener = visible,
) -> Report:
    """Compare a model's predictions with the truth.

    Args:
        model: an opened model of any task that can be evaluated, or its folder.
        data: labelled images, their path, or images whose `labels` are given, too; with boxes for a detector, with
            masks for a segmenter.
        labels: class names, or numbers of the model's classes.
        split: "all", "train", "val" or "test"; None takes the images that the model did not learn from, see
            `engine.holdout`.
        unknown: images of something else, their classes being what they show, to evaluate novelty detection with.
        listener: called with the progress; `photovision.silent` shows none.

    Returns:
        A report of kind "evaluate". `metrics` are those of the task, the leading one first; where images are or
        resemble training images, the leading one without them stands beside it, as "accuracy_leak_free".

    Raises:
        DataError: the data does not fit the model, nothing is labelled, nothing could be read, or all are training
            images.
        UsageError: a model or an argument that cannot be evaluated.
    """
    own = opened(model, "evaluate")
    options = evaluation_options(own, "evaluate", unknown)
    dataset = data_for(own, data, labels)
    held = hold_out(dataset, [own], split, counted(listener, "checking pictures"))
    progress = counted(listener, "evaluating")
    options["embeddings"] = len(held.dataset) <= MAX_EMBEDDED
    evaluation = own.bundle.row.part("evaluate")(own, held.dataset, progress=progress, **options)
    report = evaluation_report(own, evaluation, held.dataset, held.leaked)
    report = report.including(compared(own, held.dataset, evaluation))
    return replace(report, summary=(*report.summary, held.note))


def evaluation_options(model: Any, verb: str, unknown: Dataset | None) -> dict[str, Any]:
    """The options of the part "evaluate" that were given; raises UsageError where the task does not have one."""
    options: dict[str, Any] = model.bundle.row.check_options(verb, {"unknown": unknown})
    if unknown is not None and not isinstance(unknown, Dataset):
        raise UsageError(f"'unknown' should be a Dataset, such as read_dataset gives, got {type(unknown).__name__}")
    return options


def evaluate_on(
    model: Any, dataset: Dataset, *, leaked: Collection[int] = (), progress: ProgressCallback | None = None
) -> Report:
    """`evaluate` on images that are chosen already.

    Args:
        model: an opened model.
        dataset: labelled images.
        leaked: positions in it of images that are, resemble or belong with training images.
        progress: called with (images done, N).
    """
    evaluation = model.bundle.row.part("evaluate")(model, dataset, progress=progress)
    return evaluation_report(model, evaluation, dataset, leaked)


def evaluation_report(model: Any, evaluation: Evaluation, dataset: Dataset, leaked: Collection[int] = ()) -> Report:
    """The report of an evaluation: what every task has, and the findings of its own.

    Args:
        model: whose predictions they are.
        evaluation: of `dataset`.
        dataset: labelled images.
        leaked: as for `evaluate_on`.
    """
    row, metrics = model.bundle.row, evaluation.metrics()
    leaks = leak_free(row, evaluation, leaked, metrics)
    base = Report(
        kind="evaluate",
        title=evaluate_text.title(model.bundle.name, len(evaluation.samples)),
        metrics={**metrics, **leaks.metrics},
        warnings=[*leaks.warnings, *evaluate_text.warnings(evaluation, dataset)],
        provenance={
            "model": model_facts(model.bundle.info),
            "data": {"fingerprint": dataset.fingerprint, "pictures": len(dataset), "source": dataset.source},
            **provenance(),
        },
        data={
            "task": row.name,
            "unreadable": [{"id": problem.id, "message": problem.message} for problem in evaluation.problems],
        },
    )
    own: Finding = row.part("findings", "evaluate")(evaluation)
    report = base.including(own)
    if row.has("examples"):
        report = replace(report, figures=[*report.figures, *row.part("examples")(model, evaluation)])
    found = _assessed(row, report)
    concerns = [*([own.assessment.text] if own.assessment else []), *unknowns(model.bundle.info)[:1]]
    return replace(report, assessment=found and with_concerns(found, concerns))


def _assessed(row: Task, report: Report) -> Assessment | None:
    if evaluate_text.ALL_LEAKED in report.warnings:
        return NOT_TESTED
    return fitness(row, report.metrics)


def leak_free(row: Task, evaluation: Evaluation, leaked: Collection[int], metrics: Mapping[str, Metric]) -> Finding:
    """The leading metric without images that leaked, beside the one with them.

    Args:
        row: of the task.
        evaluation: of N images.
        leaked: positions in the data set of images that are, resemble or belong with training images.
        metrics: of all N.
    """
    shared = np.isin(evaluation.positions, list(leaked))
    lead = row.leading(metrics)
    if not shared.any() or lead is None:
        return Finding()
    if shared.all():
        return Finding(warnings=(evaluate_text.ALL_LEAKED,))
    clean = evaluation.at(np.flatnonzero(~shared)).metrics().get(lead)
    warning = evaluate_text.leaked(int(shared.sum()), row.lead[lead], metrics[lead], clean)
    return Finding((), {} if clean is None else {f"{lead}_leak_free": clean}, warnings=(warning,))


def model_facts(info: Mapping[str, Any]) -> dict[str, Any]:
    """What the provenance of a report tells of a model: backbone, weights, training data, where they are known."""
    backbone, data = info.get("backbone") or {}, info.get("data") or {}
    facts = {name: info.get(name) for name in _FACTS} | {
        "backbone": backbone.get("name"),
        "weights": backbone.get("weights"),
        "trained_on": data.get("fingerprint"),
    }
    return {name: value for name, value in facts.items() if value is not None}
