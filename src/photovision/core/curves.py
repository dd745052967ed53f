"""Curves: lines over an axis, and points on a plane, as inline SVG text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from photovision.core import svg
from photovision.core.drawing import percent
from photovision.core.errors import UsageError
from photovision.core.svg import COLOURS, LINE, WIDTH

_LEFT, _TOP, _TALL = 64.0, 10.0, 210.0
_RIGHT = WIDTH - 10.0


class CurveLine(NamedTuple):
    """A line through (x, y) points; `low` and `high`, where given, are drawn as a band around it."""

    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    low: Sequence[float] | np.ndarray | None = None
    high: Sequence[float] | np.ndarray | None = None
    dashed: bool = False


class CurvePoint(NamedTuple):
    """A point with the bounds of its intervals (None draws no whisker); `series` picks its colour."""

    x: float
    y: float
    name: str
    x_low: float | None = None
    x_high: float | None = None
    y_low: float | None = None
    y_high: float | None = None
    series: int = 0


def lines(
    series: Mapping[str, CurveLine],
    title: str,
    x_name: str,
    y_name: str,
    *,
    x_form: Callable[[float], str] = "{:g}".format,
    y_form: Callable[[float], str] = percent,
    y_range: tuple[float, float] | None = (0.0, 1.0),
    x_range: tuple[float, float] | None = None,
    marks: Sequence[CurvePoint] = (),
) -> str:
    """Lines over one axis, a legend above them.

    Args:
        series: name -> line, at most 12; the first four have colours of their own, later ones repeat them dashed.
        x_name, y_name: what the axes show.
        x_form, y_form: how a value is written at an axis.
        y_range: values at the bottom and at the top; None takes those that occur.
        x_range: likewise of the horizontal axis.
        marks: points that are drawn over the lines, with their names.

    Example:
        >>> lines({"a": CurveLine([0, 1], [0.5, 0.7])}, "A curve", "share", "accuracy").startswith("<svg")
        True
    """
    if not series or any(len(line.x) == 0 or len(line.x) != len(line.y) for line in series.values()):
        raise UsageError("lines need at least one series, each with as many y as x and at least one point")
    xs = np.concatenate([np.asarray(line.x, float) for line in series.values()])
    ys = np.concatenate([np.asarray(line.y, float) for line in series.values()])
    legend, top = _legend(list(series))
    wide = x_range or (float(xs.min()), float(xs.max()))
    frame = _Frame(wide, y_range or svg.widened(float(ys.min()), float(ys.max())), top)
    parts = [legend, *frame.axes(x_name, y_name, x_form, y_form)]
    for number, (name, line) in enumerate(series.items()):
        parts += _drawn(frame, line, COLOURS[number % len(COLOURS)], number >= len(COLOURS) or line.dashed, name)
    for mark in marks:
        parts += _marked(frame, mark, x_name, y_name, x_form, y_form)
    return svg.document(WIDTH, frame.floor + 42, title, parts)


def points(
    found: Sequence[CurvePoint],
    title: str,
    x_name: str,
    y_name: str,
    *,
    form: Callable[[float], str] = percent,
    x_form: Callable[[float], str] | None = None,
) -> str:
    """Named points on a plane, with the whiskers of their intervals; `x_form` is for an x of another kind than y.

    Example:
        >>> points([CurvePoint(0.9, 0.7, "plain")], "Trade-off", "accuracy", "worst group").startswith("<svg")
        True
    """
    if not found:
        raise UsageError("a drawing of points needs at least one point")
    xs = [v for p in found for v in (p.x, p.x_low, p.x_high) if v is not None]
    ys = [v for p in found for v in (p.y, p.y_low, p.y_high) if v is not None]
    frame = _Frame(svg.widened(*_padded(xs)), svg.widened(*_padded(ys)), _TOP)
    x_form = x_form or form
    parts = frame.axes(x_name, y_name, x_form, form)
    for p in found:
        parts += _marked(frame, p, x_name, y_name, x_form, form)
    return svg.document(WIDTH, frame.floor + 42, title, parts)


def _marked(
    frame: _Frame,
    p: CurvePoint,
    x_name: str,
    y_name: str,
    x_form: Callable[[float], str],
    y_form: Callable[[float], str],
) -> list[str]:
    """A point with its whiskers and its name."""
    colour, parts = COLOURS[p.series % len(COLOURS)], []
    x, y = frame.x(p.x), frame.y(p.y)
    if p.x_low is not None and p.x_high is not None:
        parts.append(svg.line(frame.x(p.x_low), y, frame.x(p.x_high), y, colour))
    if p.y_low is not None and p.y_high is not None:
        parts.append(svg.line(x, frame.y(p.y_low), x, frame.y(p.y_high), colour))
    tip = svg.title_of(f"{p.name}: {x_name} {x_form(p.x)}, {y_name} {y_form(p.y)}")
    parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" style="fill:{colour}">{tip}</circle>')
    left = x > (_LEFT + _RIGHT) / 2
    return [*parts, svg.text(x - 8 if left else x + 8, y - 7, svg.short(p.name, 28), anchor="end" if left else "start")]


class _Frame:
    """Where values lie in the drawing."""

    def __init__(self, x_range: tuple[float, float], y_range: tuple[float, float], top: float) -> None:
        self.x_range, self.y_range, self.floor = _wide(x_range), _wide(y_range), top + 18 + _TALL

    def x(self, value: float) -> float:
        low, high = self.x_range
        return _LEFT + (_RIGHT - _LEFT) * (float(value) - low) / (high - low)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return self.floor - _TALL * float(np.clip((float(value) - low) / (high - low), 0, 1))

    def axes(
        self, x_name: str, y_name: str, x_form: Callable[[float], str], y_form: Callable[[float], str]
    ) -> list[str]:
        parts = []
        for value in svg.ticks(*self.y_range):
            y = self.y(value)
            parts.append(svg.line(_LEFT, y, _RIGHT, y, LINE))
            parts.append(svg.text(_LEFT - 6, y + 4, svg.tick_label(y_form(value)), anchor="end", size=11))
        for value in self._across(x_form):
            x = self.x(value)
            anchor = "start" if x < _LEFT + 8 else "end" if x > _RIGHT - 8 else "middle"
            parts.append(svg.text(x, self.floor + 16, svg.tick_label(x_form(value)), anchor=anchor, size=11))
        parts.append(svg.text((_LEFT + _RIGHT) / 2, self.floor + 34, x_name, anchor="middle"))
        parts.append(svg.text(4, self.floor - _TALL - 8, y_name))
        return parts

    def _across(self, form: Callable[[float], str]) -> list[float]:
        """Ticks of the horizontal axis, so few that their labels do not touch, and no two of which read the same."""
        for most in range(7, 1, -1):
            found = svg.ticks(*self.x_range, most)
            labels = [svg.tick_label(form(value)) for value in found]
            roomy = sum(6.4 * len(label) + 14 for label in labels) <= _RIGHT - _LEFT
            if roomy and len(set(labels)) == len(labels):
                break
        return found


def _drawn(frame: _Frame, line: CurveLine, colour: str, dashed: bool, name: str) -> list[str]:
    parts = []
    if line.low is not None and line.high is not None:
        there = [(frame.x(x), frame.y(y)) for x, y in zip(line.x, line.high, strict=True)]
        back = [(frame.x(x), frame.y(y)) for x, y in zip(line.x, line.low, strict=True)][::-1]
        shape = " ".join(f"{x:.1f},{y:.1f}" for x, y in there + back)
        parts.append(f'<polygon points="{shape}" style="fill:{colour}" opacity="0.18"/>')
    places = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in zip(line.x, line.y, strict=True))
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    stroke = f'fill="none" stroke-width="2"{dash} style="stroke:{colour}"'
    parts.append(f'<polyline points="{places}" {stroke}>{svg.title_of(name)}</polyline>')
    return parts


def _legend(names: Sequence[str]) -> tuple[str, float]:
    """The names in rows beside a stroke of their line, and the height at which the drawing goes on."""
    parts, x, y = [], 4.0, 14.0
    for number, name in enumerate(names):
        wide = 32 + 6.6 * len(name)
        if x > 4 and x + wide > WIDTH:
            x, y = 4.0, y + 17
        dash = ' stroke-dasharray="5 4"' if number >= len(COLOURS) else ""
        colour = COLOURS[number % len(COLOURS)]
        parts.append(
            f'<line x1="{x:.1f}" y1="{y - 4:.1f}" x2="{x + 16:.1f}" y2="{y - 4:.1f}" stroke-width="2"{dash}'
            f' style="stroke:{colour}"/>'
        )
        parts.append(svg.text(x + 21, y, name))
        x += wide
    return "".join(parts), y + 14


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.12 * (high - low) or 0.05
    return low - room, high + room


def _wide(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    return (low, high) if high > low else (low - 0.5, high + 0.5)
