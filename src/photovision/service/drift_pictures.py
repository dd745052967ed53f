"""Pictures of a window that was compared, where they were kept: the most unlike, beside the most usual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from photovision.core.drawing import percent
from photovision.core.errors import UnreadableImage
from photovision.core.image import decode, to_array
from photovision.core.report import Figure
from photovision.core.thumbnail import THUMBNAIL, picture_grid
from photovision.core.types import Sample
from photovision.trust.drift import Drift

if TYPE_CHECKING:
    from photovision.service.drift import DriftWindow
    from photovision.service.record import Record

SHOWN = 8
MOST_PIXELS = 100_000_000


def picture_figures(record: Record, window: DriftWindow, found: Drift, reference: Sequence[Sample]) -> list[Figure]:
    """Grids of small pictures; none where none were kept.

    Args:
        reference: pictures of the reference, where they are at hand; some are shown beside those in use.
    """
    order = np.argsort(-found.unlike, kind="stable")
    figures = []
    for title, rows, note in (
        ("Most unlike the held-out pictures", order, "Pictures in use that the held-out ones resemble least."),
        ("Most usual", order[::-1], "Pictures in use that the held-out ones resemble most."),
    ):
        grid = _grid(record, window, rows, title, note)
        if grid is not None:
            figures.append(grid)
    if reference and figures:
        chosen = np.linspace(0, len(reference) - 1, min(SHOWN, len(reference))).astype(int)
        samples = [reference[i] for i in chosen]
        grid = picture_grid(
            "Held-out pictures", samples, [""] * len(samples), "Some that the window was compared with."
        )
        figures += [] if grid is None else [grid]
    return figures


def _grid(record: Record, window: DriftWindow, rows: np.ndarray, title: str, note: str) -> Figure | None:
    """The first of these rows whose pictures are there, each picture once."""
    shown: dict[str, tuple[Sample, str]] = {}
    for row in rows[: 20 * SHOWN]:
        name = window.kept[row]
        content = None if name is None or name in shown else record.picture(name)
        if name is None or content is None:
            continue
        try:
            picture = to_array(decode(content, (THUMBNAIL, THUMBNAIL), MOST_PIXELS))
        except UnreadableImage:
            continue
        shown[name] = Sample(name, picture), _caption(window, row)
        if len(shown) == SHOWN:
            break
    samples, captions = zip(*shown.values(), strict=True) if shown else ((), ())
    return picture_grid(title, samples, captions, note)


def _caption(window: DriftWindow, row: int) -> str:
    answers = window.answers
    novelty = "" if answers.novelty is None else f"\nnovelty {round(float(answers.novelty[row]), 1) + 0:.1f}"
    said = f"{window.classes[answers.best[row]]}, {percent(float(answers.prob[row]))}"
    return f"{said}{novelty}\n{window.times[row].strftime('%Y-%m-%d %H:%M UTC')}"
