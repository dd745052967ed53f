"""The report of a whole training: the evaluation of the chosen stage, and how it was reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from photovision.core.drawing import Bar, bars, learning_curve, percent
from photovision.core.phrases import count
from photovision.core.report import Figure, Metric, Report, Table
from photovision.core.task import task
from photovision.engine.card_text import LEARNED_VAL
from photovision.trust.metrics.statistics import Estimate, difference

BASELINE = "handcrafted"


def training_report(info: Mapping[str, Any], evaluation: Report) -> Report:
    """The report of a training: the evaluation of the chosen rung, and how it was reached.

    Args:
        info: the content of bundle.json.
        evaluation: of the chosen rung on pictures that played no part in the training.

    Returns:
        A report of kind "train": the evaluation with the ladder, learning curves, what deep learning bought over the
        handcrafted baseline, data notes, export parity, licences and provenance.
    """
    rungs: Sequence[Mapping[str, Any]] = info.get("rungs") or ()
    sentences, alarms = _bought(rungs, info.get("chosen"))
    parity = _parity(info.get("parity") or {})
    data, backbone = info.get("data") or {}, info.get("backbone") or {}
    # The first note tells how the split came about; the others are caveats.
    split, *caveats = (str(note) for note in data.get("notes") or [""])
    summary = [*evaluation.summary[:1], *sentences, *evaluation.summary[1:], *parity, *([split] if split else [])]
    summary += [LEARNED_VAL] if info.get("learned_val") else []
    tables = [*_ladder_table(rungs, info), *evaluation.tables, *_left_out(data), *_licences(info.get("licences") or ())]
    return Report(
        kind="train",
        title=evaluation.title,
        summary=tuple(summary),
        metrics=evaluation.metrics,
        tables=tables,
        figures=[*_ladder(rungs, info), *evaluation.figures, *_curves(rungs)],
        assessment=evaluation.assessment,
        warnings=[*alarms, *_apart(rungs, info.get("chosen")), *evaluation.warnings, *caveats],
        provenance={
            "backbone": backbone,
            "data": {"fingerprint": data.get("fingerprint"), "counts": data.get("counts")},
            "training": info.get("training") or {},
            **(info.get("provenance") or {}),
        },
        data={**evaluation.data, "chosen": info.get("chosen"), "rungs": list(rungs), "parity": info.get("parity")},
    )


def _apart(rungs: Sequence[Mapping[str, Any]], chosen: object) -> list[str]:
    """A warning where validation and test disagree by more than chance."""
    for rung in rungs:
        if rung["name"] != chosen or not rung.get("test"):
            continue
        val, test = Metric.from_json(rung["val"]), Metric.from_json(rung["test"])
        if val.low is not None and test.high is not None and val.low > test.high:
            return [
                f"Validation pictures are easier than test pictures ({percent(val.value)} against"
                f" {percent(test.value)}): they resemble the training pictures more. Confidence learned on them is too"
                " high for the test pictures; a 'group' column (shop, patient, day) would make validation honest."
            ]
    return []


def _bought(rungs: Sequence[Mapping[str, Any]], chosen: Any) -> tuple[list[str], list[str]]:
    """What deep learning bought over the baseline: sentences, and warnings where it bought nothing."""
    base = next((rung for rung in rungs if rung["name"] == BASELINE), None)
    deep = [rung for rung in rungs if rung["name"] != BASELINE]
    if base is None or not deep:
        return [], []
    best = next((rung for rung in deep if rung["name"] == chosen), None) or max(deep, key=lambda r: r["val"]["value"])
    where = "test" if base.get("test") and best.get("test") else "val"
    low, high = Metric.from_json(base[where]), Metric.from_json(best[where])
    split = {"test": "test", "val": "validation"}[where]
    gain = _gain(low, high)
    text = f"{percent(high.value)} with deep learning ({best['name']}) against {percent(low.value)} with handcrafted"
    text += f" features on {split} pictures: {_points(gain)}."
    if gain.value <= 0:
        return [text], [
            f"Deep learning bought nothing here: the handcrafted baseline reaches {percent(low.value)} on {split}"
            f" pictures, {best['name']} {percent(high.value)}. Prefer the baseline, or find out why: more time, other"
            " weights, or labels that do not follow from the pictures."
        ]
    if gain.low is not None and gain.low <= 0:
        return [
            f"{text} That is no proof: with so few {split} pictures we cannot tell whether deep learning beats the"
            " simple baseline."
        ], []
    return [text], []


def _gain(base: Metric, best: Metric) -> Metric:
    if base.low is None or base.high is None or best.low is None or best.high is None:
        return Metric(best.value - base.value)
    # Treats the rungs as if they had seen different pictures, which widens the interval: the safe side.
    return Metric(*difference(Estimate(base.value, base.low, base.high), Estimate(best.value, best.low, best.high)))


def _points(gain: Metric) -> str:
    text = f"{gain.value * 100:+.1f} points"
    if gain.low is None or gain.high is None:
        return text
    return f"{text} (95% interval {gain.low * 100:+.1f} to {gain.high * 100:+.1f})"


def _parity(parity: Mapping[str, Any]) -> list[str]:
    if not parity.get("pictures"):
        return []
    agreement, gap = parity.get("agreement"), parity.get("max_abs_prob_difference")
    n, same = (
        parity["pictures"],
        f"the same predictions as the trained network on {count(parity['pictures'], 'picture')}",
    )
    if agreement is not None and agreement < 1:
        same = f"the same prediction as the trained network for {percent(agreement)} of {count(n, 'picture')}"
    if gap is not None:
        same += f"; {parity.get('measured', 'probabilities')} differ by at most {gap:.2g}"
    if parity.get("tolerance") is not None:
        same += f" (tolerated: {parity['tolerance']:.2g})"
    return [f"The exported model gives {same}."]


def _ladder(rungs: Sequence[Mapping[str, Any]], info: Mapping[str, Any]) -> list[Figure]:
    if not rungs:
        return []
    groups = {}
    for rung in rungs:
        found = [(i, Metric.from_json(rung[name])) for i, name in enumerate(("val", "test")) if rung.get(name)]
        heading = rung["name"] + (" (chosen)" if rung["name"] == info.get("chosen") else "")
        groups[heading] = [Bar(m.value, m.low, m.high, series) for series, m in found]
    series = ("validation", "test") if any(rung.get("test") for rung in rungs) else ("validation",)
    lead = next(iter(task(str(info.get("task", "classify"))).lead.values()))
    what = "Mean average precision" if info.get("multilabel") else f"{lead[0].upper()}{lead[1:]}"
    note = (
        f"{what} of each stage, from simple features to the whole network, with 95% intervals. Validation pictures"
        " chose the stage, so their figures flatter it; test pictures were used once."
    )
    return [Figure("The ladder", svg=bars(groups, f"{what} of each stage", series=series), note=note, first=True)]


def _ladder_table(rungs: Sequence[Mapping[str, Any]], info: Mapping[str, Any]) -> list[Table]:
    if not rungs:
        return []
    columns = ("stage", "validation", "test", "how", "training s", "MB", "ms a picture", "multiply-adds", "parameters")
    rows = []
    for rung in rungs:
        val, test = (Metric.from_json(rung[name]) if rung.get(name) else None for name in ("val", "test"))
        costs = (rung.get(name) for name in ("seconds", "megabytes", "ms_per_picture"))
        sizes = (_large(rung.get(name)) for name in ("macs", "params"))
        rows.append((rung["name"], val, test, rung.get("note") or "", *costs, *sizes))
    counts = (info.get("data") or {}).get("counts") or {}
    note = ", ".join(f"{name} {n:,}" for name, n in counts.items() if isinstance(n, int))
    return [Table("The ladder", columns, tuple(rows), f"Pictures: {note}." if note else "")]


def _curves(rungs: Sequence[Mapping[str, Any]]) -> list[Figure]:
    return [
        Figure(
            f"Learning curve: {rung['name']}", svg=learning_curve(rung["curve"], f"Learning curve of {rung['name']}")
        )
        for rung in rungs
        if len(rung.get("curve") or ()) > 1
    ]


def _left_out(data: Mapping[str, Any]) -> list[Table]:
    problems = data.get("problems") or ()
    if not problems:
        return []
    rows = tuple((problem["id"], problem["kind"], problem["message"]) for problem in problems[:200])
    more = f"{len(problems) - 200:,} more are in bundle.json." if len(problems) > 200 else ""
    return [Table("Files left out of the training", ("file", "problem", "what was found"), rows, more)]


def _licences(parts: Sequence[Mapping[str, Any]]) -> list[Table]:
    if not parts:
        return []
    words = {True: "yes", False: "no", None: "unsettled"}
    rows = tuple(
        (part["part"], part["name"], part["licence"], words[part.get("commercial")], part.get("note") or "")
        for part in parts
    )
    return [Table("Licences", ("part", "name", "licence", "commercial use", "note"), rows)]


def _large(n: int | None) -> str | None:
    """385000000 as '385 M'."""
    if n is None:
        return None
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= limit:
            return f"{n / limit:.3g} {unit}"
    return str(n)
