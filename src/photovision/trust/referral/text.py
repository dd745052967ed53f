"""Referrals in words, tables and curves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from photovision.core.curves import CurveLine, CurvePoint, lines
from photovision.core.drawing import percent
from photovision.core.phrases import count, spoken
from photovision.core.report import Assessment, Figure, Finding, Metric, Table
from photovision.core.types import Ints
from photovision.data.dataset import Problem
from photovision.trust.metrics.statistics import Estimate
from photovision.trust.referral.cases import Cases
from photovision.trust.referral.outcomes import BASE_RATES, Outcomes
from photovision.trust.referral.readers import ReaderDifference, reader_difference
from photovision.trust.referral.rules import OperatingPoint, ReferralRule, urgency

SHOWN = 50
"""Cases that the report shows; JSON has all."""
NO_DEVICE = "This is not a medical device: a person decides, and answers for it."
_TITLES = {
    "right_referral": ("Right referrals", "share of cases whose referral is the one that costs least for their class"),
    "cost_per_case": (
        "Cost per case",
        "mean cost of the decisions, in the unit of the table of costs; lower is better",
    ),
    "sensitivity": ("Sensitivity", "share found of the cases that need the most urgent referral"),
    "specificity": ("Specificity", "share of the other cases that do not get the most urgent referral"),
    "balanced_accuracy": ("Balanced accuracy", "mean of sensitivity and specificity"),
    "referral_auroc": ("AUROC", "chance that a case which needs the most urgent referral outranks another"),
}


def decisions(rule: ReferralRule, cases: Cases, classes: Sequence[str], problems: Sequence[Problem] = ()) -> Finding:
    """What was decided on N cases.

    Args:
        rule: by which.
        cases: the cases.
        classes: of the model.
        problems: pictures that could not be read.
    """
    decided, scores = rule.decide(cases.probs), urgency(rule, cases.probs)
    pictures = np.bincount(cases.rows, minlength=len(cases.names))
    counts = Counter(rule.referrals[number] for number in decided.tolist())
    strange = int(cases.unknown.sum())
    amounts = ", ".join(f"{name} {counts[name]:,}" for name in rule.referrals)
    warnings = [f"{count(len(problems), 'picture')} could not be read, first: {problems[0].id}."] if problems else []
    if strange:
        warnings.append(
            f"{count(strange, 'case')} {'has' if strange == 1 else 'have'} a picture unlike the training pictures: a"
            " person should look, whatever was decided."
        )
    order = np.lexsort((-scores, decided))
    rows = [
        (cases.names[row], rule.referrals[decided[row]], percent(scores[row]), classes[int(cases.probs[row].argmax())])
        for row in order.tolist()
    ]
    document = [
        {
            "case": cases.names[row],
            "referral": rule.referrals[decided[row]],
            "urgent_probability": round(float(scores[row]), 4),
            "probs": {name: round(float(p), 4) for name, p in zip(classes, cases.probs[row], strict=True)},
            "pictures": int(pictures[row]),
            "unknown": bool(cases.unknown[row]),
        }
        for row in order.tolist()
    ]
    note = f"The most urgent {SHOWN} of {len(rows):,}; report.json has all." if len(rows) > SHOWN else ""
    return Finding(
        summary=(f"{_cases(cases)}: {amounts}.", *_point(rule), NO_DEVICE),
        tables=[
            Table("Decisions", ("case", "referral", "probability", "most probable class"), tuple(rows[:SHOWN]), note)
        ],
        warnings=warnings,
        data={"cases": document, "referrals": dict(counts), "by": list(cases.by), **_rule(rule, classes)},
    )


def measured(
    outcomes: Outcomes, cases: Cases, classes: Sequence[str], base_rates: Sequence[float] = (), seed: int = 0
) -> Finding:
    """What the decisions on N cases of known truth are worth."""
    metrics = {name: _titled(name, metric) for name, metric in outcomes.metrics(seed).items()}
    n, patients = len(outcomes.right), len(np.unique(outcomes.patients))
    first = outcomes.rule.referrals[0]
    summary = [f"Right referral: {spoken(metrics['right_referral'])} of {count(n, 'case')}{_whose(cases, patients)}."]
    if "sensitivity" in metrics:
        summary.append(
            f"Of the cases that need '{first}' {spoken(metrics['sensitivity'])} are found; of the others"
            f" {spoken(metrics['specificity'])} are not called so."
        )
    rates = sorted({*BASE_RATES, *base_rates, round(outcomes.base_rate, 4)})
    values = [(rate, outcomes.predictive_values(rate, seed)) for rate in rates]
    rows = tuple((percent(rate), *found) for rate, found in values if any(found))
    summary += [
        f"Where {percent(rate)} need '{first}', {spoken(found)} of those called so do."
        for rate, (found, _) in values
        if found is not None and rate in base_rates
    ]
    tables = [_confusion(outcomes)]
    if rows:
        note = f"As sensitivity and specificity here give them; {percent(outcomes.base_rate)} is the base rate here."
        tables.append(
            Table(f"'{first}' at other base rates", ("base rate", "positive predictive value", "negative"), rows, note)
        )
    label = "right" if metrics["right_referral"].value >= 0.9 else "partly right"
    return Finding(
        summary=tuple(summary),
        metrics=metrics,
        tables=tables,
        figures=_curves(outcomes),
        data={"patients": patients, "base_rate": outcomes.base_rate},
        assessment=Assessment("care", f"Referrals: {label}, let a person check", summary[0]),
    )


def beside_readers(outcomes: Outcomes, readers: Mapping[str, Ints], seed: int = 0) -> Finding:
    """The model beside R readers who decided on the same cases, int64 (N,) each, -1 where one did not look."""
    able = {name: decided for name, decided in readers.items() if (decided >= 0).any()}
    if not able:
        return Finding()
    matrix = np.stack(list(able.values()))
    positive = outcomes.right == 0
    scored: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {
        "sensitivity": (outcomes.decided == 0, matrix == 0, (matrix >= 0) & positive),
        "specificity": (outcomes.decided != 0, matrix != 0, (matrix >= 0) & ~positive),
    }
    found = {
        name: reader_difference(
            own.astype(np.float64), people.astype(np.float64), counted, outcomes.patients, seed=seed
        )
        for name, (own, people, counted) in scored.items()
    }
    known = {name: one for name, one in found.items() if one is not None}
    n = len(outcomes.right)
    return Finding(
        summary=tuple(_beside(name, one, len(able)) for name, one in known.items()),
        metrics={f"{name}_minus_readers": _difference(name, one, n) for name, one in known.items()},
        tables=[_readers(able, outcomes)],
        figures=[_roc(outcomes, able)] if 0 < positive.sum() < n else [],
        data={"readers": list(able)},
    )


def _cases(cases: Cases) -> str:
    n, pictures = len(cases.names), len(cases.rows)
    if not cases.by:
        return f"{count(n, 'picture')}, each a case of its own"
    return f"{count(n, 'case')} by {' and '.join(cases.by)}, of {count(pictures, 'picture')}"


def _whose(cases: Cases, patients: int) -> str:
    return f" of {count(patients, 'patient')}" if cases.patient else ", each taken for a patient of its own"


def _point(rule: ReferralRule) -> tuple[str, ...]:
    if not isinstance(rule, OperatingPoint):
        return ()
    return (f"A case is referred from a probability of {percent(rule.threshold)} on, chosen on validation pictures.",)


def _rule(rule: ReferralRule, classes: Sequence[str]) -> dict[str, object]:
    costs = dict(zip(classes, rule.costs.tolist(), strict=True))
    threshold = rule.threshold if isinstance(rule, OperatingPoint) else None
    return {"rule": {"referrals": list(rule.referrals), "costs": costs, "threshold": threshold}}


def _titled(name: str, metric: Metric) -> Metric:
    title, hint = _TITLES[name]
    return replace(metric, title=title, hint=hint)


def _confusion(outcomes: Outcomes) -> Table:
    names = outcomes.rule.referrals
    width = len(names)
    cells = np.bincount(outcomes.right * width + outcomes.decided, minlength=width * width).reshape(width, width)
    rows = tuple((name, *row, sum(row)) for name, row in zip(names, cells.tolist(), strict=True))
    return Table("Right and actual referrals", ("right", *names, "all"), rows, "Rows: what would cost least.")


def _curves(outcomes: Outcomes) -> list[Figure]:
    shares, wrong, _ = outcomes.referral_curve()
    chart = lines(
        {"wrong referrals of the others": CurveLine(shares, wrong)},
        "Referral curve",
        "cases left to a person, least sure first",
        "wrong referrals",
        x_form=percent,
        y_range=(0.0, max(0.05, *wrong)),
    )
    note = "The cases whose decision is least clear by expected cost go to a person; wrong among the rest."
    return [Figure("Referral curve", svg=chart, note=note, first=True)]


def _roc(outcomes: Outcomes, readers: Mapping[str, Ints]) -> Figure:
    positive = outcomes.right == 0
    marks = [
        CurvePoint(*_rates(decided, positive)[::-1], name, series=number)
        for number, (name, decided) in enumerate({"the model": outcomes.decided, **readers}.items())
        if min(((decided >= 0) & kind).sum() for kind in (positive, ~positive))
    ]
    first = outcomes.rule.referrals[0]
    chart = lines(
        {"the model at all thresholds": CurveLine(*outcomes.roc())},
        "ROC curve with readers",
        f"false alarms of '{first}'",
        "sensitivity",
        x_form=percent,
        x_range=(0.0, 1.0),
        marks=marks,
    )
    return Figure("ROC curve with readers", svg=chart, note="A reader above the curve decides better.", first=True)


def _rates(decided: Ints, positive: np.ndarray) -> tuple[float, float]:
    """Sensitivity and false alarm rate on the cases that were decided."""
    looked = decided >= 0
    with np.errstate(invalid="ignore"):
        return float((decided == 0)[looked & positive].mean()), float((decided == 0)[looked & ~positive].mean())


def _beside(name: str, one: ReaderDifference, readers: int) -> str:
    def points(estimate: Estimate) -> str:
        return f"{100 * estimate.low:+.1f} to {100 * estimate.high:+.1f}"

    others = f"; for readers like them {points(one.others)}" if one.others else ""
    return (
        f"{name.capitalize()}: the model {percent(one.model.value)}, {count(readers, 'reader')}"
        f" {percent(one.readers.value)}{' on average' if readers > 1 else ''}, a difference of"
        f" {100 * one.these.value:+.1f} points (95% interval {points(one.these)} for these readers{others})."
    )


def _difference(name: str, one: ReaderDifference, n: int) -> Metric:
    estimate = one.others or one.these
    hint = "over patients and readers" if one.others else "over patients, for this one reader"
    return Metric(*estimate, n, "points", f"{name.capitalize()}, model minus readers", f"on the same cases, {hint}")


def _readers(readers: Mapping[str, Ints], outcomes: Outcomes) -> Table:
    positive, rows = outcomes.right == 0, []
    for name, decided in {"the model": outcomes.decided, **readers}.items():
        looked = decided >= 0
        parts = [looked & positive, looked & ~positive]
        hits = [
            (decided[parts[0]] == 0).mean() if parts[0].any() else None,
            (decided[parts[1]] != 0).mean() if parts[1].any() else None,
        ]
        right = (decided == outcomes.right)[looked].mean()
        rows.append(
            (name, int(looked.sum()), *(None if h is None else percent(float(h)) for h in hits), percent(right))
        )
    columns = ("reader", "cases", "sensitivity", "specificity", "right referrals")
    return Table("Readers and model", columns, tuple(rows), "A reader's class counts as the referral right for it.")
