"""Suggest, in words: what was chosen, how accurate the labels so far make a head, and what more of them would buy."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from photovision.core.curves import CurveLine, lines
from photovision.core.errors import UsageError
from photovision.core.files import write_text
from photovision.core.phrases import count
from photovision.core.report import Figure, Finding, Metric
from photovision.core.text import cells
from photovision.trust.learning_curve import MIN_PICTURES, WORTHWHILE, LearningCurve
from photovision.trust.metrics.statistics import proportion

NEXT = "next.csv"
"""The table of suggestions: file_name, label (to be filled in), proposal, chosen_by."""


def head_line(listed: Sequence[Mapping[str, str]], free: int) -> str:
    """How many pictures are suggested, and how they were chosen."""
    by = Counter(one["chosen_by"] for one in listed)
    parts = [f"{by[name]:,} by {name}" for name in ("uncertainty", "variety") if by[name]]
    parts += [f"{by['random']:,} at random"] if by["random"] else []
    return f"{count(len(listed), 'picture')} to label next of {free:,} without a label: {' and '.join(parts)}."


def accuracy_finding(right: np.ndarray, drawn: np.ndarray) -> Finding:
    """Accuracy of a linear head on pictures that it did not learn from.

    Args:
        right: bool (N,), leave-one-out predictions.
        drawn: bool (N,), pictures that were drawn at random, which alone stand for the folder.
    """
    random = int(drawn.sum())
    judged = right[drawn] if random else right
    found = proportion(int(judged.sum()), len(judged))
    metric = Metric(*found, len(judged), title="accuracy", hint="of a linear head, each picture left out in turn")
    warning = (
        "No labelled picture is known to be drawn at random (column chosen_by), so this accuracy holds for pictures"
        " like the labelled ones only: a choice of difficult pictures makes it too low."
    )
    whole = f"on the {count(random, 'picture')} drawn at random" if random else "on all labelled pictures"
    text = f"Accuracy of a linear head, each picture left out in turn, {whole}: {metric}."
    return Finding((text,), {"accuracy": metric}, warnings=() if random else (warning,))


def curve_finding(curve: LearningCurve | None, labelled: int, more: int) -> Finding:
    """What more labels would buy, with the curve as a chart."""
    if curve is None:
        text = (
            f"A learning curve needs at least {MIN_PICTURES} labelled pictures of 2 classes, and there are {labelled}."
        )
        return Finding((text,), data={"learning_curve": None})
    low, high = 100 * curve.low, 100 * curve.high
    gained = Metric(curve.gain, curve.low, curve.high, labelled, "points", "gain by more labels", "of accuracy")
    text = f"{more:,} more labels buy {low:.1f} to {high:.1f} points of accuracy."
    text += (
        f" That is less than {100 * WORTHWHILE:g} points: more labels of this kind are hardly worth the time."
        if curve.stop
        else ""
    )
    chart = lines(
        {"accuracy": CurveLine(curve.sizes, curve.accuracy)}, "Learning curve", "labelled pictures", "accuracy"
    )
    note = "Accuracy of linear heads that learned from so many of the labels, on labelled pictures that were left out."
    data = {"learning_curve": {**vars(curve), "stop": curve.stop}}
    return Finding((text,), {"gain": gained}, figures=(Figure("Learning curve", chart, note=note),), data=data)


def check_next(folder: Path | None) -> None:
    """Refuse a folder whose table of suggestions somebody may have filled in; raises UsageError."""
    if folder is not None and os.path.lexists(folder / NEXT):
        raise UsageError(
            f"{folder / NEXT} may hold labels that somebody filled in: choose another folder with --output"
        )


def next_lines(listed: Sequence[Mapping[str, str]], table: Path | None) -> list[str]:
    """Where the suggestions were written, or the suggestions themselves where they were not."""
    if table is not None:
        return [f"Table:  {table}"]
    return [f"  {one['file']}" + f"  ({one['proposal']}?)" * bool(one["proposal"]) for one in listed]


def write_next(listed: Sequence[Mapping[str, str]], folder: Path) -> Path:
    """Write the suggestions as a table whose column "label" is empty; returns its path."""
    page = io.StringIO()
    table = csv.writer(page, lineterminator="\n")
    table.writerow(("file_name", "label", "proposal", "chosen_by"))
    table.writerows(cells((one["file"], "", one["proposal"], one["chosen_by"])) for one in listed)
    write_text(folder / NEXT, page.getvalue())
    return folder / NEXT
