"""Drawing: small charts as inline SVG text, for pages that follow the reader's colours and load nothing.

All text is escaped, and each drawing has a `<title>` for screen readers. Lines and clouds of points are in
`photovision.core.curves`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from photovision.core import svg
from photovision.core.errors import UsageError
from photovision.core.svg import ACCENT, COLOURS, INK, LINE, SECOND, WIDTH

MAX_CLASSES = 30
"""A heatmap of more classes than this cannot be read; list the most confused pairs instead."""


class Bar(NamedTuple):
    """One bar: a value with the bounds of its interval (None draws no whisker); `series` picks its colour."""

    value: float
    low: float | None = None
    high: float | None = None
    series: int = 0


def percent(value: float) -> str:
    """A share as people read it.

    Example:
        >>> percent(0.865)
        '86.5%'
    """
    return f"{value * 100:.1f}%"


def bars(
    groups: Mapping[str, Sequence[Bar]],
    title: str,
    *,
    top: float = 1.0,
    form: Callable[[float], str] = percent,
    series: Sequence[str] = (),
) -> str:
    """Horizontal bars with interval whiskers, side by side within each named group.

    Args:
        groups: heading of the group -> its bars, each value 0 to `top`.
        top: the value at the right edge.
        form: how a value is written beside its bar.
        series: names for the legend; none draws no legend.

    Example:
        >>> bars({"cats": [Bar(0.5, 0.4, 0.6)]}, "Recall").startswith("<svg")
        True
    """
    if top <= 0:
        raise UsageError(f"bars need a top above 0, got {top}")
    left, span, y = 4, WIDTH - 62, 6.0
    parts = []
    if len(series) > 1:
        y += 12
        parts.append(svg.legend(series, left, y))
        y += 10
    first = y
    for name, group in groups.items():
        y += 15
        parts.append(svg.text(left, y, svg.short(name, 52), weight=600))
        y += 6
        for bar in group:
            parts += _bar(bar, left, y, span / top)
            end = max(bar.value, bar.high or 0.0) * span / top
            parts.append(svg.text(left + min(end, span) + 8, y + 11, form(bar.value)))
            y += 18
        y += 4
    axis = []
    for tick in svg.ticks(0.0, top):
        x = left + span * tick / top
        axis += [svg.line(x, first, x, y, LINE)]
        anchor = "start" if tick == 0 else "middle"
        axis.append(svg.text(x, y + 13, svg.tick_label(form(tick)), anchor=anchor, size=11))
    return svg.document(WIDTH, y + 18, title, axis + parts)


def reliability_diagram(
    confidence: np.ndarray, accuracy: np.ndarray, low: np.ndarray, high: np.ndarray, counts: np.ndarray, title: str
) -> str:
    """Stated confidence against the share that came true, one point a bin, float (B,) each; perfect is the diagonal.

    `low` and `high` bound the share; `counts`, int (B,), says how many statements each bin holds.
    """
    left, top, side = 44, 24, 330
    floor = top + side
    lowest = min(map(float, (confidence.min(), low.min()))) if len(confidence) else 0.0
    start = min(svg.widened(lowest, 1.0)[0], 0.9)  # no empty corner: the axes begin where the figures do

    def x(value: float) -> float:
        return left + side * (float(value) - start) / (1 - start)

    def y(value: float) -> float:
        return floor - side * (float(value) - start) / (1 - start)

    parts = [svg.line(x(start), y(start), x(1), y(1), INK, dashed=True)]
    for tick in svg.ticks(start, 1.0):
        label = svg.tick_label(percent(tick))
        parts += [svg.line(x(start), y(tick), x(1), y(tick), LINE), svg.line(x(tick), y(start), x(tick), y(1), LINE)]
        parts.append(svg.text(left - 6, y(tick) + 4, label, anchor="end", size=11))
        parts.append(svg.text(x(tick), floor + 16, label, anchor="middle", size=11))
    parts.append(svg.polyline([(x(c), y(a)) for c, a in zip(confidence, accuracy, strict=True)], ACCENT))
    for c, a, lo, hi, n in zip(confidence, accuracy, low, high, counts, strict=True):
        parts.append(svg.line(x(c), y(lo), x(c), y(hi), ACCENT))
        tip = f"stated {percent(c)}, came true {percent(a)}, {int(n):,} statements"
        parts.append(
            f'<circle cx="{x(c):.1f}" cy="{y(a):.1f}" r="4" style="fill:{ACCENT}">{svg.title_of(tip)}</circle>'
        )
    parts.append(svg.text(left + side / 2, floor + 36, "stated confidence", anchor="middle"))
    parts.append(svg.text(4, 12, "share that came true"))
    return svg.document(WIDTH, floor + 44, title, parts)


def learning_curve(points: Sequence[Mapping[str, Any]], title: str) -> str:
    """Training loss above, validation figure below, over the seconds (else epochs) of one rung.

    Args:
        points: mappings with `epoch` and, where known, `seconds`, `loss` (training) and `val` (0 to 1).
    """
    over_time = len(points) > 0 and all(point.get("seconds") is not None for point in points)
    key, unit = ("seconds", "seconds") if over_time else ("epoch", "epoch")
    panels = []
    for field, name, colour in (("loss", "training loss", SECOND), ("val", "on validation", ACCENT)):
        pairs = [(float(p[key]), float(p[field])) for p in points if p.get(field) is not None]
        if pairs:
            panels.append((name, colour, pairs, field == "val"))
    parts: list[str] = []
    y = 8.0
    for name, colour, pairs, share in panels:
        parts += _panel(pairs, y, name, colour, percent if share else lambda v: f"{v:.3g}")
        y += 138
    if panels:
        xs = [pair[0] for _, _, pairs, _ in panels for pair in pairs]
        parts.append(svg.text(56, y + 6, f"{min(xs):,.0f}", size=11))
        parts.append(svg.text(WIDTH - 8, y + 6, f"{max(xs):,.0f} {unit}", anchor="end", size=11))
    return svg.document(WIDTH, y + 14, title, parts)


def heatmap(matrix: np.ndarray, names: Sequence[str], title: str) -> str:
    """A confusion matrix: int (C, C), rows the truth, columns the prediction, coloured by the share of the row.

    Raises UsageError for more than 30 classes.
    """
    size = len(names)
    if matrix.shape != (size, size) or not 0 < size <= MAX_CLASSES:
        raise UsageError(f"a heatmap takes 1 to {MAX_CLASSES} classes, got {size} names and a matrix {matrix.shape}")
    cell = max(18.0, min(48.0, 260 / size))
    left = top = 20 + 6.2 * min(16, max(len(name) for name in names))
    parts = [svg.text(left, 11, "predicted →", size=11), svg.text(0, top - 4, "true ↓", size=11)]
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    for row in range(size):
        y = top + row * cell
        parts.append(svg.text(left - 6, y + cell / 2 + 4, svg.short(names[row], 16), anchor="end", size=11))
        parts.append(
            svg.sideways(left + row * cell + cell / 2 + 4, top - 6, svg.short(names[row], 16), size=11, anchor="start")
        )
        for column in range(size):
            n, part = int(matrix[row, column]), float(share[row, column])
            x = left + column * cell
            colour = ACCENT if row == column else SECOND
            tip = f"{names[row]}, called {names[column]}: {n:,} ({percent(part)})"
            parts.append(svg.rect(x, y, cell - 1, cell - 1, LINE, tip, opacity=0.35))
            if n:
                parts.append(svg.rect(x, y, cell - 1, cell - 1, colour, tip, opacity=0.15 + 0.75 * part))
                parts.append(svg.text(x + cell / 2 - 0.5, y + cell / 2 + 4, _few(n), anchor="middle", size=10))
    return svg.document(left + size * cell + 4, top + size * cell + 4, title, parts, fixed=True)


def _bar(bar: Bar, left: float, y: float, scale: float) -> list[str]:
    colour = COLOURS[bar.series % len(COLOURS)]
    parts = [svg.rect(left, y, max(bar.value * scale, 1), 14, colour, opacity=0.85)]
    if bar.low is not None and bar.high is not None:
        parts += svg.whisker(left + bar.low * scale, left + bar.high * scale, y + 7)
    return parts


def _panel(
    pairs: Sequence[tuple[float, float]], y: float, name: str, colour: str, form: Callable[[float], str]
) -> list[str]:
    left, right, tall = 56.0, WIDTH - 8.0, 116.0
    xs, values = np.array(pairs).T
    low, high = float(values.min()), float(values.max())
    wide, deep = max(float(np.ptp(xs)), 1e-9), max(high - low, 1e-9)
    places = [
        (left + (right - left) * (x - xs.min()) / wide, y + tall - (tall - 24) * (v - low) / deep - 4) for x, v in pairs
    ]
    parts = [svg.line(left, y + tall, right, y + tall, LINE), svg.line(left, y, left, y + tall, LINE)]
    parts.append(svg.text(left + 6, y + 10, name, colour=colour, weight=600))
    parts.append(svg.text(left - 6, y + tall, form(low), anchor="end", size=11))
    if high > low:
        parts.append(svg.text(left - 6, y + 24, form(high), anchor="end", size=11))
    parts.append(svg.polyline(places, colour))
    for (cx, cy), (_, value) in zip(places, pairs, strict=True):
        parts.append(
            f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="2.5" style="fill:{colour}">{svg.title_of(form(value))}</circle>'
        )
    return parts


def _few(n: int) -> str:
    return str(n) if n < 1000 else f"{n / 1000:.0f}k"
