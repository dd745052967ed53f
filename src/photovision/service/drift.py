"""Drift of a service: a window of a record against the pictures that its model did not learn from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, ModelError, UsageError
from photovision.core.progress import ProgressCallback
from photovision.core.report import Report
from photovision.data.dataset import Dataset
from photovision.data.unlabelled import read_unlabelled
from photovision.engine.drift import DriftModel
from photovision.engine.expectation import expected_of
from photovision.engine.holdout import unseen_part
from photovision.engine.load import opened
from photovision.runtime.bundle import Bundle
from photovision.runtime.held_out import HELD_OUT_FILE, HeldOut, read_held_out
from photovision.service.drift_report import drift_report
from photovision.service.record import Record, Row
from photovision.trust.drift import MIN_PICTURES, compare

NOTHING = "nothing found"
"""How reports name the class "", that of images in which a detector found nothing."""
MOST = 2000
"""Predictions that are compared at most; of a longer window so many are drawn at random."""


@dataclass(frozen=True, eq=False)
class Span:
    """Which predictions of a record are meant.

    Attributes:
        since, until: from `since` on, and before `until`; with time zones.
        last: only the newest so many.
        name, version: of the model in the record; None finds them out.
    """

    since: datetime | None = None
    until: datetime | None = None
    last: int | None = None
    name: str | None = None
    version: str | None = None


@dataclass(frozen=True, eq=False)
class DriftWindow:
    """Predictions of a record, in the order of their times.

    Attributes:
        answers: the predictions for N pictures.
        times: N times in UTC.
        kept: N names of pictures, None where none was kept.
        total: predictions in the span, of which `answers` may be a random part.
        name, version: of the model in the record.
        classes: that `answers.best` counts through, as people read them.
        warnings: what a careful reader must know of them.
    """

    answers: HeldOut
    times: tuple[datetime, ...]
    kept: tuple[str | None, ...]
    total: int
    name: str
    version: str
    classes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def drift(
    model: Any,
    record: Record | str | Path,
    span: Span | None = None,
    *,
    against: Dataset | str | Path | None = None,
    false_alarms: float = 0.05,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> Report:
    """Tell whether pictures in use differ from those that a model was validated on.

    Args:
        model: the one that answered, or its folder.
        record: of its service, its file or its database URL.
        span: which predictions; all of them if None.
        against: pictures to compare with, or their path, which the model answers now; those that it learned from, or
            that resemble these, are left out. None takes what the bundle keeps of its own
            held-out pictures.
        false_alarms: chance that a change is reported where there is none, over all comparisons together.
        seed: of the permutations, and of the choice in windows of more than 2,000 predictions.
        progress: called with (pictures done, pictures) while `against` is answered.

    Returns:
        A report of kind "drift"; its data say under "drift" whether a change was found, and which. Its metrics hold the
        score to expect of the pictures in use, where the model can tell.

    Raises:
        UsageError: the task has no drift, too few predictions, or several models or versions and none is named.
        DataError: the predictions are not this model's.
        ModelError: the bundle keeps no held-out answers, and `against` is not given.
    """
    if not isinstance(record, Record):
        with Record.open(str(record), create=False) as kept:
            return drift(model, kept, span, against=against, false_alarms=false_alarms, seed=seed, progress=progress)
    own = opened(model, "drift")
    compared: DriftModel = own.bundle.row.part("drift")(own)
    others = None if against is None else _unseen(against, own)
    reference = _reference(own.bundle, compared, others, progress)
    window = read_window(own, record, span or Span(), seed)
    if window.answers.embedding is not None and reference.embedding is not None:
        wide = window.answers.embedding.shape[1], reference.embedding.shape[1]
        if wide[0] != wide[1]:
            raise DataError(f"the record's embeddings have {wide[0]} numbers, not {wide[1]}: they are another model's")
    found = compare(window.answers, reference, limit=compared.limit, false_alarms=false_alarms, seed=seed)
    pictures = () if others is None else others.samples
    report = drift_report(own.bundle.name, compared, record, window, reference, found, pictures, seed)
    return report.including(expected_of(own, window.answers, seed))


def _unseen(against: Dataset | str | Path, model: Any) -> Dataset:
    """The pictures to compare with that took no part in the training."""
    dataset = against if isinstance(against, Dataset) else read_unlabelled(against).dataset
    return unseen_part(dataset, model, "to compare pictures in use with").dataset


def read_window(model: Any, record: Record, span: Span, seed: int = 0) -> DriftWindow:
    """The predictions of a span, at most 2,000 drawn at random; raises as `drift` does."""
    compared: DriftModel = model.bundle.row.part("drift")(model)
    name, version, warnings = _served(model.bundle.path, record, span)
    rows, total = _drawn(record, span, name, version, seed)
    if total < MIN_PICTURES:
        raise UsageError(
            f"the record holds {total} predictions of '{name}' in that window, and {MIN_PICTURES} are needed:"
            " take a longer window"
        )
    answers, missing = _answers(rows, compared)
    return DriftWindow(
        answers,
        tuple(row.at for row in rows),
        tuple(row.kept for row in rows),
        total,
        name,
        version,
        tuple(name or NOTHING for name in compared.classes),
        (*warnings, *missing),
    )


def _reference(
    bundle: Bundle, compared: DriftModel, against: Dataset | None, progress: ProgressCallback | None
) -> HeldOut:
    if against is None:
        found = read_held_out(bundle.path)
        if found is None:
            raise ModelError(
                f"{bundle.path} keeps no predictions for held-out pictures ({HELD_OUT_FILE}): name pictures that it did"
                f" not learn from with --against, or {bundle.origin.remedy}"
            )
        return found
    predicted = compared.predict(against, progress)
    if len(predicted) < MIN_PICTURES:
        raise DataError(f"comparing needs at least {MIN_PICTURES} readable pictures, got {len(predicted)}: add more")
    return predicted


def _served(path: Path, record: Record, span: Span) -> tuple[str, str, tuple[str, ...]]:
    """Under which name and version the model answered, and warnings."""
    from photovision.service.models import content_name

    counts = record.stats().models
    content = content_name(path)
    fitting = {
        key: rows for key, rows in counts.items() if span.name in (None, key[0]) and span.version in (None, key[1])
    }
    exact = [key for key in fitting if key[1] == content]
    if exact:
        return *exact[0], ()
    if not fitting:
        held = ", ".join(f"'{name}' version {version}" for name, version in counts) or "nothing"
        raise UsageError(f"the record holds no such predictions; it holds {held}")
    if len(fitting) > 1:
        held = ", ".join(f"'{name}' version {version} ({rows:,})" for (name, version), rows in fitting.items())
        raise UsageError(f"the record holds {held}: name one with --served-as NAME/VERSION")
    name, version = next(iter(fitting))
    warning = (
        f"The record's version {version} is not this model's content ({content}): make sure that it is the same one."
    )
    return name, version, (warning,)


def _drawn(record: Record, span: Span, name: str, version: str, seed: int) -> tuple[list[Row], int]:
    """A random part of the rows in the order of their times, and how many there are (Vitter 1985, algorithm R)."""
    rng = np.random.default_rng((seed, 3))
    rows: dict[int, tuple[int, Row]] = {}
    total = 0
    for row in record.read(name, span.since, span.until, span.last, version=version):
        place = total if total < MOST else int(rng.integers(total + 1))
        if place < MOST:
            rows[place] = total, row
        total += 1
    return [row for _, row in sorted(rows.values(), key=lambda pair: pair[0])], total


def _answers(rows: list[Row], compared: DriftModel) -> tuple[HeldOut, tuple[str, ...]]:
    if any((row.found is not None) != compared.has_found for row in rows):
        raise DataError("the record's predictions of that name are those of a model for another task: name others")
    place = {name: number for number, name in enumerate(compared.classes)}
    foreign = Counter(row.best for row in rows if row.best not in place)
    if foreign:
        raise DataError(f"the record names the class '{next(iter(foreign))}', which the model does not know")
    warnings = []
    novelty = [row.novelty for row in rows if row.novelty is not None]
    if len(novelty) < len(rows) and compared.limit is not None:
        warnings.append("The record lacks the novelty of some pictures, so novelty was not compared.")
    embedding = [row.embedding for row in rows if row.embedding is not None]
    if len(embedding) < len(rows):
        warnings.append("The record lacks the embeddings of some pictures, so embeddings were not compared.")
    answers = HeldOut(
        np.array([place[row.best] for row in rows], dtype=np.int64),
        np.array([row.prob for row in rows], dtype=np.float32),
        np.array(novelty, dtype=np.float32) if len(novelty) == len(rows) else None,
        np.stack(embedding) if len(embedding) == len(rows) else None,
    )
    return answers, tuple(warnings)
