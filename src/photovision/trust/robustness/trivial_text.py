"""Trivial predictors beside a model, in words; where one is as good, the model may rest on a shortcut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from photovision.core.drawing import percent
from photovision.core.report import Assessment, Finding, Metric, Table
from photovision.data.trivial_facts import BRIGHTNESS, CORNERS, OUTSIDE, THUMBNAIL
from photovision.trust.robustness.trivial_predictors import MACRO, TrivialPredictor

_SKILL = 0.75
"""Part of the model's skill (how far its area lies above chance) that a predictor must have to be named."""
_MOST = 0.9
"""Part of the model's skill from which facts that hold nothing of what is shown are named, whatever the intervals say:
a model that rests on them and on what is shown is better than they are."""
_TELLTALE = 0.7
"""Area from which, beyond doubt, facts that lie outside the picture are named where there is no model yet."""
_TITLE = "Trivial predictors"
_NOTE = (
    "AUROC with 95% intervals of predictors that never see what is shown, by cross-validation; pictures that belong"
    " together (a patient, a group, near-duplicates) are never on two sides."
)


def beside_model(predictors: Sequence[TrivialPredictor], areas: Mapping[str, Metric]) -> Finding:
    """Trivial predictors beside a model.

    A predictor is named where its area lies within the interval of the model's or above it, is above chance beyond
    doubt, and has three quarters of the model's skill; or nine tenths of it, but for thumbnails, which show what the
    picture shows.

    Args:
        predictors: what was fitted.
        areas: of the model: class, or MACRO -> area under the ROC curve.

    Returns:
        for each one named a warning, in the summary and with an assessment; `data["trivial_predictors"]["found"]` has
        their names and classes.
    """
    found = [(one, name) for one in predictors for name in _named(one, areas)]
    sentences = [_sentence(one, name, areas[name]) for one, name in found]
    first = f"{sentences[0]} Look into it before you trust the model." if sentences else ""
    return Finding(
        summary=(first,) if found else (),
        tables=[_table(predictors, areas)] if predictors else [],
        warnings=[first, *sentences[1:]] if found else [],
        data={"trivial_predictors": _data(predictors, found)} if predictors else {},
        assessment=Assessment("care", "A shortcut is possible", sentences[0]) if found else None,
    )


def before_training(predictors: Sequence[TrivialPredictor]) -> Finding:
    """Trivial predictors of data that no model has learned from yet.

    Args:
        predictors: what was fitted.

    Returns:
        a warning for each kind of facts outside the picture that predicts the class; a sentence on the best inside it.
    """
    best_of = {one.name: name for one in predictors if (name := _best_predicted(one)) is not None}
    found = [(one, best_of[one.name]) for one in predictors if one.name in best_of and one.name in OUTSIDE]
    warnings = [
        f"{_alone(one, name)} with an AUROC of {percent(one.areas[name].value)} (guessing: 50.0%): the classes may have"
        " been collected apart, and a model may learn that instead of what is shown."
        for one, name in found
    ]
    inside = [one for one in predictors if one.name in best_of and one.name not in OUTSIDE]
    best = max(inside, key=lambda one: one.areas[best_of[one.name]].value, default=None)
    said = ""
    if best is not None:
        name = best_of[best.name]
        said = f"{_alone(best, name)} with an AUROC of {percent(best.areas[name].value)}: a model should be better."
    return Finding(
        summary=(said,) if said else (),
        tables=[_table(predictors, {})] if predictors else [],
        warnings=warnings,
        data={"trivial_predictors": _data(predictors, found)} if predictors else {},
    )


def _named(one: TrivialPredictor, areas: Mapping[str, Metric]) -> list[str]:
    """All classes together where that holds, else the single classes of which it holds."""
    alike = [name for name, area in one.areas.items() if name in areas and _as_good(one.name, area, areas[name])]
    return [MACRO] if MACRO in alike else alike


def _as_good(facts: str, area: Metric, model: Metric) -> bool:
    assert area.low is not None
    least, skill, own = model.value if model.low is None else model.low, area.value - 0.5, model.value - 0.5
    near = area.value >= least and skill >= _SKILL * own
    return area.low > 0.5 and (near or (facts != THUMBNAIL and skill >= _MOST * own))


def _best_predicted(one: TrivialPredictor) -> str | None:
    """What it predicts best, beyond doubt: all classes, or one; None where nothing."""
    sure = {name: area for name, area in one.areas.items() if area.low is not None and area.low >= _TELLTALE}
    if MACRO in sure or not sure:
        return MACRO if sure else None
    return max(sure, key=lambda name: sure[name].value)


def _sentence(one: TrivialPredictor, name: str, model: Metric) -> str:
    first = _alone(one, name)
    return (
        f"A shortcut is possible: {first[0].lower()}{first[1:]} about as well as the model (AUROC"
        f" {percent(one.areas[name].value)} against {percent(model.value)})."
    )


def _alone(one: TrivialPredictor, name: str) -> str:
    verb = "predict" if one.name in (CORNERS, BRIGHTNESS) else "predicts"
    return f"{one.name[0].upper()}{one.name[1:]} alone {verb} {_what(name)}"


def _what(name: str) -> str:
    return "the class" if name == MACRO else f"'{name}'"


def _table(predictors: Sequence[TrivialPredictor], areas: Mapping[str, Metric]) -> Table:
    """One row a predictor: all classes, and the class that it predicts best."""
    rows: list[tuple[object, ...]] = []
    if areas.get(MACRO):
        rows.append(("the model", areas[MACRO], *_best(areas)))
    rows += [(one.name, one.areas[MACRO], *_best(one.areas)) for one in predictors]
    return Table(_TITLE, ("predictor", MACRO, "best class", "AUROC of it"), tuple(rows), _NOTE)


def _best(areas: Mapping[str, Metric]) -> tuple[str, Metric]:
    name = max((name for name in areas if name != MACRO), key=lambda one: areas[one].value, default=MACRO)
    return name, areas[name]


def _data(predictors: Sequence[TrivialPredictor], found: Sequence[tuple[TrivialPredictor, str]]) -> dict[str, object]:
    return {
        "found": [{"predictor": one.name, "class": name} for one, name in found],
        "predictors": [one.to_json() for one in predictors],
    }
