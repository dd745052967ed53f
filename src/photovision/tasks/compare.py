"""Compare: is B really better than A, judged on the same pictures?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.drawing import Bar, bars
from photovision.core.errors import DataError
from photovision.core.report import Figure, Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.thumbnail import picture_grid
from photovision.data.dataset import Dataset
from photovision.tasks import story
from photovision.tasks.evaluate import Answering, Answers, Progress, answer, said_names, true_names
from photovision.trust.statistics import (
    Estimate,
    Z,
    average_precision,
    detectable_difference,
    mcnemar,
    paired_bootstrap,
    paired_proportions,
)

SHOWN = 12
_LEVEL = 0.05
_DETECTED = 2.8 / Z  # a difference of 2.8 standard errors is seen in 4 of 5 cases
_LEAST_PROB = float(np.finfo(np.float32).eps)


def compare(a: Answering, b: Answering, dataset: Dataset, *, progress: Progress | None = None) -> Report:
    """Hold two models' answers on the same pictures against each other.

    Accuracy (every label right, for multi-label models) is compared by McNemar's exact test and the interval of Bonett
    and Price, log-loss by a paired bootstrap, mean average precision by the influence of each picture on both models.

    Args:
        a, b: the models; both must know all classes of the data, in any order.
        dataset: labelled pictures that neither model learned from.
        progress: called with (pictures done, pictures to do), over both models.

    Returns:
        A report of kind "compare"; `metrics` hold accuracy_a, accuracy_b, accuracy_difference (B minus A), mcnemar_p
        and the other figures likewise (exact_match_... and map_... for multi-label); the JSON has "verdict", "a" (A is
        better), "b" or "undecided".

    Raises:
        DataError: as for `evaluate`, or one model is multi-label and the other is not.
    """
    if a.multilabel != b.multilabel:
        raise DataError("one of the models gives one class a picture, the other any number: they cannot be compared")
    first, second = _common(answer(a, dataset, _half(progress, 0)), answer(b, dataset, _half(progress, 1)))
    n, lead = len(first.samples), "exact_match" if a.multilabel else "accuracy"
    flips, gain = mcnemar(first.right, second.right), paired_proportions(first.right, second.right)
    metrics = _side_by_side(first, second)
    metrics[f"{lead}_difference"] = Metric(*gain, n, "points")
    metrics["mcnemar_p"] = Metric(flips.p, n=n, unit="")
    if a.multilabel:
        deciding = _map_difference(first, second)
        metrics["map_difference"] = Metric(*deciding, n, "points")
        least = _DETECTED * (deciding.high - deciding.low) / 2
        decided = deciding.low > 0 or deciding.high < 0
    else:
        deciding, decided, least = gain, flips.p < _LEVEL, detectable_difference(flips, n)
        metrics["log_loss_difference"] = Metric(*paired_bootstrap(_losses(first), _losses(second)), n, "")
    better = ("b" if deciding.value > 0 else "a") if decided else "undecided"
    return Report(
        kind="compare",
        title=f"Is B better than A on {n:,} pictures?",
        summary=(
            _verdict(better, deciding, n, least, a.multilabel),
            f"{story.count(flips.only_b, 'picture')} only B has right, {flips.only_a:,} only A"
            f" (McNemar's exact test: p = {flips.p:.2g}).",
        ),
        metrics=metrics,
        tables=[_table(metrics)],
        figures=[_bars(metrics, lead), *_flipped(first, second)],
        warnings=_warnings(first, second),
        provenance={
            "a": _facts(a),
            "b": _facts(b),
            "data": {"fingerprint": dataset.fingerprint, "pictures": len(dataset)},
            **provenance(),
        },
        data={"verdict": better, "only_a_right": flips.only_a, "only_b_right": flips.only_b, "detectable": least},
    )


def _half(progress: Progress | None, done: int) -> Progress | None:
    if progress is None:
        return None
    report = progress
    return lambda at, total: report(done * total + at, 2 * total)


def _common(a: Answers, b: Answers) -> tuple[Answers, Answers]:
    """The answers on pictures that both models could read."""
    both = np.intersect1d(a.positions, b.positions)
    if not len(both):
        raise DataError("no picture could be read by both models: check the files")
    return a.at(np.searchsorted(a.positions, both)), b.at(np.searchsorted(b.positions, both))


def _side_by_side(a: Answers, b: Answers) -> dict[str, Metric]:
    kept = ("map", "exact_match", "ece") if a.multilabel else ("accuracy", "balanced_accuracy", "log_loss", "ece")
    found_a, found_b = a.scores(), b.scores()
    metrics: dict[str, Metric] = {}
    for name in kept:
        if name in found_a and name in found_b:
            metrics |= {f"{name}_a": found_a[name], f"{name}_b": found_b[name]}
    return metrics


def _losses(answers: Answers) -> np.ndarray:
    chosen = answers.probs[np.arange(len(answers.truth)), answers.truth].astype(np.float64)
    return np.asarray(-np.log(np.clip(chosen, _LEAST_PROB, 1)))


def _map_difference(a: Answers, b: Answers) -> Estimate:
    """B minus A, from each picture's influence on both figures (infinitesimal jackknife)."""
    names = [name for name in a.classes if a.truth[:, a.classes.index(name)].any()]
    if not names:
        return Estimate(0.0, -1.0, 1.0)
    value, influence = 0.0, np.zeros(len(a.samples))
    for name in names:
        for sign, answers in ((-1, a), (1, b)):
            column = answers.classes.index(name)
            found, each = average_precision(answers.probs[:, column], answers.truth[:, column] > 0)
            value, influence = value + sign * found, influence + sign * each
    value, error = value / len(names), float(np.sqrt((influence**2).sum())) / len(names)
    return Estimate(value, value - Z * error, value + Z * error)


def _verdict(better: str, gain: Estimate, n: int, least: float, multilabel: bool) -> str:
    figure = "mAP" if multilabel else "accuracy"
    if better == "undecided":
        return (
            f"A and B cannot be told apart with {story.count(n, 'picture')}; a difference of at least about"
            f" {least * 100:.1f} points would have been seen."
        )
    winner, sign = ("B", 1) if better == "b" else ("A", -1)
    low, high = sorted((sign * gain.low, sign * gain.high))
    return (
        f"{winner} is better: {sign * gain.value * 100:+.1f} points of {figure}"
        f" (95 % interval {low * 100:+.1f} to {high * 100:+.1f}, {story.count(n, 'picture')})."
    )


def _table(metrics: dict[str, Metric]) -> Table:
    bases = [name.removesuffix("_a") for name in metrics if name.endswith("_a")]
    rows = tuple(
        (base.replace("_", " "), metrics[f"{base}_a"], metrics[f"{base}_b"], metrics.get(f"{base}_difference"))
        for base in bases
    )
    return Table("Side by side", ("figure", "A", "B", "B minus A"), rows)


def _bars(metrics: dict[str, Metric], lead: str) -> Figure:
    names = [name for name in ("map", lead, "balanced_accuracy") if f"{name}_a" in metrics]
    groups = {}
    for name in names:
        pair = metrics[f"{name}_a"], metrics[f"{name}_b"]
        groups[name.replace("_", " ")] = [Bar(m.value, m.low, m.high, i) for i, m in enumerate(pair)]
    note = "Intervals that overlap do not mean that there is no difference: the paired test above decides."
    return Figure("Side by side", svg=bars(groups, "A and B side by side", series=("A", "B")), note=note)


def _flipped(a: Answers, b: Answers) -> list[Figure]:
    found = []
    for title, rows in (
        ("A wrong, B right", np.flatnonzero(~a.right & b.right)),
        ("A right, B wrong", np.flatnonzero(a.right & ~b.right)),
    ):
        moved = _movement(a, b)[rows]
        shown = rows[np.argsort(-moved, kind="stable")][:SHOWN]
        grid = picture_grid(
            title,
            [a.samples[int(row)] for row in shown],
            [_both(a, b, int(row)) for row in shown],
            f"{len(shown)} of {story.count(len(rows), 'picture')} that flipped, those with the largest change first.",
        )
        found += [grid] if grid else []
    return found


def _movement(a: Answers, b: Answers) -> np.ndarray:
    order = [b.classes.index(name) if name in b.classes else -1 for name in a.classes]
    known = np.array(order) >= 0
    return np.asarray(np.abs(a.probs[:, known] - b.probs[:, np.array(order)[known]]).max(1))


def _both(a: Answers, b: Answers, row: int) -> str:
    told = f"true: {true_names(a, row)}\nA: {said_names(a, row)}\nB: {said_names(b, row)}"
    return f"{told}\n{a.samples[row].id}"


def _warnings(a: Answers, b: Answers) -> list[str]:
    problems: Sequence[str] = sorted({problem.id for problem in (*a.problems, *b.problems)})
    found = []
    if problems:
        listed = story.listed(problems)
        found.append(f"{story.count(len(problems), 'picture')} could not be read and count nowhere: {listed}.")
    if len(a.samples) < 100:
        found.append(f"These figures rest on {len(a.samples)} pictures only: small differences cannot be seen.")
    return found


def _facts(model: Answering) -> dict[str, object]:
    backbone = model.info.get("backbone") or {}
    trained = (model.info.get("data") or {}).get("fingerprint")
    facts = {"backbone": backbone.get("name"), "chosen": model.info.get("chosen"), "trained_on": trained}
    return {name: value for name, value in facts.items() if value is not None}
