"""What every report of explanations holds: verdicts, curves, tables of tests and heatmaps in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from photovision.core.curves import CurveLine, lines
from photovision.core.overlay import scaled
from photovision.core.report import Assessment, Level, Metric, Table
from photovision.core.types import Floats
from photovision.trust.explain.faithfulness import SHARES, FaithfulnessTest, cell_means
from photovision.trust.metrics.statistics import wilson

GRID = 14
"""Rows and columns of the heatmaps in the JSON document."""
NOT_TESTED = "The maps were not tested: do not believe them for their looks."
VERDICTS = {"holds": "may be trusted", "fails": "do not trust it", "untestable": "cannot be tested"}
COLUMNS = ("verdict", "insertion", "deletion", "orders beaten", "shuffled weights")
"""Columns of `tested`."""
_NOTE = (
    "Insertion and deletion: area under {what} while places are shown or hidden, that of random orders in brackets;"
    " high insertion and low deletion are good. Shuffled weights: rank correlation with the map of a model that has"
    " learned nothing; near 0 is good."
)


def verdict(trial: FaithfulnessTest | None) -> str:
    """What the test of a map says of it, in a few words."""
    return VERDICTS[trial.verdict] if trial else "not tested"


def passed(held: int, tested: int, method: str) -> str:
    """How many of the maps by a method passed their tests.

    Example:
        >>> passed(1, 1, "cam"), passed(3, 4, "cam")
        ('The heatmap by cam passed its tests.', '3 of 4 heatmaps by cam passed their tests.')
    """
    if tested == 1:
        return f"The heatmap by {method} {'passed its tests' if held else 'did not pass its tests'}."
    return f"{held:,} of {tested:,} heatmaps by {method} passed their tests."


def assessment(trials: Sequence[FaithfulnessTest | None]) -> Assessment:
    """Whether the maps may be relied on; None in place of a test that was not asked for."""
    tested = [trial for trial in trials if trial]
    held = sum(trial.verdict == "holds" for trial in tested)
    if not tested:
        return Assessment("care", "Not tested", NOT_TESTED)
    if held == len(tested):
        one = len(tested) == 1
        text = _reason(tested[0]) if one else "Each passed its tests."
        return Assessment("good", "The heatmap can be trusted" if one else "The heatmaps can be trusted", text)
    bad = _reason(tested[0]) if len(tested) == 1 else f"{held:,} of {len(tested):,} passed their tests."
    level: Level = "care" if held else "bad"
    none = "Do not trust this heatmap" if len(tested) == 1 else "Do not trust these heatmaps"
    return Assessment(level, "Some heatmaps cannot be trusted" if held else none, bad)


def _reason(trial: FaithfulnessTest) -> str:
    """What the sentence of a test says after its verdict."""
    reason = trial.sentence.partition(": ")[2]
    return reason[0].upper() + reason[1:]


def shown_name(name: str, limit: int = 36) -> str:
    """The file's own name, shortened in its middle, as a heading.

    Example:
        >>> shown_name("leaves/Valid/a5a6ebeb-2535-441d-acf5-33bce305fa14___RS.jpg")
        'a5a6ebeb-2535-441…305fa14___RS.jpg'
    """
    own = name.replace("\\", "/").rpartition("/")[2] or name
    return own if len(own) <= limit else f"{own[: limit // 2 - 1]}…{own[-(limit // 2 - 2) :]}"


def cells(heat: Floats) -> list[list[float]]:
    """A heatmap (H, W) as up to 14 x 14 numbers, 0 to 1."""
    found = cell_means(scaled(heat)[None], GRID)[0].reshape(min(GRID, heat.shape[0]), -1)
    rows: list[list[float]] = np.round(found.astype(float), 3).tolist()
    return rows


def curves(trial: FaithfulnessTest, title: str, of: str) -> str:
    """How fast a prediction comes and goes while places are shown and hidden, as SVG; `of` names what is left of it."""
    found = {}
    for name, own, random in (
        ("shown", trial.insertion, trial.random_insertion),
        ("hidden", trial.deletion, trial.random_deletion),
    ):
        found[f"{name} in the map's order"] = CurveLine(SHARES, own)
        found[f"{name} at random"] = CurveLine(SHARES, random.mean(0), random.min(0), random.max(0), dashed=True)
    return lines(found, title, "share of the picture", of, x_form="{:.0%}".format)


def tested(trial: FaithfulnessTest | None) -> tuple[Any, ...]:
    """The cells of one map in a table of tests, under `COLUMNS`."""
    if trial is None:
        return (verdict(trial), None, None, None, None)
    (shown, hidden), (random_shown, random_hidden) = trial.areas, trial.random_areas
    return (
        verdict(trial),
        f"{shown:.2f} ({random_shown:.2f})",
        f"{hidden:.2f} ({random_hidden:.2f})",
        f"{trial.beaten} of {len(trial.random_insertion)}",
        trial.likeness,
    )


def table(columns: Sequence[str], rows: Sequence[tuple[Any, ...]], what: str) -> Table:
    """The tests of all maps; `what` names what is left of a prediction."""
    return Table("Tests of the maps", tuple(columns), tuple(rows), _NOTE.format(what=what))


def share_that_holds(trials: Sequence[FaithfulnessTest | None]) -> Metric | None:
    """The share of tested maps that hold; None where none was tested."""
    found = [trial.verdict == "holds" for trial in trials if trial]
    return Metric(sum(found) / len(found), *wilson(sum(found), len(found)), len(found)) if found else None
