"""Checks that are the same for every task: groups over rates, failure slices over scores, and conditions.

Classification compares groups, slices and conditions by statistics of its own, since an answer is right or wrong; all
other tasks are compared by what the images add up to. A task's `checks` part names those that its models have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from photovision.core.report import Finding
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image
from photovision.data.corruptions import corrupt
from photovision.engine.audit_context import AuditContext
from photovision.trust.fairness import regions as fairness
from photovision.trust.metrics.detection import Vector
from photovision.trust.robustness import regions as robustness
from photovision.trust.robustness.suite import spread

NOT_COMPARED = (
    "Groups were not compared: the data has no attributes, in columns beside the label or in a table (--attributes)."
)
_SHARE_OF_TIME = 0.6
_SHOWN_AT = (3, 5)


def groups(context: AuditContext, precise: fairness.Precise | None = None) -> Finding:
    """Groups of images whose rates are worse than those of the others.

    Args:
        context: its evaluation has `rates()`.
        precise: a further figure of some images, shown beside the rates; see `audit_shares`.
    """
    if not context.groups.compared:
        return Finding((NOT_COMPARED,))
    return fairness.audit_shares(
        context.groups.values,
        context.groups.compared,
        context.evaluation.rates(),
        precise=precise,
        train_counts=context.train_counts,
    )


def slices(context: AuditContext) -> Finding:
    """Kinds of images that are more often among those with the lowest scores.

    Args:
        context: its evaluation has `score()`, float64 (N,), 0 to 1, called `score_name`.
    """
    from photovision.trust.robustness.failure_clusters import weak_pictures

    rows, evaluation = context.rows, context.evaluation
    return weak_pictures(
        context.images,
        [context.samples[int(row)] for row in rows],
        evaluation.score()[rows],
        name=evaluation.score_name,
        groups=context.groups.of_compared(rows),
        seed=context.seed,
    )


class UnderCorruption(Protocol):
    """What the check of conditions needs of a task: its predictions on corrupted images, and what they are worth."""

    @property
    def left_out(self) -> Sequence[str]:
        """Names of corruptions after which the ground truth would not be known."""
        ...

    @property
    def max_images(self) -> int:
        """How many images are looked at, at most."""
        ...

    def views(self, rows: Sequence[int]) -> tuple[Sequence[Image], Sequence[Any]]:
        """The images at some rows of the evaluation, uint8 RGB (H, W, 3) of one size, and the ground truth of each."""
        ...

    def predict(self, images: Sequence[Image]) -> list[Any]:
        """Predictions on such images, in order."""
        ...

    def measure(self, truth: Sequence[Any], name: str, severity: int, predicted: list[Any]) -> dict[str, Vector]:
        """Figures under a corruption ("" for none), the leading one first: float64 (1 + B,), B resamples of images.

        Image i was corrupted with the seed (context.seed, i).
        """
        ...

    def example(self, rows: Sequence[int], truth: Sequence[Any]) -> int:
        """Position of the image that is shown."""
        ...

    def drawn(self, image: Image, truth: Any, predicted: Any, name: str, severity: int, seed: tuple[int, int]) -> Shown:
        """An image under a corruption, which it has gone through already, with its prediction, and a few words."""
        ...


Shown = tuple[Image, str]


def conditions(context: AuditContext, task: UnderCorruption) -> Finding:
    """What corruptions at five severities cost, on as many images as the time allows."""
    total = len(context.samples)
    names = [name for name in context.conditions if name not in task.left_out]
    if not names:
        return Finding((f"No condition was tried: after {', '.join(context.conditions)} the truth is not known.",))
    first, _ = task.views(range(min(4, total)))
    most = robustness.affordable(task.predict, first, context.seconds * _SHARE_OF_TIME, names)
    rows = spread(total, min(most, task.max_images)).tolist()
    if len(rows) < robustness.FEWEST:
        few = f"Conditions were not measured: that takes {robustness.FEWEST} pictures, there are {len(rows)}."
        return Finding((few,))
    images, truth = task.views(rows)
    clean = task.predict(images)
    example = task.example(rows, truth)
    found, shown = robustness.suite(
        task.predict,
        lambda name, severity, predicted: task.measure(truth, name, severity, predicted),
        images,
        clean,
        names=names,
        seed=context.seed,
        keep=example,
        left_out=task.left_out,
        progress=context.progress("conditions"),
    )
    shown["", 0] = clean[example]
    return robustness.finding(found, _strip(context, task, images[example], truth[example], shown, example))


def _strip(
    context: AuditContext,
    task: UnderCorruption,
    image: Image,
    truth: Any,
    predicted: Mapping[tuple[str, int], Any],
    example: int,
) -> list[tuple[bytes, str]]:
    """One image as it is and in every condition, with its predictions and what they are worth in a few words."""
    seed, strip = (context.seed, example), []
    for (name, severity), one in sorted(predicted.items(), key=lambda item: item[0][0] != ""):
        if name and severity not in _SHOWN_AT:
            continue
        seen = corrupt(np.asarray(image), name, severity, seed) if name else np.asarray(image)
        page, words = task.drawn(seen, truth, one, name, severity, seed)
        strip.append((jpeg(page), f"{f'{name}, severity {severity}' if name else 'as it is'}\n{words}"))
    return strip
