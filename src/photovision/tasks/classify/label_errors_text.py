"""What an audit of the labels found, in words, tables and pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from photovision.core.drawing import percent
from photovision.core.phrases import count, listed
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.thumbnail import picture_grid
from photovision.core.types import Ints, Sample
from photovision.data.dataset import SPLITS, Dataset
from photovision.trust.labels.label_errors import REFERENCE, LabelErrors
from photovision.trust.labels.outliers import Outliers
from photovision.trust.metrics.statistics import Estimate, paired_proportions, proportion

if TYPE_CHECKING:
    from photovision.tasks.classify.label_errors import Cleaned

SHOWN, NAMED = 24, 50
LEAST_POWER = 0.5
"""Where fewer of random wrong labels would be found, silence says nothing."""

_KINDS = {"network": "{network}", "handcrafted": "handcrafted features", "both": "{network} and handcrafted features"}


@dataclass(frozen=True, eq=False)
class LabelErrorText:
    """The pictures that are spoken of: rows of a finding, with their labels.

    Attributes:
        dataset: all pictures.
        positions: int64 (N,), in the dataset.
        codes: int64 (N,), labels as given.
        names: of the classes.
        side: int64 (N,), the split.
    """

    dataset: Dataset
    positions: Ints
    codes: Ints
    names: tuple[str, ...]
    side: Ints

    def sample(self, row: int) -> Sample:
        """The picture of a row."""
        return self.dataset.samples[int(self.positions[row])]

    def label(self, row: int) -> str:
        """Its label as given."""
        return self.names[int(self.codes[row])]


def joined(*findings: Finding) -> Finding:
    """One finding from several, in their order."""
    return Finding(
        summary=tuple(sentence for one in findings for sentence in one.summary),
        metrics={name: metric for one in findings for name, metric in one.metrics.items()},
        tables=[table for one in findings for table in one.tables],
        figures=[figure for one in findings for figure in one.figures],
        warnings=[warning for one in findings for warning in one.warnings],
        data={name: value for one in findings for name, value in one.data.items()},
    )


def too_little(pictures: int, least: int, least_class: int, kinds: int) -> Finding:
    """Nothing was examined."""
    sentence = (
        f"Labels were not examined: that needs at least {least} pictures, in two classes or more of at least"
        f" {least_class} pictures that do not all resemble each other ({kinds} kinds), and there are {pictures:,}."
    )
    return Finding(summary=(sentence,), data={"label_errors": None})


def labels(examined: LabelErrorText, found: LabelErrors, kind: str, backbone: str, probs: np.ndarray) -> Finding:
    """Which labels are probably wrong; `probs` float (N, C) are out of sample."""
    agree = Metric(
        *proportion(int((probs.argmax(1) == examined.codes).sum()), len(examined.codes)), len(examined.codes)
    )
    features = _KINDS[kind].format(network=backbone)
    sentences = [_verdict(found, len(examined.codes)), _method(features, agree)]
    warnings = []
    if len(found.suspects):
        first = listed([f"{examined.sample(int(r)).id} ({examined.label(int(r))})" for r in found.suspects])
        warnings.append(f"{count(len(found.suspects), 'label')} should be looked at before training: {first}.")
    if found.shown and found.power < LEAST_POWER:
        warnings.append(f"Many wrong labels stay hidden: of random ones only {percent(found.power)} would be named.")
    suspects = [_suspect(examined, found, int(row)) for row in found.suspects]
    return Finding(
        summary=tuple(sentences),
        metrics={"wrong_labels": Metric(*found.share, len(examined.codes)), "label_agreement": agree},
        tables=_suspect_tables(examined, found, suspects),
        figures=_grid(
            "Suspected labels",
            examined,
            found.suspects,
            lambda row: f"label: {examined.label(row)}\nrather: {_rather(examined, found, row)}",
            f"The {min(SHOWN, len(suspects))} most suspect of {len(suspects):,}. The percentage is the confidence in"
            " the class suggested, for the eye to confirm.",
        ),
        warnings=warnings,
        data={
            "label_errors": {
                "examined": len(examined.codes),
                "wrong": Metric(*found.share, len(examined.codes)).to_json(),
                "shown": found.shown,
                "power": found.power,
                "features": features,
                "suspects": suspects,
                "confident_joint": _joint(examined, found),
            }
        },
    )


def _verdict(found: LabelErrors, n: int) -> str:
    if found.shown:
        sound = round(float((1 - found.chance[found.suspects]).sum()))
        return (
            f"About {percent(found.share.value)} ({percent(found.share.low)} to {percent(found.share.high)}) of"
            f" {n:,} labels are wrong; {len(found.suspects):,} are named, of which about {sound:,} may be right after"
            " all."
        )
    if found.power < LEAST_POWER:
        return (
            "Whether labels are wrong cannot be decided from these pictures: too many look like other classes than"
            " their"
            f" own to such features. Of random wrong labels {percent(found.power)} would be named."
        )
    return (
        f"No label looks wrong beyond what these classes' likeness explains; at most {percent(found.share.high)} of"
        f" {n:,} are. Were {REFERENCE:.0%} wrong at random, {percent(found.power)} of those would be named."
    )


def _method(features: str, agree: Metric) -> str:
    return (
        f"Labels were judged by linear heads on {features}, each picture by one that never saw it, a near-duplicate or"
        f" its group: {percent(agree.value)} agree. Wrong labels that follow a rule, one class always taken for"
        " another, look like classes that resemble each other and stay hidden."
    )


def _suspect(examined: LabelErrorText, found: LabelErrors, row: int) -> dict[str, Any]:
    return {
        "id": examined.sample(row).id,
        "label": examined.label(row),
        "suggested": examined.names[int(found.suggested[row])],
        "confidence": round(float(found.confidence[row]), 4),
        "chance_wrong": round(float(found.chance[row]), 4),
        "split": SPLITS[int(examined.side[row])],
    }


def _rather(examined: LabelErrorText, found: LabelErrors, row: int) -> str:
    return f"{examined.names[int(found.suggested[row])]} ({found.confidence[row] * 100:.0f}%)"


def _suspect_tables(examined: LabelErrorText, found: LabelErrors, suspects: Sequence[dict[str, Any]]) -> list[Table]:
    if not suspects:
        return []
    rows = tuple(
        (s["id"], s["label"], s["suggested"], percent(s["confidence"]), percent(s["chance_wrong"]), s["split"])
        for s in suspects[:NAMED]
    )
    more = f"The first {NAMED} of {len(suspects):,}; report.json has all." if len(suspects) > NAMED else ""
    pairs = Counter((s["label"], s["suggested"]) for s in suspects).most_common(10)
    return [
        Table("Suspected labels", ("picture", "label", "rather", "confidence", "chance wrong", "split"), rows, more),
        Table(
            "Classes that the suspects mix up",
            ("label", "rather", "pictures"),
            tuple((*pair, times) for pair, times in pairs),
        ),
    ]


def _joint(examined: LabelErrorText, found: LabelErrors) -> list[dict[str, Any]]:
    """The confident joint off its diagonal, largest first."""
    away = found.joint - np.diag(np.diag(found.joint))
    rows, columns = np.nonzero(away)
    order = np.argsort(-away[rows, columns], kind="stable")
    return [
        {
            "label": examined.names[rows[i]],
            "looks_like": examined.names[columns[i]],
            "n": int(away[rows[i], columns[i]]),
        }
        for i in order
    ]


def coverage(
    examined: int, all_pictures: int, left_out: Sequence[str], minutes: float, least: int, kinds: int
) -> Finding:
    """What was not examined, and why."""
    lines = []
    if left_out:
        lines.append(
            f"The labels of {count(len(left_out), 'class', 'classes')} were not examined, for want of {least} pictures"
            f" of at least {kinds} kinds each: {listed(left_out)}."
        )
    if examined < all_pictures and not left_out:
        lines.append(
            f"{examined:,} of {all_pictures:,} pictures were examined, as many as fit into {minutes:g} minutes."
        )
    elif examined < all_pictures:
        lines.append(f"{examined:,} of {all_pictures:,} pictures were examined.")
    return Finding(summary=tuple(lines))


def cleaning(examined: LabelErrorText, found: LabelErrors, cleaned: Cleaned | None) -> Finding:
    """What leaving the suspects out changes, on pictures that taught nothing."""
    if cleaned is None:
        return Finding(
            summary=("What cleaning would change was not measured: too few pictures to learn from or judge.",)
        )
    if not len(cleaned.suspected):
        return Finding(summary=("No picture to learn from has a suspected label, so cleaning would change nothing.",))
    sound = ~np.isin(cleaned.judged, found.suspects)
    before = cleaned.right["as given"]
    rows: list[tuple[Any, ...]] = []
    gains: dict[str, Estimate | None] = {}
    for name, right in cleaned.right.items():
        row: list[Any] = [f"labels of {len(cleaned.suspected):,} suspects {name}" if name != "as given" else "as given"]
        for chosen in (np.ones_like(sound), sound):
            n = int(chosen.sum())
            row.append(Metric(*proportion(int(right[chosen].sum()), n), n) if n else None)
            gain = paired_proportions(before[chosen], right[chosen]) if n else None
            row.append(Metric(*gain, n, "points") if gain is not None and name != "as given" else None)
            gains.setdefault(name, gain)
        rows.append(tuple(row))
    gain, n = gains["left out"], len(before)
    assert gain is not None  # there are judging pictures
    hidden = int((~sound).sum())
    return Finding(
        summary=(_gain(gain, cleaned, n),),
        metrics={"cleaning_gain": Metric(*gain, n, "points")},
        tables=[
            Table(
                "What cleaning would change",
                ("learnt from", "right", "gain", "right, without suspects", "gain, without suspects"),
                tuple(rows),
                f"Frozen features and a linear head, judged on the test pictures; {hidden:,} of them have suspected"
                " labels themselves.",
            )
        ],
        data={"cleaning": {"suspects_left_out": len(cleaned.suspected), "judged": n, "suspected_judging": hidden}},
    )


def _gain(gain: Estimate, cleaned: Cleaned, n: int) -> str:
    points = f"{100 * gain.value:+.1f} points ({100 * gain.low:.1f} to {100 * gain.high:.1f})"
    verdict = "no change shown" if gain.low <= 0 <= gain.high else "better" if gain.low > 0 else "worse"
    return (
        f"Learnt without the {count(len(cleaned.suspected), 'suspect')} among the pictures to learn from, a linear head"
        f" is right on {percent(float(cleaned.right['left out'].mean()))} rather than"
        f" {percent(float(cleaned.right['as given'].mean()))} of {n:,} others: {points}, {verdict}."
    )


def no_strays(pictures: int, least: int) -> Finding:
    """Too few pictures to know what is usual, or no features to see it."""
    why = (
        f"{least} pictures, and there are {pictures}"
        if pictures < least
        else "pretrained weights (photovision weights list)"
    )
    return Finding(summary=(f"Outliers were not looked for: that needs {why}.",), data={"outliers": None})


def strays(examined: LabelErrorText, found: Outliers, backbone: str) -> Finding:
    """Pictures that resemble nothing else."""
    by = f"features of {backbone}"
    named = [
        {
            "id": examined.sample(int(row)).id,
            "label": examined.label(int(row)),
            "score": round(float(found.score[row]), 2),
        }
        for row in found.named
    ]
    warnings = []
    if named:
        which = listed([f"{one['id']} ({one['label']})" for one in named])
        sentence = f"{count(len(named), 'picture')} {'resembles' if len(named) == 1 else 'resemble'} nothing else"
        warnings.append(f"{sentence} in the data, by {by}: {which}.")
    else:
        sentence = f"No picture lies far from all others, by {by}"
    return Finding(
        summary=(f"{sentence}.",),
        figures=_grid(
            "Outliers",
            examined,
            found.named,
            lambda row: f"label: {examined.label(row)}\n{found.score[row]:.1f} deviations away",
            f"The farthest {min(SHOWN, len(named))} of {len(named):,}, in robust standard deviations of the distance to"
            f" the tenth neighbour; named above {found.limit:.1f}.",
        ),
        warnings=warnings,
        data={"outliers": named},
    )


def _grid(title: str, examined: LabelErrorText, rows: Ints, caption: Any, note: str) -> list[Figure]:
    chosen = [int(row) for row in rows[:SHOWN]]
    samples = [examined.sample(row) for row in chosen]
    figure = picture_grid(title, samples, [f"{caption(row)}\n{examined.sample(row).id}" for row in chosen], note)
    return [figure] if figure is not None else []
