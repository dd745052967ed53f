"""check: everything the doctor needs, from a path to a report."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

from photovision.core.files import write_text
from photovision.core.progress import ProgressCallback
from photovision.core.report import Finding, Report
from photovision.core.task import tasks
from photovision.core.text import cells
from photovision.data.check import boxes as boxes_doctor
from photovision.data.check import contents
from photovision.data.check import images as doctor
from photovision.data.check import sessions as session_check
from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset
from photovision.data.scan import scan
from photovision.data.sessions import NO_SESSIONS, sessions_of
from photovision.data.split import make_splits
from photovision.engine.trivial import trivial_before_training

SUSPECTS = "suspects.csv"


def check(
    data: str | Path | Dataset,
    *,
    labels: bool = False,
    minutes: float = 2.0,
    seed: int = 0,
    sessions_by: str | None = None,
    progress: ProgressCallback | None = None,
    describing: ProgressCallback | None = None,
) -> Report:
    """Tell what a careful person would want to know before training: broken files, copies, leaks, skew, giveaways.

    Args:
        data: a folder, a table, or a Dataset.
        labels: also look for wrong labels and outliers, which takes minutes, see
            `photovision.tasks.classify.label_errors`.
        minutes: about how long that may take.
        seed: of the split that would be drawn; give the one that the training will use.
        sessions_by: a column whose equal values are one capture session, or "none"; None goes by capture times.
        progress: called with (pictures read, pictures to read).
        describing: called with (pictures described, pictures to describe), where labels are examined.

    Returns:
        A report of kind "check"; a sound dataset has no warnings.

    Raises:
        DataError: nothing to check, or fewer than 2 classes with at least 2 readable pictures.
        UsageError: labels of multi-label data are to be examined.

    Example:
        >>> import numpy as np
        >>> from photovision.data.read import dataset_from_arrays
        >>> noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
        >>> check(dataset_from_arrays(noise, ["a", "b"] * 20)).data["pictures"]
        40
    """
    dataset = data if isinstance(data, Dataset) else read_dataset(data)
    found = scan(dataset, progress=progress)
    dataset = dataset.shown_by(found.value_ranges())
    splits = make_splits(dataset, found, seed=seed, sessions_by=sessions_by)
    report = doctor.check(dataset, found, splits)
    ids = [sample.id for sample in dataset.samples]
    drawn = make_splits(dataset, found, seed=seed, sessions_by=NO_SESSIONS)
    report = report.including(session_check.examine(sessions_of(dataset, found, sessions_by), drawn, ids))
    report = report.including(
        Finding(
            tuple(filter(None, (row.suggests(dataset) for row in tasks()))), figures=contents.figures(dataset, found)
        )
    )
    if dataset.annotation_type == "labels":
        report = report.including(trivial_before_training(dataset, splits, seed=seed))
    if dataset.annotation_type in ("boxes", "masks"):
        report = report.including(boxes_doctor.examine(dataset, found, splits))
    if labels:
        from photovision.tasks.classify.label_errors import audit_labels  # it may load torch

        report = report.including(audit_labels(dataset, found, splits, minutes=minutes, seed=seed, progress=describing))
    return replace(report, assessment=doctor.assessed(report.warnings))


def write_suspects(report: Report, folder: Path) -> bool:
    """Write the suspected labels of a report into `folder`/suspects.csv; False where no labels were examined.

    Columns: file_name, label, suggested, confidence (in the class suggested, 0 to 1), most suspect first. Texts that a
    spreadsheet would run have an apostrophe before them, see `core.text.cells`.
    """
    audited = report.data.get("label_errors")
    if not audited:
        return False
    page = io.StringIO()
    table = csv.writer(page, lineterminator="\n")
    table.writerow(("file_name", "label", "suggested", "confidence"))
    table.writerows(cells((s["id"], s["label"], s["suggested"], s["confidence"])) for s in audited["suspects"])
    write_text(folder / SUSPECTS, page.getvalue())
    return True
