"""Assessment: what the figures of a model come to, in one sentence; the one place where that is decided.

A row of the table of tasks says from which value of which metric a model is fit for use on its own, and from which with
a person who checks (`Task.fit`). The rule is the same for all tasks and errs on the careful side:

- fit: the lower bound of the 95% interval reaches the first value, for every metric that the row names;
- fit with care: the second value is reached; a high figure on few pictures is such a case, too; or the first one is
  where a person looks at what the model is unsure of (`Task.checked`);
- not fit: it is not;
- no better than chance: the interval of a metric holds the value of a model that has learned nothing (`Task.chance`).

Pictures that leaked from the training do not count. What else was found (a condition, a group, a confidence that is
off) turns "fit" into "fit with care", and is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from photovision.core.drawing import percent
from photovision.core.glossary import heading
from photovision.core.phrases import count
from photovision.core.report import Assessment, Finding, Level, Metric
from photovision.core.task import Task

MAX_CALIBRATION_ERROR = 0.1
"""Calibration error above which, beyond doubt, no threshold should be set on the confidence."""
_FEW = 0.2  # of the way from chance to perfection, from which on few pictures are the reason of a wide interval
NOT_TESTED = Assessment(
    "care",
    "Not tested",
    "All these pictures are or resemble training pictures, so nothing is known about new ones. Test it on others.",
)
_LABELS = {
    "good": "Fit for use on its own",
    "care": "Fit with care: let a person check",
    "bad": "Not fit for use yet",
}
_ORDER: tuple[Level, ...] = ("good", "care", "bad")


def fitness(row: Task, metrics: Mapping[str, Metric]) -> Assessment | None:
    """Whether a model is fit for use, by the metrics of an evaluation; None where they do not say.

    Args:
        row: of its task.
        metrics: name -> metric; "NAME_leak_free" goes before "NAME".
    """
    measured = {
        name: (metrics.get(f"{name}_leak_free", metrics[name]), *bounds, metrics.get(row.checked.get(name, "")))
        for name, bounds in row.fit.items()
        if name in metrics
    }
    if not measured:
        return None
    guessing = _guessing(row, metrics)
    if guessing is not None:
        return guessing
    name = max(
        measured, key=lambda one: (_ORDER.index(_level(*measured[one])), measured[one][1] - _least(measured[one][0]))
    )
    metric, fit, care, checked = measured[name]
    level = _level(*measured[name])
    if level == "care" and checked is not None and metric.value < care:
        text = _checked_text(row, name, metric, checked)
    else:
        text = _text(level, heading(name, metric)[0], metric, fit, metrics, row.advice.get(name))
    return with_concerns(Assessment(level, _LABELS[level], text), _calibration(metrics))


def _guessing(row: Task, metrics: Mapping[str, Metric]) -> Assessment | None:
    """The assessment where a model is no better than chance; None for others."""
    for name, chance in row.chance.items():
        metric = metrics.get(f"{name}_leak_free", metrics.get(name))
        if metric is None or _least(metric) > chance or metric.value > chance + _FEW * (1 - chance):
            continue
        on = f" on {count(metric.n, 'picture')}" if metric.n else ""
        measured = f"{heading(name, metric)[0]} is {percent(metric.value)}{on}"
        least = f"; a model that has learned nothing reaches {percent(chance)}"
        advice = "Give it more minutes (--minutes), more pictures or better labels"
        return Assessment("bad", "Has learned nothing: no better than chance", f"{measured}{least}. {advice}.")
    return None


def expected_fitness(row: Task, score: str, metric: Metric, reliable: bool, tested: bool = True) -> Assessment:
    """What the score to expect of unlabelled images comes to, by the first bounds of the row.

    Args:
        row: of the task.
        score: what the score is called.
        metric: to expect.
        reliable: whether the images are of a kind that the model knows.
        tested: whether such estimates were tested on held-out images when the model was made.
    """
    label_some = "Label some of these pictures and use 'photovision evaluate' before you rely on it."
    if not reliable:
        return Assessment(
            "bad", "No reliable estimate", f"Most of these pictures are unlike the training. {label_some}"
        )
    fit, care = next(iter(row.fit.values()), (0.9, 0.7))
    level = _level(metric, fit, care)
    text = f"Expected {score} {percent(metric.value)}, at least {percent(_least(metric))}, without labels."
    if level == "good" and not tested:
        level, text = "care", f"{text} Too few pictures were held out to test such estimates."
    more = "" if level == "good" else f" {label_some}"
    labels = {"good": "Likely fit for use here", "care": "Fit with care here", "bad": "Likely not fit here"}
    return Assessment(level, labels[level], text + more)


def with_concerns(found: Assessment, concerns: Sequence[str]) -> Assessment:
    """An assessment with what else was found, which leaves nothing without care; the first is named."""
    if not concerns:
        return found
    level: Level = "care" if found.level == "good" else found.level
    label = found.label if found.level == level else "Fit with care"
    more = f" ({count(len(concerns) - 1, 'more finding')} below)" if len(concerns) > 1 else ""
    return Assessment(level, label, f"{found.text.rstrip('.')}. But: {concerns[0].rstrip('.')}{more}.")


def concerns_of(findings: Sequence[Finding]) -> list[str]:
    """What checks warn of, what they themselves call worst first."""
    named = [one.assessment.text for one in findings if one.assessment and one.assessment.level != "good"]
    return [*named, *(warning for one in findings if not one.assessment for warning in one.warnings[:1])]


def _level(metric: Metric, fit: float, care: float, checked: Metric | None = None) -> Level:
    if _least(metric) >= fit:
        return "good"
    return "care" if metric.value >= care or (checked is not None and checked.value >= fit) else "bad"


def _least(metric: Metric) -> float:
    return metric.value if metric.low is None else metric.low


def _checked_text(row: Task, name: str, metric: Metric, checked: Metric) -> str:
    """Why a model that misses much by itself is fit with a person who looks at what it is unsure of."""
    on = f" on {count(metric.n, 'picture')}" if metric.n else ""
    shown = f"{heading(name, metric)[0]} is {percent(metric.value)}{on}, and {percent(checked.value)} with those that"
    advice = row.advice.get(name, "")
    return f"{shown} it is unsure of and a person checks. {advice}".rstrip()


def _text(
    level: Level, name: str, metric: Metric, fit: float, metrics: Mapping[str, Metric], advice: str | None
) -> str:
    on = f" on {count(metric.n, 'picture')}" if metric.n else ""
    measured = f"{name} is {percent(metric.value)}{on}"
    if level == "good":
        term = name if name[1:2].isupper() else name[0].lower() + name[1:]  # mAP and IoU stay
        least = f"{term} is at least {percent(_least(metric))} (95% confidence)"
        return f"On pictures like these, {least}{on and f', measured{on}'}."
    if advice and metric.value < fit:
        return f"{measured}. {advice}"
    if level == "bad":
        return f"{measured}. Look at the wrong pictures, then give it more of them, or more time."
    if metric.value >= fit:
        return f"{measured}, too few to be sure: it may be {percent(_least(metric))} on new ones. Test it on more."
    sure = metrics.get("selective_accuracy")
    rest = f" Of the 80% that it is surest of, {percent(sure.value)} are right." if sure and sure.value >= fit else ""
    return f"{measured}: good for suggestions.{rest}"


def _calibration(metrics: Mapping[str, Metric]) -> list[str]:
    error = metrics.get("ece") or metrics.get("d_ece")
    if error is None or _least(error) <= MAX_CALIBRATION_ERROR:
        return []
    return [f"its confidence is off by {error.value * 100:.0f} points: set no threshold on it before it is calibrated"]
