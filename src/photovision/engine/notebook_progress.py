"""Progress in a notebook: a bar for each stage, with the time left, in one output that is updated."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from photovision.core.notebook import Html, bar, display, text
from photovision.core.progress import Progress
from photovision.engine.progress import duration, passed

EVERY = 0.5
"""Seconds between two updates."""
_CELL = "padding:1px 12px 1px 0;text-align:left;white-space:nowrap"


@dataclass
class StageProgress:
    """Where one stage stands, when it began, and when it was last heard of."""

    progress: Progress
    began: float
    now: float

    def row(self) -> str:
        """Its row of the table."""
        one, seconds = self.progress, self.now - self.began
        share = one.done / one.total if one.total else 1.0
        took = f"{duration(seconds)}" if share >= 1 else ""
        left = f"{duration(seconds / share - seconds)} left" if 0 < share < 1 and seconds > 1 else took
        cells = (text(one.stage), bar(share), f"{one.done:,}/{one.total:,}", left, text(one.line))
        return "<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells) + "</tr>"


def time_row(progress: Progress) -> str:
    """The row of the time that has passed; "" where no time was asked for."""
    if "budget" not in progress.facts:
        return ""
    share = min(progress.facts["seconds"] / max(progress.facts["budget"], 1e-9), 1.0)
    cells = (text("time"), bar(share), text(passed(progress)))
    return "<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells) + "</tr>"


class NotebookBars:
    """A listener that shows its stages in the running notebook.

    Args:
        show: puts a piece of HTML into the notebook and gives a handle with `update`.
        clock: seconds from a fixed moment.
    """

    def __init__(self, show: Callable[[Html], Any] = display, clock: Callable[[], float] = time.monotonic) -> None:
        self._show, self._clock = show, clock
        self._stages: dict[str, StageProgress] = {}
        self._time = ""
        self._handle: Any = None
        self._shown_at = 0.0

    def __call__(self, progress: Progress) -> None:
        now = self._clock()
        known, self._time = self._stages.get(progress.stage), time_row(progress)
        if "rung" in progress.facts and known is not None:  # its last line says more
            return
        if known is None or "waiting" not in progress.facts:
            self._stages[progress.stage] = StageProgress(progress, known.began if known else now, now)
        if known is None or progress.done >= progress.total or now - self._shown_at >= EVERY:
            self._shown_at = now
            self.close()

    def close(self) -> None:
        """Show where everything stands now."""
        if not self._stages:
            return
        rows = [self._time, *(stage.row() for stage in self._stages.values())]
        piece = Html("<table>" + "".join(rows) + "</table>")
        if self._handle is None:
            self._handle = self._show(piece)
        else:
            self._handle.update(piece)
