"""What an evaluation of an anomaly detector tells: sentences, tables, the distribution of scores, the worst images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from photovision.core.curves import CurveLine, lines
from photovision.core.drawing import percent
from photovision.core.errors import UnreadableImage
from photovision.core.image import open_sample, to_array
from photovision.core.phrases import count, listed
from photovision.core.report import RIGHT, WRONG, Assessment, Figure, Finding, Table
from photovision.core.thumbnail import jpeg
from photovision.core.types import Floats, Image, Sample
from photovision.tasks.anomaly.evaluation import AnomalyEvaluation
from photovision.tasks.anomaly.heatmap import painted

SHOWN = 12


def training_summary(info: Mapping[str, Any]) -> tuple[str, ...]:
    """What was learned, and what is promised."""
    facts, stage = info["anomaly"], info["rungs"][0]
    scores = facts["good_scores"]
    n = sum(len(values) for values in scores.values())
    groups = "" if len(scores) == 1 else f", in each of {len(scores)} groups"
    return (
        f"A memory bank of {count(n, 'good image')} on {info['backbone']['name']} was learned in"
        f" {stage['seconds']:.0f} seconds.",
        f"It promises at most {percent(facts['false_alarms'])} false alarms on good images like these{groups}: each of"
        " the good images was scored by a bank without it (split-conformal).",
        f"{facts['statistic'].capitalize()} decides, as chosen on synthetic defects; of those it finds an AUROC of"
        f" {stage['val']['value']:.3f}."
        f"{'' if facts.get('known_bad') else ' No bad image was used.'}",
    )


def training_warnings(info: Mapping[str, Any]) -> list[str]:
    """What to look at after a training."""
    suspects = info["anomaly"]["suspects"]
    if not suspects:
        return []
    return [
        f"{count(len(suspects), 'image')} among the good ones may be bad: {listed(suspects)}. Look at them; leave them"
        " out with --leave-out-suspects, or remove them, and train again."
    ]


def findings(evaluation: AnomalyEvaluation) -> Finding:
    """What is particular to anomaly detection in the report of an evaluation; see `engine.evaluation`.

    Returns:
        data["by_kind"]: the AUROC of every kind of defect; data["images"]: score, p-value and verdict of each image.
    """
    kinds, alarming = evaluation.by_kind(), _alarming(evaluation)
    return Finding(
        summary=_summary(evaluation),
        tables=_tables(evaluation),
        figures=[figure for figure in (_distribution(evaluation), _examples(evaluation)) if figure is not None],
        warnings=_warnings(evaluation),
        assessment=Assessment("care", "More false alarms than promised", alarming) if alarming else None,
        data={
            "by_kind": {kind: metric.to_json() for kind, metric in kinds.items()},
            "images": [
                {"id": sample.id, "kind": kind, "score": round(float(score), 6), "p": round(float(p), 6)}
                for sample, kind, score, p in zip(
                    evaluation.samples, evaluation.kinds, evaluation.scores, evaluation.p_values, strict=True
                )
            ],
        },
    )


def _summary(evaluation: AnomalyEvaluation) -> tuple[str, ...]:
    metrics, bad = evaluation.metrics(), evaluation.bad
    good_n, bad_n = int((~bad).sum()), int(bad.sum())
    sentences = []
    if bad_n:  # what happens in use comes before what another threshold could do
        found_n = int((evaluation.alarms & bad).sum())
        unsure = int((evaluation.unsure & bad).sum())
        doubt = f", and {unsure:,} more {'is' if unsure == 1 else 'are'} called unsure" if unsure else ""
        sentences.append(
            f"At its threshold {found_n:,} of {count(bad_n, 'image')} with defects {_was(found_n)} found{doubt}."
        )
    if "auroc" in metrics:
        found = metrics["recall_at_1"]
        sentences.append(
            f"Image AUROC is {metrics['auroc'].value:.3f} on {count(good_n, 'good image')} and"
            f" {count(bad_n, 'image')} with defects; a threshold with 1% false alarms among these would"
            f" find {percent(found.value)}."
        )
    if "aupro" in metrics:
        sentences.append(
            f"Places are found with an AUPRO of {metrics['aupro'].value:.3f} (pixel AUROC"
            f" {metrics['pixel_auroc'].value:.3f})."
        )
    if "false_alarms" in metrics:
        alarms = metrics["false_alarms"]
        sentences.append(
            f"{count(round(alarms.value * good_n), 'good image')} of {good_n:,} {_was(round(alarms.value * good_n))}"
            f" called anomalous ({percent(alarms.value)}, 95% interval {100 * (alarms.low or 0):.1f} to"
            f" {100 * (alarms.high or 0):.1f}%); at most {percent(evaluation.model.false_alarms)} was promised."
        )
    return tuple(sentences)


def _was(n: int) -> str:
    return "was" if n == 1 else "were"


def _alarming(evaluation: AnomalyEvaluation) -> str:
    """That there are more false alarms than promised, beyond doubt; empty where there are not."""
    alarms = evaluation.metrics().get("false_alarms")
    if alarms is None or alarms.low is None or alarms.low <= evaluation.model.false_alarms:
        return ""
    promised = percent(evaluation.model.false_alarms)
    return f"{percent(alarms.value)} of good images are called anomalous; {promised} was promised"


def _warnings(evaluation: AnomalyEvaluation) -> list[str]:
    found = []
    if _alarming(evaluation):
        found.append(
            "There are more false alarms than promised: these good images differ from those it learned from. Calibrate"
            " on new good images ('photovision calibrate'), or train again with some of them."
        )
    if not evaluation.bad.any():
        found.append("There is no image with a defect, so how many defects are found is not known.")
    return found


def _tables(evaluation: AnomalyEvaluation) -> tuple[Table, ...]:
    kinds, names = evaluation.by_kind(), np.array(evaluation.kinds)
    rows = []
    for kind, metric in sorted(kinds.items(), key=lambda row: row[1].value):
        of = names == kind
        rows.append((kind, metric, f"{int((evaluation.alarms & of).sum()):,} of {int(of.sum()):,}"))
    promised = [
        (one.group or "all", one.n, percent(one.false_alarms), f"{one.expected.low:.1%} to {one.expected.high:.1%}")
        for one in evaluation.model.promises.values()
    ]
    tables = [
        Table(
            "Promised false alarms",
            ("group", "good images", "promised", "95% interval of the true rate"),
            tuple(promised),
            "The rate that these good images give lies in the interval with a probability of 95% (Beta law).",
        )
    ]
    if rows:
        tables.insert(0, Table("Kinds of defects", ("kind", "AUROC", "found"), tuple(rows), "The hardest kind first."))
    return tuple(tables)


def _distribution(evaluation: AnomalyEvaluation) -> Figure:
    """The share of images above every score, good and bad ones."""
    scores, bad = evaluation.scores, evaluation.bad
    grid = np.linspace(float(scores.min()), float(scores.max()), 60)
    curves = {
        name: CurveLine(grid, [float((scores[of] >= value).mean()) for value in grid])
        for name, of in (("good", ~bad), ("with a defect", bad))
        if of.any()
    }
    threshold = evaluation.model.promised().threshold
    curves["threshold"] = CurveLine([threshold, threshold], [0.0, 1.0], dashed=True)
    title = "Images above a score"
    note = f"Images with a score of {threshold:.2f} or more, right of the dashed line, are called anomalous."
    return Figure(
        title, svg=lines(curves, title, "score", "share above it", x_form="{:.1f}".format), note=note, first=True
    )


def _examples(evaluation: AnomalyEvaluation) -> Figure | None:
    """The images that are furthest from their truth, then some that are right, with their heat."""
    pictures = []
    agreement = evaluation.score()
    order = np.argsort(agreement, kind="stable").tolist()
    wrong = sorted((row for row in order if agreement[row] < 1), key=lambda row: bool(evaluation.unsure[row]))
    right = _alternating([row for row in order if agreement[row] >= 1], evaluation.bad)
    kept = right[: max(SHOWN // 3, SHOWN - len(wrong))]
    for row in [*wrong[: SHOWN - len(kept)], *kept]:
        shown = heat_over(evaluation.samples[row], evaluation.heatmaps[row])
        if shown is None:
            continue
        verdict = "anomalous" if evaluation.alarms[row] else "unsure" if evaluation.unsure[row] else "good"
        mark = RIGHT if agreement[row] >= 1 else "" if evaluation.unsure[row] else WRONG
        caption = f"{mark}{verdict} (p = {evaluation.p_values[row]:.3f})\ntrue: {evaluation.kinds[row]}"
        pictures.append((jpeg(shown), f"{caption}\n{evaluation.samples[row].id}"))
    if not pictures:
        return None
    title = "Wrong and right" if wrong and kept else "Right" if kept else "Wrong"
    return Figure(title, pictures=tuple(pictures), note="Red is hotter than good images.", first=True)


def _alternating(rows: Sequence[int], bad: np.ndarray) -> list[int]:
    """An image with a defect, a good one, and so on, as long as there are both."""
    of = {kind: [row for row in rows if bad[row] == kind] for kind in (True, False)}
    turns = zip_longest(of[True], of[False])
    return [row for turn in turns for row in turn if row is not None]


def heat_over(sample: Sample, heat: Floats) -> Image | None:
    """An image with its heat where it is 1 or more, uint8 RGB; None where it cannot be read any more."""
    try:
        image = to_array(open_sample(sample))
    except UnreadableImage:
        return None
    return painted(image, heat)
