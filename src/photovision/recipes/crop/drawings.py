"""Fields, drawn: shares over time with their intervals, a map of the plots, and the pictures that show most."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
from PIL import Image as Pillow

from photovision.core import svg
from photovision.core.boxes import draw_regions
from photovision.core.curves import CurveLine, lines
from photovision.core.drawing import Bar, bars, percent
from photovision.core.errors import UnreadableImage
from photovision.core.image import to_array
from photovision.core.report import Figure
from photovision.core.svg import LINE, SECOND, WIDTH
from photovision.core.thumbnail import jpeg, picture_grid
from photovision.recipes.crop.counts import PlotCounts
from photovision.recipes.crop.series import Rise, SeriesPoint
from photovision.runtime.model import OnnxModel

MAX_LINES = 8
SHOWN = 9
_SIDE = 420
_GRID = re.compile(r"([A-Za-z]{1,2})[-_ ]?(\d{1,2})")


def over_time(title: str, series: Mapping[str, Sequence[SeriesPoint]], band: bool) -> Figure | None:
    """Shares over days, a line each, at most MOST_LINES; bars where there is one day only.

    Args:
        series: name -> its points, in the order of days.
        band: whether intervals are drawn.
    """
    kept = {name: points for name, points in series.items() if points}
    kept = dict(sorted(kept.items(), key=lambda item: -max(p.share.value for p in item[1]))[:MAX_LINES])
    if not kept:
        return None
    days = sorted({point.day for points in kept.values() for point in points})
    top = min(1.0, 1.15 * max(point.share.high if band else point.share.value for p in kept.values() for point in p))
    if len(days) == 1:
        groups = {name: [Bar(*points[0].share)] for name, points in kept.items()}
        return Figure(title, svg=bars(groups, title, top=max(top, 0.01)), note=f"On {days[0]}, with 95% intervals.")
    start = days[0]
    drawn = {name: _line(points, start, band) for name, points in kept.items()}
    drawing = lines(
        drawn, title, "day", "share", x_form=lambda at: _day(start, at), y_range=(0.0, max(top, 0.01)), y_form=_short
    )
    note = "Bands are 95% intervals over pictures." if band else "The lines with the highest shares; see the table."
    return Figure(title, svg=drawing, note=note)


def _line(points: Sequence[SeriesPoint], start: date, band: bool) -> CurveLine:
    x = [float((point.day - start).days) for point in points]
    shares = np.array([point.share for point in points])
    return CurveLine(x, shares[:, 0], shares[:, 1], shares[:, 2]) if band else CurveLine(x, shares[:, 0])


def _day(start: date, at: float) -> str:
    return (start + timedelta(days=round(at))).strftime("%d %b")


def _short(share: float) -> str:
    return f"{share:.0%}" if share == 0 or share >= 0.095 else percent(share)


def plot_map(title: str, latest: Mapping[str, SeriesPoint], rises: Sequence[Rise]) -> Figure | None:
    """The plots with their shares on their latest days: A1, A2, B1 lie as on the field, others in rows."""
    if len(latest) < 2:
        return None
    places = _grid_positions(list(latest))
    columns, rows = (1 + max(place[axis] for place in places.values()) for axis in (0, 1))
    wide, tall = (WIDTH - 4) / columns, 58.0
    top = max(max(point.share.value for point in latest.values()), 0.01)
    alarmed = {rise.plot for rise in rises if rise.alarm and rise.plot in latest and rise.day == latest[rise.plot].day}
    parts = []
    for name, point in latest.items():
        x, y = 2 + places[name][0] * wide, 2 + places[name][1] * tall
        tip = f"{name}, {point.day}: {percent(point.share.value)} of {point.pictures} pictures"
        parts.append(svg.rect(x, y, wide - 4, tall - 4, LINE, tip, opacity=0.5))
        parts.append(svg.rect(x, y, wide - 4, tall - 4, SECOND, tip, opacity=0.1 + 0.75 * point.share.value / top))
        letters = max(4, int(wide / 7.5))
        parts.append(svg.text(x + 6, y + 17, svg.short(name, letters), weight=600))
        parts.append(svg.text(x + 6, y + 33, percent(point.share.value)))
        note = "▲ rose" if name in alarmed else f"n = {point.pictures:,}"
        parts.append(svg.text(x + 6, y + 48, svg.short(note, letters), size=10, weight=600 if name in alarmed else 400))
    drawing = svg.document(WIDTH, 4 + rows * tall, title, parts)
    return Figure(title, svg=drawing, note="The darker, the larger the share on the latest day of the plot.")


def _grid_positions(names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Column and row of every plot."""
    series = {name: _GRID.fullmatch(name) for name in names}
    grid = {name: (one[1].upper(), int(one[2])) for name, one in series.items() if one}
    if len(grid) == len(names) and len(set(grid.values())) == len(names):
        letters, numbers = (sorted({place[axis] for place in grid.values()}) for axis in (0, 1))
        if len(numbers) <= 8:
            return {name: (numbers.index(place[1]), letters.index(place[0])) for name, place in grid.items()}
    return {name: (place % 4, place // 4) for place, name in enumerate(names)}


def most_striking(seen: PlotCounts, model: OnnxModel[Any], rows: Sequence[int]) -> Figure | None:
    """The pictures among `rows` that show most of what is watched, with the predictions for them."""
    if not seen.watched:
        return None
    own = seen.one(seen.watched)
    share = own.part[:, 0] / np.maximum(own.whole[:, 0], 1)
    order = [row for row in sorted(rows, key=lambda row: -share[row]) if share[row] > 0][:SHOWN]
    shots = [seen.shots[row] for row in order]
    captions = [f"{seen.labels[row]}\n{seen.shots[row].sample.id}" for row in order]
    title = "What shows most"
    if not seen.area:
        return picture_grid(title, [shot.sample for shot in shots], captions, "Predicted class and its probability.")
    drawn = []
    for shot, caption in zip(shots, captions, strict=True):
        try:
            image = to_array(model.preprocess.decode(shot.sample.image))
        except UnreadableImage:
            continue
        found: Any = model.predict(image)
        watched = np.isin(found.labels, [seen.classes.index(name) for name in seen.watched])
        page = Pillow.fromarray(np.where(watched[..., None], draw_regions(image, found), image))
        page.thumbnail((_SIDE, _SIDE))
        drawn.append((jpeg(np.asarray(page)), caption))
    return Figure(title, pictures=tuple(drawn), note="Coloured is what is watched.") if drawn else None
