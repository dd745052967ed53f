"""SVG: the strokes that drawings are made of, as escaped text.

Colours come from the page's CSS variables (`--accent`, `--second`, `--line`) with fallbacks, ink from `currentColor`,
so a drawing is right on light and on dark. Coordinates are in drawing units, y downwards.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape

ACCENT = "var(--accent,#2f6fdf)"
SECOND = "var(--second,#c8641b)"
LINE = "var(--line,#88888866)"
INK = "currentColor"
SHEET = "var(--sheet,#fff)"
COLOURS = (ACCENT, SECOND, "var(--third,#3a8f5c)", "var(--fourth,#8a5cc4)")
WIDTH = 400
"""Width of every drawing that shrinks with the page, so that its 12-unit text stays readable on a phone."""


def document(width: float, height: float, title: str, parts: Sequence[str], fixed: bool = False) -> str:
    """A whole drawing; a fixed one keeps its size and scrolls in its box, the others shrink with the page."""
    style = f"width:{width:.0f}px" if fixed else "width:100%"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" style="{style}"'
        f' font-family="inherit" fill="{INK}">{title_of(title)}{"".join(parts)}</svg>'
    )


def title_of(text: str) -> str:
    """The tip and screen-reader text of what contains it."""
    return f"<title>{escape(text)}</title>"


def text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, colour: str = INK, weight: int = 400
) -> str:
    """A line of text at (x, y), its baseline."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}"'
        f' style="fill:{colour}">{escape(text)}</text>'
    )


def sideways(x: float, y: float, text: str, size: int = 12, anchor: str = "middle") -> str:
    """Text that runs upwards from (x, y)."""
    return (
        f'<text transform="translate({x:.1f} {y:.1f}) rotate(-90)" font-size="{size}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def line(x1: float, y1: float, x2: float, y2: float, colour: str, dashed: bool = False) -> str:
    """A straight line."""
    dash = ' stroke-dasharray="4 4" opacity="0.5"' if dashed else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" style="stroke:{colour}"{dash}/>'


def whisker(low: float, high: float, y: float, reach: float = 4.0) -> list[str]:
    """A horizontal interval with ends, on a light rim that keeps it visible on a bar."""
    strokes = ((low, y, high, y), (low, y - reach, low, y + reach), (high, y - reach, high, y + reach))
    rims = [
        f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}" style="stroke:{SHEET};stroke-width:4"/>'
        for a, b, c, d in strokes
    ]
    return [*rims, *(line(*stroke, INK) for stroke in strokes)]


def rect(x: float, y: float, w: float, h: float, colour: str, tip: str = "", opacity: float = 1.0) -> str:
    """A filled rectangle with rounded corners."""
    inside = title_of(tip) if tip else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="2" style="fill:{colour}"'
        f' opacity="{opacity:.2f}">{inside}</rect>'
    )


def polyline(points: Sequence[tuple[float, float]], colour: str) -> str:
    """Points (x, y) joined by a line."""
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke-width="2" style="stroke:{colour}"/>'


def legend(names: Sequence[str], x: float, y: float) -> str:
    """Names beside squares in the colours of their series, in one row."""
    parts = []
    for i, name in enumerate(names):
        parts += [rect(x, y - 9, 10, 10, COLOURS[i % len(COLOURS)], opacity=0.85), text(x + 15, y, name)]
        x += 30 + 7 * len(name)
    return "".join(parts)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, evenly spaced, at most `most` of them and at least one.

    Example:
        >>> ticks(0.037, 0.96)
        [0.2, 0.4, 0.6, 0.8]
        >>> ticks(0, 12)
        [0.0, 2.5, 5.0, 7.5, 10.0]
    """
    step = _step(low, high, most)
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [round(number * step, 12) for number in range(first, last + 1)] or [low]


def widened(low: float, high: float, most: int = 6) -> tuple[float, float]:
    """The range widened to round numbers at both ends.

    Example:
        >>> widened(0.342, 0.671)
        (0.3, 0.7)
    """
    step = _step(low, high, most)
    return round(math.floor(low / step + 1e-6) * step, 12), round(math.ceil(high / step - 1e-6) * step, 12)


def _step(low: float, high: float, most: int) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that makes at most `most` ticks."""
    least = max(high - low, 1e-9) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(least))
    return next(step for step in (power, 2 * power, 2.5 * power, 5 * power, 10 * power) if step >= least * (1 - 1e-9))


def tick_label(text: str) -> str:
    """What is written at an axis: without needless zeros.

    Example:
        >>> tick_label("50.0%"), tick_label("0.25")
        ('50%', '0.25')
    """
    return re.sub(r"\.0+(?=\D*$)", "", text)


def short(text: str, limit: int) -> str:
    """The text, cut to `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
