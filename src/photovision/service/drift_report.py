"""What a comparison of pictures in use found, in words, tables, curves and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from photovision.core.curves import CurveLine, lines
from photovision.core.drawing import Bar, bars, percent
from photovision.core.report import Assessment, Figure, Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.types import Sample
from photovision.runtime.held_out import HeldOut
from photovision.service.drift_pictures import picture_figures
from photovision.trust.drift import Drift, DriftComparison, mix_differences
from photovision.trust.metrics.statistics import Estimate, Z, proportion

if TYPE_CHECKING:
    from photovision.engine.drift import DriftModel
    from photovision.service.drift import DriftWindow
    from photovision.service.record import Record

MOST_CLASSES = 12
MOST_PARTS = 12
LEAST_IN_PART = 30
INDEPENDENT = (
    "The stated rate of false alarms holds for pictures that came independently of each other. Frames of one scene, or"
    " the same picture sent again and again, look like a change: thin them out before they are recorded."
)


class Part(NamedTuple):
    """A stretch of the window: its rows, and when it begins."""

    rows: np.ndarray
    label: str


def drift_report(
    name: str,
    compared: DriftModel,
    record: Record,
    window: DriftWindow,
    reference: HeldOut,
    found: Drift,
    pictures: Sequence[Sample],
    seed: int,
) -> Report:
    """The report of `photovision.service.drift.drift` on the model of that name.

    Args:
        name: of the model.
        compared: what its task says about drift.
        record: of the service.
        window: the predictions in use.
        reference: those that they are compared with.
        found: the outcome.
        pictures: the reference's, where they are at hand.
        seed: of the permutations.
    """
    limit = compared.limit
    metrics = _metrics(window.answers, reference, found, limit)
    mix = mix_differences(window.answers.best, reference.best, len(window.classes))
    parts = _parts(window)
    return Report(
        kind="drift",
        title=f"{name} in use: {'a change' if found.changed else 'no change found'}",
        assessment=_assessment(found),
        summary=_summary(compared, window, reference, found, metrics, mix),
        metrics=metrics,
        tables=[
            *(_compared(found), _over_time(parts, window, limit), _classes(window.classes, mix)),
            _stability(found),
        ],
        figures=[
            *_over_time_figure(parts, window, reference, found, limit),
            *picture_figures(record, window, found, pictures),
            _mix_figure(window.classes, mix),
            *_distributions(window.answers, reference, limit),
        ],
        warnings=(*window.warnings, INDEPENDENT),
        provenance={"model": name, **_origin(window, reference), "seed": seed, **provenance()},
        data=_data(found, window),
    )


def _assessment(found: Drift) -> Assessment:
    if not found.changed:
        unseen = "A small one may have gone unseen: a longer window shows smaller changes."
        return Assessment("good", "No change found", unseen)
    changed = ", ".join(one.name for one in found.changed)
    what = "What was measured before need not hold any more: label some of these pictures and evaluate."
    return Assessment("care", "Something has changed", f"Changed: {changed}. {what}")


def _metrics(answers: HeldOut, reference: HeldOut, found: Drift, limit: float | None) -> dict[str, Metric]:
    unknown = _unknown(answers, limit)
    metrics = {} if unknown is None else {"unknown_share": unknown}
    metrics["confidence_shift"] = Metric(*_mean_difference(answers, reference), len(answers), "points")
    if found.separable is not None:
        metrics["embedding_auroc"] = Metric(*found.separable, len(answers) + len(reference))
    return {**metrics, "drift_p": Metric(min(c.adjusted for c in found.comparisons), n=len(answers), unit="")}


def _origin(window: DriftWindow, reference: HeldOut) -> dict[str, object]:
    return {
        "served_as": {"name": window.name, "version": window.version},
        "window": {
            "first": window.times[0].isoformat(),
            "last": window.times[-1].isoformat(),
            "predictions": window.total,
            "compared": len(window.answers),
        },
        "reference": {"pictures": len(reference)},
    }


def _data(found: Drift, window: DriftWindow) -> dict[str, object]:
    return {
        "drift": bool(found.changed),
        "changed": [one.name for one in found.changed],
        "since": None if found.since is None else window.times[found.since].isoformat(),
        "until": None if found.until is None else window.times[found.until].isoformat(),
        "false_alarms_asked": found.false_alarms,
        "comparisons": [_told(one) for one in found.comparisons],
    }


def _told(one: DriftComparison) -> dict[str, object]:
    return {
        "name": one.name,
        "statistic": one.statistic,
        "p": one.p,
        "adjusted_p": one.adjusted,
        "changed": one.changed,
    }


def _summary(
    compared: DriftModel,
    window: DriftWindow,
    reference: HeldOut,
    found: Drift,
    metrics: dict[str, Metric],
    mix: list[tuple[Estimate, Estimate, Estimate]],
) -> tuple[str, ...]:
    count = f"{len(window.answers):,} predictions from {_moment(window, 0)} to {_moment(window, -1)}"
    drawn = f", drawn at random from {window.total:,}," if window.total > len(window.answers) else ""
    sentences = [
        f"{count}{drawn} were compared with {len(reference):,} pictures that the model did not learn from;"
        f" where nothing has changed, {percent(found.false_alarms)} of such reports say that something has."
    ]
    if not found.changed:
        sentences.insert(
            0, "No change was found. A small one may have gone unseen: a longer window shows smaller changes."
        )
        return tuple(sentences)
    words = {
        "embeddings": f"the pictures themselves, as the network sees them{_apart(metrics)}",
        "confidence": f"the model's confidence ({_signed(metrics['confidence_shift'])})",
        "novelty": "how novel the pictures look to the model",
        "unknown": f"the share called unknown{_expected(metrics, compared.false_alarms)}",
        "classes": f"the classes that it names ({_largest(window.classes, mix)})",
    }
    sentences.insert(
        0, "The pictures in use have changed: " + "; ".join(words[one.name] for one in found.changed) + "."
    )
    sentences.insert(1, _when(found, window))
    same = [_NAMES[one.name] for one in found.comparisons if not one.changed]
    if same:
        sentences.append(f"No change was found in: {', '.join(same)}.")
    sentences.append(
        "What to do: look at the pictures, label a hundred of them and judge the model on these with 'photovision"
        " evaluate'; 'photovision calibrate' makes its confidence honest for them, training with them helps most."
    )
    return tuple(sentences)


def _when(found: Drift, window: DriftWindow) -> str:
    if found.since is not None:
        return f"The change begins about {_moment(window, found.since)}, as far as the order of the pictures tells."
    if found.until is not None:
        return f"The change ends about {_moment(window, found.until)}, as far as the order of the pictures tells."
    return "It is there throughout this window, or comes and goes in it: no one moment stands out."


def _moment(window: DriftWindow, position: int) -> str:
    return window.times[position].strftime("%Y-%m-%d %H:%M UTC")


def _apart(metrics: dict[str, Metric]) -> str:
    return f" (separable with AUROC {metrics['embedding_auroc'].value:.2f})" if "embedding_auroc" in metrics else ""


def _signed(metric: Metric) -> str:
    return f"{'higher' if metric.value > 0 else 'lower'} by {abs(metric.value) * 100:.1f} points on average"


def _expected(metrics: dict[str, Metric], false_alarms: float | None) -> str:
    if false_alarms is None or "unknown_share" not in metrics:
        return ""
    return f" ({percent(metrics['unknown_share'].value)} instead of about {percent(false_alarms)})"


def _largest(classes: Sequence[str], mix: list[tuple[Estimate, Estimate, Estimate]]) -> str:
    row = int(np.argmax([abs(change.value) for _, _, change in mix]))
    here, there, _ = mix[row]
    return f"{classes[row]}: {percent(here.value)} instead of {percent(there.value)}"


_NAMES = {
    "classes": "classes named",
    "confidence": "confidence",
    "novelty": "novelty",
    "unknown": "share called unknown",
    "embeddings": "embeddings",
}
_STATISTICS = {
    "classes": "chi-squared",
    "confidence": "Anderson-Darling",
    "novelty": "Anderson-Darling",
    "unknown": "chi-squared",
    "embeddings": "MMD², unbiased",
}


def _compared(found: Drift) -> Table:
    rows = []
    for one in found.comparisons:
        verdict = "changed" if one.changed else "no change found"
        name, test = _NAMES[one.name], _STATISTICS[one.name]
        rows.append((name, test, one.statistic, one.chance, one.p, one.adjusted, verdict))
    return Table(
        "What was compared",
        ("figure", "statistic", "value", "by chance up to", "p", "corrected p", "verdict"),
        tuple(rows),
        f"By chance up to: what equal pictures stay below in {percent(1 - found.false_alarms)} of random exchanges"
        " between window and reference. Corrected p: for the number of comparisons (Holm); a change is found where it"
        f" is at most {found.false_alarms:g}.",
    )


def _stability(found: Drift) -> Table:
    rows = tuple((_NAMES[one.name], one.value, one.chance) for one in found.stabilities)
    note = (
        "For those used to this index. The customary limits 0.1 and 0.2 take no account of the number of pictures;"
        " beside it stands what equal pictures stay below. The verdict does not rest on it."
    )
    return Table("Population stability index", ("figure", "index", "by chance up to"), rows, note)


def _classes(classes: Sequence[str], mix: list[tuple[Estimate, Estimate, Estimate]]) -> Table:
    order: list[int] = np.argsort([-abs(change.value) for _, _, change in mix], kind="stable")[:30].tolist()
    rows = tuple(
        (classes[i], Metric(*mix[i][0]), Metric(*mix[i][1]), Metric(*mix[i][2], None, "points")) for i in order
    )
    note = (
        "Of the pictures, how many the model names so; the largest differences first. Ranges hold for one class alone."
    )
    return Table("Classes named", ("class", "in use", "held out", "difference"), rows, note)


def _mean_difference(window: HeldOut, reference: HeldOut) -> Estimate:
    """Mean top probability in use less that of the reference, with Welch's standard error."""
    a, b = window.prob.astype(np.float64), reference.prob.astype(np.float64)
    value = float(a.mean() - b.mean())
    half = Z * float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))
    return Estimate(value, value - half, value + half)


def _unknown(answers: HeldOut, limit: float | None) -> Metric | None:
    if answers.novelty is None or limit is None:
        return None
    return Metric(*proportion(int((answers.novelty > limit).sum()), len(answers)), len(answers))


def _parts(window: DriftWindow) -> list[Part]:
    count = min(MOST_PARTS, len(window.answers) // LEAST_IN_PART)
    return [
        Part(rows, window.times[rows[0]].strftime("%Y-%m-%d %H:%M"))
        for rows in np.array_split(np.arange(len(window.answers)), max(count, 1))
    ]


def _mean(values: np.ndarray) -> Estimate:
    value, half = float(values.mean()), Z * float(values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(value, max(value - half, 0.0), min(value + half, 1.0))


def _over_time(parts: list[Part], window: DriftWindow, limit: float | None) -> Table:
    rows = []
    for part in parts:
        answers = window.answers.take(part.rows)
        rows.append((part.label, len(answers), Metric(*_mean(answers.prob)), _unknown(answers, limit)))
    return Table("Over time", ("from (UTC)", "pictures", "mean confidence", "unknown"), tuple(rows))


def _over_time_figure(
    parts: list[Part], window: DriftWindow, reference: HeldOut, found: Drift, limit: float | None
) -> list[Figure]:
    if len(parts) < 2:
        return []
    x = [float(np.mean(part.rows)) for part in parts]
    answers = [window.answers.take(part.rows) for part in parts]
    shown = {"confidence": _line(x, [_mean(one.prob) for one in answers])}
    ends = [x[0], x[-1]]
    shares = [one for one in (_unknown(answer, limit) for answer in answers) if one is not None]
    if shares:
        shown["unknown"] = _line(x, [Estimate(s.value, s.low or 0.0, s.high or 0.0) for s in shares])
    if found.strange is not None:
        counts = [(int(found.strange[part.rows].sum()), len(part.rows)) for part in parts]
        shown["unlike held out"] = _line(x, [proportion(*count) for count in counts])
    shown["usual confidence"] = CurveLine(ends, [float(reference.prob.mean())] * 2, dashed=True)

    long = window.times[-1] - window.times[0] > timedelta(days=4)

    def when(position: float) -> str:
        return window.times[min(int(position), len(window.times) - 1)].strftime("%m-%d" if long else "%H:%M")

    drawing = lines(shown, "Over time", "time (UTC)", "share", x_form=when)
    note = (
        "Mean confidence and the share called unknown in stretches of equally many pictures; bands are 95% intervals."
        " Unlike held out: share of the pictures that are, by their embeddings, less like the held-out ones than half"
        " of these are; 50% where nothing has changed."
    )
    return [Figure("Over time", svg=drawing, note=note)]


def _line(x: list[float], found: list[Estimate]) -> CurveLine:
    return CurveLine(x, [e.value for e in found], [e.low for e in found], [e.high for e in found])


def _mix_figure(classes: Sequence[str], mix: list[tuple[Estimate, Estimate, Estimate]]) -> Figure:
    order: list[int] = np.argsort([-max(a.value, b.value) for a, b, _ in mix], kind="stable")[:MOST_CLASSES].tolist()
    groups = {classes[i]: [Bar(*mix[i][0]), Bar(*mix[i][1], series=1)] for i in order}
    top = max(max(bar.high or bar.value for bar in pair) for pair in groups.values())
    drawing = bars(groups, "Classes named", top=top, series=("in use", "held out"))
    return Figure("Classes named", svg=drawing, note="Share of the pictures that the model names so.", first=True)


def _distributions(window: HeldOut, reference: HeldOut, limit: float | None) -> list[Figure]:
    figures = [_cumulative("Confidence", "confidence", window.prob, reference.prob, percent)]
    if window.novelty is not None and reference.novelty is not None:
        named = "" if limit is None else f" Above {limit:.2f} a picture is called unknown."
        figures.append(_cumulative("Novelty", "novelty", window.novelty, reference.novelty, "{:.1f}".format, named))
    return figures


def _cumulative(title: str, name: str, a: np.ndarray, b: np.ndarray, form: object, further: str = "") -> Figure:
    shares = np.linspace(0, 1, 101)
    high = float(np.quantile(np.concatenate([a, b]), 0.995))
    shown = {}
    for label, values in (("in use", a), ("held out", b)):
        x = np.minimum(np.quantile(values, shares), high)
        shown[label] = CurveLine(x, shares)
    drawing = lines(shown, title, name, "share at or below", x_form=form)  # type: ignore[arg-type]
    return Figure(title, svg=drawing, note=f"Share of the pictures at or below each value.{further}")
