"""estimate: what score to expect of a model on images of another place, without labels.

How alike images are to the training images and how sure the model is of them tell how often it is right on such images
(`photovision.trust.similarity`), as far as what changed shows in either.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, ModelError
from photovision.core.progress import Listener, counted, silent, visible
from photovision.core.report import Report
from photovision.core.system import provenance
from photovision.data.dataset import Dataset, Problem
from photovision.data.read import Pictures
from photovision.data.scan import scan
from photovision.data.unlabelled import Unlabelled, read_unlabelled
from photovision.engine import estimate_text
from photovision.engine.assessment import expected_fitness
from photovision.engine.drift import DriftModel
from photovision.engine.evaluate import model_facts
from photovision.engine.expectation import Estimator, Expectation, expectation
from photovision.engine.holdout import exposures
from photovision.engine.load import opened
from photovision.engine.progress import narrated
from photovision.runtime.held_out import read_held_out
from photovision.runtime.similarity import why_missing

LISTED = 100
"""Images of the lowest expected score that the JSON document names."""


@dataclass(frozen=True)
class LeftOut:
    """Which images were not counted, and why.

    Attributes:
        learned: how many the model learned from.
        repeated: how many show the same as another one.
        unreadable: those that cannot be read.
        related: how many of those that count resemble training images.
        recorded: whether the model keeps a record of its training images.
    """

    learned: int = 0
    repeated: int = 0
    unreadable: tuple[Problem, ...] = ()
    related: int = 0
    recorded: bool = True


@narrated
def estimate(
    model: Any,
    pictures: Dataset | str | Path | Pictures | Unlabelled,
    *,
    seed: int = 0,
    listener: Listener = visible,
) -> Report:
    """Estimate a model's score on images without labels.

    Images that the model learned from are left out, and those that show the same count once.

    Args:
        model: an opened model of any task that keeps embeddings of its training images, or its folder.
        pictures: a folder, table or archive of images, a list of them, or a data set; labels are not used.
        seed: of the interval.
        listener: called with the progress; `photovision.silent` shows none.

    Returns:
        A report of kind "estimate". Its data say under "reliable" whether most images are of a kind that the model
        knows: then its first metric is "expected_score", else there is none, and "possible_score" holds the bounds of
        what the score may be. "least_expected" names the images with the lowest score.

    Raises:
        DataError: there are no images, none can be read, or the model learned from all.
        ModelError: the model cannot tell, and why.
        UsageError: the task has no such verb.

    Example:
        >>> estimate("nowhere", "pictures")
        Traceback (most recent call last):
        photovision.core.errors.ModelError: no model at nowhere: expected a folder that 'photovision train' wrote
    """
    own = opened(model, "estimate", "drift")
    known = estimator_of(own)
    given = pictures if isinstance(pictures, Unlabelled) else read_unlabelled(pictures)
    dataset, left_out = countable(given.dataset, own, listener)
    compared: DriftModel = own.bundle.row.part("drift")(own)
    answers = compared.predict(dataset, counted(listener, "answering"))
    if not len(answers):
        raise DataError(f"none of the {len(dataset):,} images could be read: check them with 'photovision check'")
    found = expectation(known, compared, answers, dataset.samples, seed)
    return _report(own, known, compared, found, given, left_out, seed)


def estimator_of(model: Any) -> Estimator:
    """By what an opened model estimates; raises ModelError where it has nothing to do so."""
    bundle = model.bundle
    known = Estimator.of(bundle)
    if known is None:
        why = why_missing(bundle.info) or "The model remembers no training images."
        raise ModelError(
            f"'estimate' needs what a training measures on held-out images, and {bundle.path} lacks it. {why} Label"
            f" some of the images and use 'photovision evaluate', or {bundle.origin.retrain}"
        )
    return known


def countable(dataset: Dataset, model: Any, listener: Listener = silent) -> tuple[Dataset, LeftOut]:
    """The images that the model did not learn from, each of those that show the same once; DataError where none."""
    progress = counted(listener, "checking pictures")
    seen = scan(dataset, progress=progress)
    (known,) = exposures(dataset, [model], seen=seen)
    new = seen.readable & ~known.learned
    if not new.any():
        what = "could be read" if not seen.readable.any() else "are new: the model learned from all that can be read"
        raise DataError(f"none of the {len(dataset):,} images {what}: give others")
    rows = np.flatnonzero(new)
    kept = rows[np.sort(np.unique(seen.duplicates[rows], return_index=True)[1])]
    unreadable = (*dataset.problems, *seen.problems)
    left_out = LeftOut(
        int((seen.readable & known.learned).sum()),
        len(rows) - len(kept),
        unreadable,
        int(known.related[kept].sum()),
        known.recorded,
    )
    return dataset.subset(kept), left_out


def _report(
    model: Any,
    known: Estimator,
    compared: DriftModel,
    found: Expectation,
    given: Unlabelled,
    left_out: LeftOut,
    seed: int,
) -> Report:
    usual = read_held_out(model.bundle.path)
    embedding = None if usual is None else usual.embedding
    classes = tuple(name or "nothing found" for name in compared.classes)
    names = estimate_text.Names(known.expected.score, model.bundle.name, classes)
    finding = estimate_text.finding(
        known, found, left_out, names, None if embedding is None else known.index.of(embedding)
    )
    base = Report(
        kind="estimate",
        title=estimate_text.title(names, len(found.samples)),
        assessment=expected_fitness(
            *(model.bundle.row, known.expected.score, found.metric, found.reliable),
            tested=known.expected.reliability is not None,
        ),
        warnings=estimate_text.warnings(known, found, left_out, given, names),
        provenance={
            "model": model_facts(model.bundle.info),
            "data": {"fingerprint": given.dataset.fingerprint, "pictures": len(given.dataset)},
            "seed": seed,
            **provenance(),
        },
        data={
            "task": model.bundle.row.name,
            "reliable": found.reliable,
            **({} if found.reliable else {"possible_score": [found.metric.low, found.metric.high]}),
            "least_expected": least_expected(found, classes),
        },
    )
    return base.including(finding)


def least_expected(found: Expectation, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """The images with the lowest expected score, JSON-ready, the lowest first."""
    return [
        {
            "id": found.samples[row].id,
            "label": classes[found.answers.best[row]],
            "confidence": round(float(found.answers.prob[row]), 4),
            "similarity": round(float(found.similarity[row]), 4),
            "expected": round(float(found.each[row]), 4),
        }
        for row in np.argsort(found.each, kind="stable")[:LISTED].tolist()
    ]
