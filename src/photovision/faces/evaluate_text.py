"""The report of an evaluation of faces: sentences, figures and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from photovision.core.curves import CurveLine, lines
from photovision.core.drawing import Bar, bars
from photovision.core.phrases import count, listed
from photovision.core.report import Assessment, Figure, Metric, Report, Table
from photovision.core.system import provenance
from photovision.faces.recognise import identity
from photovision.trust.metrics.verification import FacePairs, match_rate, threshold_at

if TYPE_CHECKING:
    from photovision.faces.evaluate import FaceEvaluation, FaceGroup

_RATES = (0.1, 0.01, 0.001)
_MOST_MISSED, _MOST_NAMED = 5, 4
_LIMITS = (
    "A photograph of a person is not distinguished from the person, and twins, siblings and children are confused more"
    " often than these rates say."
)


def face_report(found: FaceEvaluation, source: str) -> Report:
    """The report."""
    metrics = {"failure_to_detect": replace(
        found.failure, title="Faces not found", hint="share of the pictures in which no face was found"
    )}  # fmt: skip
    if found.fnmr is not None:
        metrics = {"fnmr": replace(
            found.fnmr, title="False non-matches", hint="share of pairs of one person below the threshold (FNMR)"
        ), **metrics}  # fmt: skip
    if found.fmr is not None:
        hint = "pairs of different people at or above the threshold (FMR)"
        metrics = {
            "false_matches": replace(_thousands(found.fmr), title="False matches per 1,000 pairs", hint=hint),
            **metrics,
        }
    return Report(
        "evaluate",
        f"Faces of {source}",
        _summary(found),
        metrics,
        [_groups(found.groups), _thresholds(found.pairs)] if found.groups else [_thresholds(found.pairs)],
        [figure for figure in (_scores(found), _group_bars(found)) if figure is not None],
        _warnings(found),
        {**provenance(), "recogniser": identity(), "threshold": found.threshold.origin},
        {
            "threshold": found.threshold.score,
            "asked_fmr": found.threshold.fmr,
            "fmr": found.fmr and found.fmr.value,
            "missed": found.missed,
        },
        _assessment(found),
    )


def _summary(found: FaceEvaluation) -> tuple[str, ...]:
    pictures, people = count(found.pictures, "picture"), count(found.people, "person", "people")
    sentences = [f"{pictures} of {people}; {found.threshold.text}."]
    if found.fmr is not None:
        pairs = count(len(found.pairs.impostor), "pair")
        sentences.append(f"Of {pairs} of different people, {_percent(found.fmr)} are taken for one person.")
    if found.fnmr is not None:
        pairs = count(len(found.pairs.genuine), "pair")
        sentences.append(f"Of {pairs} of one person, {_percent(found.fnmr)} are not recognised as one.")
    return (*sentences, "Intervals are over people, since pairs share them.")


def _warnings(found: FaceEvaluation) -> list[str]:
    warnings = []
    for group in found.groups:
        if group.verdict == "higher" and group.fmr is not None and found.fmr is not None:
            warnings.append(
                f"{group.column}: {group.name}: the false-match rate is {_percent(group.fmr)}, more than 3 times the"
                f" {_percent(found.fmr)} of all"
            )
    for group in found.groups:
        if group.verdict == "too few" and group.fmr and found.fmr and group.fmr.value > 3 * found.fmr.value:
            pairs, people = count(group.fmr.n or 0, "pair"), count(group.people, "person", "people")
            warnings.append(
                f"{group.column}: {group.name}: {_percent(group.fmr)} of {pairs} are confused, more than 3 times the"
                f" {_percent(found.fmr)} of all; {people} are too few to be sure"
            )
    few = [f"{group.column}: {group.name}" for group in found.groups if group.verdict == "too few"]
    if few:
        named = ", ".join(few[:_MOST_NAMED]) + (f" and {len(few) - _MOST_NAMED} more" if len(few) > _MOST_NAMED else "")
        needed = count(round(1 / found.threshold.fmr), "pair")
        warnings.append(f"the false-match rate is unknown for {named}: {needed} of people are needed")
    if found.missed:
        names = [f"{name} ({why})" for name, why in list(found.missed.items())[:_MOST_MISSED]]
        warnings.append(f"{count(len(found.missed), 'picture')} could not be compared: {listed(names, _MOST_MISSED)}")
    return [*warnings, _LIMITS]


def _assessment(found: FaceEvaluation) -> Assessment:
    unfair = [group for group in found.groups if group.verdict == "higher"]
    if found.fmr is None or found.fnmr is None:
        return Assessment("care", "Half measured", "Pairs of one person and of different people are both needed.")
    if (found.fmr.low or 0) > found.threshold.fmr:
        text = f"Strangers are confused more often than the {found.threshold.fmr:.2g} asked for: ask for a lower rate."
        return Assessment("bad", "Not fit for use at this threshold", text)
    if unfair:
        names = listed([group.name for group in unfair])
        return Assessment("bad", "Unfair at this threshold", f"Strangers among {names} are confused far more often.")
    if any(group.verdict == "too few" for group in found.groups):
        text = "Errors are as rare as asked for over all; for the groups named below there are too few pairs to say."
        return Assessment("care", "Fit for use on pictures like these, with groups unknown", text)
    if (found.fmr.high or 1) > 3 * found.threshold.fmr or (found.fnmr.high or 1) > 0.05:
        text = (
            "No error beyond what was asked for, but too few people to promise it; more of them narrow the intervals."
        )
        return Assessment("care", "Fit for use with care", text)
    text = "False matches are as rare as asked for, and people are recognised, on pictures like these."
    return Assessment("good", "Fit for use on pictures like these", text)


def _groups(groups: Sequence[FaceGroup]) -> Table:
    rows = tuple(
        (
            f"{group.column}: {group.name}",
            group.people,
            group.pictures,
            group.missed,
            _thousands(group.fmr) if group.fmr is not None else "no pairs",
            group.fnmr if group.fnmr is not None else "no pairs",
            {
                "higher": "over 3 times that of all",
                "like all": "like all",
                "too few": f"unknown: {count(group.units, 'pair')} of people",
            }[group.verdict],
        )
        for group in groups
    )
    columns = (
        "group",
        "people",
        "pictures",
        "faces not found",
        "false matches per 1,000",
        "false non-matches",
        "verdict",
    )
    note = "Pairs within each group, at the one threshold. Groups are those of your own table."
    return Table("By group", columns, rows, note)


def _thresholds(pairs: FacePairs) -> Table:
    """What other rates would need on these people, as far as there are enough of them."""
    rows: list[tuple[str, object, object]] = []
    impostor, genuine = pairs.impostor, pairs.genuine
    for rate in _RATES:
        if len(impostor) and impostor.units * rate >= 3:
            at = threshold_at(impostor, rate)
            missed = Metric(1 - match_rate(genuine, at.value).value, n=len(genuine)) if len(genuine) else None
            rows.append((f"{rate:g}", Metric(at.value, at.low, at.high, len(impostor), ""), missed))
        else:
            rows.append((f"{rate:g}", "unknown: too few people", None))
    columns = ("false-match rate", "threshold on these people", "false non-matches there")
    return Table("Thresholds", columns, tuple(rows), "A rate needs 3 / rate pairs of people at least.")


def _scores(found: FaceEvaluation) -> Figure | None:
    """How scores of pairs of one person, and of different people, are distributed."""
    edges = np.linspace(-0.4, 1.0, 57)
    series = {}
    for name, part in (("different people", found.pairs.impostor), ("one person", found.pairs.genuine)):
        if len(part):
            shares = np.histogram(part.scores, edges)[0] / len(part)
            series[name] = CurveLine((edges[:-1] + edges[1:]) / 2, shares)
    if not series:
        return None
    top = max(float(np.max(line.y)) for line in series.values())
    at = found.threshold.score
    series[f"threshold {at:.3f}"] = CurveLine(np.array([at, at]), np.array([0.0, top]), dashed=True)
    drawn = lines(series, "Scores of pairs", "score", "share of the pairs", y_range=(0.0, 1.05 * top))
    return Figure("Scores of pairs", drawn, note="The less the two overlap, the better.", first=True)


def _group_bars(found: FaceEvaluation) -> Figure | None:
    groups = {
        f"{group.name} ({count(group.units, 'pair')} of people)": [Bar(group.fmr.value, group.fmr.low, group.fmr.high)]
        for group in found.groups
        if group.fmr is not None
    }
    if not groups or found.fmr is None:
        return None
    groups = {"all": [Bar(found.fmr.value, found.fmr.low, found.fmr.high)], **groups}
    top = max(max(bar.value, bar.high or 0.0) for row in groups.values() for bar in row)
    drawn = bars(groups, "False matches by group", top=max(top, 1e-4), form="{:.2%}".format)
    note = "Whiskers are 95% intervals over people: where they are long, the group is too small to be judged."
    return Figure("False matches by group", drawn, note=note)


def _thousands(rate: Metric) -> Metric:
    """A rate that may be far below a percent, per 1,000 pairs."""
    value, low, high = (1000 * (part or 0.0) for part in (rate.value, rate.low, rate.high))
    return Metric(value, low, high, rate.n, "")


def _percent(metric: Metric) -> str:
    return f"{100 * metric.value:.2f}% ({100 * (metric.low or 0):.2f} to {100 * (metric.high or 0):.2f}%)"
