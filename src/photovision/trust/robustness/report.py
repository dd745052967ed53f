"""Conditions: what a robustness suite found, in words, as a table, as curves and as pictures of what was done."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image as Pillow

from photovision.core import svg
from photovision.core.curves import CurveLine, lines
from photovision.core.drawing import percent
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.svg import ACCENT, SECOND, WIDTH
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image
from photovision.data.corruptions import corrupt
from photovision.trust.metrics.statistics import Estimate, paired_proportions, proportion
from photovision.trust.robustness.suite import MIN_PICTURES, Images, Robustness, excess_confidence
from photovision.trust.robustness.worst import ConditionCost, worst_assessment, worst_figure

OVERSURE = 0.05
"""Confidence this far above accuracy, beyond doubt, is worth a warning."""

_NOTABLE = 0.10  # a loss of accuracy that is told with the severity at which it is reached
_TITLE = "In other conditions"
_TILE = 132


def finding(found: Robustness, images: Images | None = None, *, total: int | None = None) -> Finding:
    """What the conditions cost.

    A condition counts as harmful where its strongest severity costs accuracy beyond chance (McNemar's test, corrected
    for the number of conditions); only such ones are named as harmful. Fewer than 50 pictures give no figures.

    Args:
        found: of `robustness.suite`.
        images: the pictures that the suite was given; with them comes a strip of what was done to one of them.
        total: how many pictures the report's own accuracy rests on; where it is these very pictures it is not repeated.

    Returns:
        metrics `mean_corruption_error` and `clean_accuracy`, one table, one chart a family, and a warning where the
        model stays sure while it gets worse.
    """
    if found.n < MIN_PICTURES:
        return Finding((f"Conditions were not measured: that takes {MIN_PICTURES} pictures, and there are {found.n}.",))
    right = found.mean_accuracy()
    error = Metric(1 - right.value, 1 - right.high, 1 - right.low, found.n)
    metrics = {"mean_corruption_error": error}
    if found.n != total:
        metrics["clean_accuracy"] = Metric(*proportion(int(found.clean.sum()), found.n), found.n)
    harmful = harmed(found)
    costs, severity = _costs(found, harmful), found.severities[_middle(found)]
    clean = Metric(*proportion(int(found.clean.sum()), found.n), found.n)
    figures = [worst_figure(clean, costs, severity, "Accuracy"), *_curves(found)]
    if images is not None:
        figures.append(_strip(found, images))
    return Finding(
        _summary(found, right, harmful),
        metrics,
        [_table(found)],
        figures,
        _oversure(found, harmful),
        {"robustness": _plain(found)},
        worst_assessment(costs, severity, "accuracy"),
    )


def _costs(found: Robustness, harmful: Sequence[int]) -> list[ConditionCost]:
    column = _middle(found)
    return [
        ConditionCost(
            name,
            Metric(*proportion(int(found.right[row, column].sum()), found.n), found.n),
            lost(found, row, column).value,
            row in harmful,
            (gap := excess_confidence(found, row)) is not None and gap.low > OVERSURE,
        )
        for row, name in enumerate(found.names)
    ]


def harmed(found: Robustness) -> list[int]:
    """Rows of the corruptions that cost accuracy beyond chance, the worst (by its mean accuracy) first."""
    certain = (found.p_values() < 0.05) & (found.right[:, -1].mean(1) < found.clean.mean())
    means = found.accuracy.mean(1)
    return sorted(np.flatnonzero(certain).tolist(), key=lambda row: float(means[row]))


def lost(found: Robustness, row: int, column: int) -> Estimate:
    """How much accuracy a corruption costs at one severity, as a difference of shares with its paired interval."""
    return paired_proportions(found.right[row, column], found.clean)


def _summary(found: Robustness, right: Estimate, harmful: Sequence[int]) -> tuple[str, ...]:
    clean = percent(float(found.clean.mean()))
    first = (
        f"In {len(found.names)} conditions, at severities {found.severities[0]} to {found.severities[-1]},"
        f" {percent(right.value)} of the answers are right; of the same {found.n:,} pictures as they are, {clean}."
    )
    if not harmful:
        return (first, f"No condition costs accuracy beyond chance at severity {found.severities[-1]}.")
    worst, middle = harmful[0], _middle(found)
    drop = lost(found, worst, middle)
    second = (
        f"Worst is {found.names[worst]}: at severity {found.severities[middle]} it costs"
        f" {Metric(*drop, None, 'points')}{_reached(found, worst)}."
    )
    if len(harmful) > 1:
        second += f" Next {_listed([found.names[row] for row in harmful[1:4]])}."
    spared = [name for row, name in enumerate(found.names) if row not in harmful]
    third = (f"No loss beyond chance: {_listed(spared)}.",) if spared else ()
    return (first, second, *third)


def _reached(found: Robustness, row: int) -> str:
    """At which severity a notable loss is reached."""
    loss = found.clean.mean() - found.accuracy[row]
    over = np.flatnonzero(loss >= _NOTABLE)
    if not len(over):
        return ""
    return f"; {_NOTABLE * 100:.0f} points are lost from severity {found.severities[int(over[0])]} on"


def _oversure(found: Robustness, harmful: Sequence[int]) -> tuple[str, ...]:
    """A warning where the model stays sure of itself while it gets worse."""
    gaps = {row: gap for row in harmful if (gap := excess_confidence(found, row)) is not None}
    sure = sorted((row for row, gap in gaps.items() if gap.low > OVERSURE), key=lambda row: -gaps[row].value)
    if not sure or found.clean_confidence is None:
        return ()
    named = _listed([f"{found.names[row]} by {gaps[row].value * 100:.0f} points" for row in sure[:4]])
    more = f" and in {len(sure) - 4} more conditions" if len(sure) > 4 else ""
    usual = float(found.clean_confidence.mean() - found.clean.mean()) * 100
    return (
        f"The model does not notice that it gets worse: at severity 3 and above its stated confidence exceeds its"
        f" accuracy in {named}{more} (on the pictures as they are: by {usual:.0f} points). Do not act on its confidence"
        " there.",
    )


def _table(found: Robustness) -> Table:
    columns = ("condition", *(f"severity {s}" for s in found.severities), f"lost at {found.severities[_middle(found)]}")
    detailed = {_middle(found), len(found.severities) - 1}
    rows = []
    for row, name in enumerate(found.names):
        cells = []
        for column in range(len(found.severities)):
            exact = proportion(int(found.right[row, column].sum()), found.n)
            cells.append(Metric(*exact, found.n) if column in detailed else Metric(exact.value))
        rows.append((name, *cells, Metric(*lost(found, row, _middle(found)), found.n, "points")))
    note = (
        f"Share of right answers over the same {found.n:,} pictures in every cell; the last column is the loss against"
        " the pictures as they are, with its paired interval. The mean corruption error is the plain mean of the errors"
        " in this table: it is not divided by another network's, so it compares with other models judged here on the"
        " same pictures, not with published ImageNet-C figures."
    )
    return Table(_TITLE, columns, tuple(rows), note)


def _curves(found: Robustness) -> list[Figure]:
    if len(found.severities) < 2:
        return []
    figures = []
    for family, rows in found.families.items():
        series = {found.names[row]: _line(found, row, band=len(rows) < 3) for row in rows}
        clean = float(found.clean.mean())
        series["as they are"] = CurveLine(found.severities, [clean] * len(found.severities), dashed=True)
        mean = found.mean_accuracy(rows)
        drawing = lines(series, f"Accuracy by severity: {family}", "severity", "accuracy", y_form="{:.0%}".format)
        note = f"{family.capitalize()}: {Metric(*mean, found.n)} right on average over all severities."
        figures.append(Figure(_TITLE, svg=drawing, note=note))
    return figures


def _line(found: Robustness, row: int, band: bool) -> CurveLine:
    exact = [proportion(int(hits), found.n) for hits in found.right[row].sum(1)]
    if not band:
        return CurveLine(found.severities, [e.value for e in exact])
    return CurveLine(found.severities, [e.value for e in exact], [e.low for e in exact], [e.high for e in exact])


def _strip(found: Robustness, images: Images) -> Figure:
    """One picture under every corruption at up to three severities, two corruptions a row."""
    known = np.flatnonzero(found.clean)
    picture = int(known[len(known) // 2]) if len(known) else 0
    image = images[picture]
    shown = sorted({0, _middle(found), len(found.severities) - 1})
    half, gap = WIDTH / 2, 5.0
    wide = (half - 12) / 3 - gap
    tall = wide * float(np.clip(image.shape[0] / image.shape[1], 0.5, 1.5))
    step = tall + 40
    parts = [svg.text(0, 13, "as it is", weight=600), _tile(image, 0, 19, wide, tall)]
    for number, (row, name) in enumerate(enumerate(found.names), 1):
        left, top = (number % 2) * half, (number // 2) * step
        parts.append(svg.text(left, top + 13, svg.short(name, 28), weight=600))
        for place, column in enumerate(shown):
            severity, hit = found.severities[column], bool(found.right[row, column, picture])
            x = left + place * (wide + gap)
            parts.append(_tile(corrupt(image, name, severity, (found.seed, picture)), x, top + 19, wide, tall))
            words = f"{severity}: {'right' if hit else 'wrong'}"
            parts.append(svg.text(x, top + tall + 31, words, size=10, colour=ACCENT if hit else SECOND))
    drawing = svg.document(WIDTH, (len(found.names) // 2 + 1) * step, "One picture in all conditions", parts)
    note = "What was done: one of the pictures in every condition, with the severity and how the model answered."
    return Figure("What was done to the pictures", svg=drawing, note=note)


def _tile(image: Image, x: float, y: float, wide: float, tall: float) -> str:
    picture = Pillow.fromarray(image)
    if max(picture.size) < _TILE:  # pixels stay pixels
        factor = -(-_TILE // max(picture.size))
        picture = picture.resize((picture.width * factor, picture.height * factor), Pillow.Resampling.NEAREST)
    picture.thumbnail((_TILE, _TILE), Pillow.Resampling.LANCZOS)
    address = base64.b64encode(jpeg(np.asarray(picture))).decode("ascii")
    place = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}"'
    return f'<image href="data:image/jpeg;base64,{address}" {place}/>'


def _plain(found: Robustness) -> dict[str, Any]:
    """JSON-ready results."""
    p_values, conditions = found.p_values(), {}
    for row, name in enumerate(found.names):
        gap = excess_confidence(found, row)
        conditions[name] = {
            "accuracy": [round(float(value), 6) for value in found.accuracy[row]],
            "lost": Metric(*lost(found, row, _middle(found)), found.n, "points").to_json(),
            "p": float(p_values[row]),
            "excess_confidence": None if gap is None else Metric(*gap, found.n, "points").to_json(),
        }
    families = {
        family: Metric(*found.mean_accuracy(rows), found.n).to_json() for family, rows in found.families.items()
    }
    return {
        "n": found.n,
        "seed": found.seed,
        "severities": list(found.severities),
        "clean_accuracy": float(found.clean.mean()),
        "lost_at": found.severities[_middle(found)],
        "families": families,
        "conditions": conditions,
    }


def _middle(found: Robustness) -> int:
    """The column of severity 3, or of the middle one."""
    return found.severities.index(3) if 3 in found.severities else len(found.severities) // 2


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
