"""What the card and 'photovision info' tell of a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from photovision.core.drawing import percent
from photovision.engine.card_text import CardText
from photovision.tasks.classify.private_text import guarantee
from photovision.tasks.classify.variants import finding

_INTERVALS = (
    (("accuracy", "exact_match", "coverage", "false_alarms"), "shares: Wilson's interval"),
    (("balanced_accuracy",), "balanced accuracy: Wilson's intervals of the classes, combined (MOVER)"),
    (("macro_f1", "micro_f1", "log_loss", "brier", "ece"), "F1, log-loss, Brier score, calibration: bootstrap"),
    (("auroc", "macro_auroc", "map", "novelty_auroc"), "AUROC and average precision: infinitesimal jackknife"),
)
_FIGURES: Mapping[str, tuple[str, dict[str, str]]] = {
    "accuracy": ("accuracy", {}),
    "balanced_accuracy": ("balanced_accuracy", {}),
    "macro_f1": ("f1", {"average": "macro"}),
    "micro_f1": ("f1", {"average": "micro"}),
    "auroc": ("roc_auc", {"average": "macro", "multi_class": "ovr"}),
    "macro_auroc": ("roc_auc", {"average": "macro"}),
    "map": ("mean_average_precision", {"average": "macro"}),
    "exact_match": ("exact_match", {}),
    "brier": ("brier_score", {}),
    "ece": ("expected_calibration_error", {}),
}
_ASKED = (
    ("coverage", "Target coverage of its prediction sets: they hold the true class for {share} of the pictures."),
    (
        "false_alarms",
        "Target of novelty detection: at most {share} of pictures like those of the training are called 'unknown'.",
    ),
)


def info_lines(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) pairs about its predictions, for 'photovision info'."""
    return [("labels per image", "any number" if info.get("multilabel") else "one")]


def card_text(info: Mapping[str, Any]) -> CardText:
    """The sentences for the classifier that bundle.json describes."""
    multilabel, backbone = bool(info.get("multilabel")), info.get("backbone") or {}
    truth = "any number of classes a picture" if multilabel else "one class a picture"
    return CardText(
        "classifier",
        f"It tells {len(info['classes']):,} classes apart.",
        truth,
        truth,
        "To tell apart, in pictures like those it learned from:",
        "A picture that does not resemble these is answered 'unknown', with the error rates below."
        if info.get("doubt")
        else "It names one of its classes for every picture, also for one that shows none of them.",
        _use(info),
        _rules(multilabel, calibrated=(info.get("adoption") or {}).get("calibrated", True), private="private" in info),
        (*([guarantee(info["private"])] if "private" in info else []), *_limits(info.get("doubt") or {})),
        _INTERVALS,
        ("groups", "conditions", "explanations", "shortcuts", "people", "labels"),
        "image-classification",
        ("multi-label",) if multilabel else (),
        _FIGURES,
        # Networks of models.small are unknown to timm, and it builds no pruned ones.
        timm=not (str(backbone.get("name", "")).startswith("small_") or backbone.get("widths") or info.get("adoption")),
        more=finding(info.get("variants")),
    )


def _use(info: Mapping[str, Any]) -> tuple[str, ...]:
    lines = ['answer = pv.load("this-folder").predict("picture.jpg")']
    lines.append("answer.labels" if info.get("multilabel") else "answer.label")
    if info.get("doubt"):
        lines.append("answer.prediction_set  # classes that the truth is among, with the coverage asked for")
    return tuple(lines)


def _rules(multilabel: bool, calibrated: bool, private: bool) -> tuple[str, ...]:
    text = "Probabilities are calibrated by a temperature that was learned on validation pictures."
    if not calibrated:
        text = "Probabilities are as the adopted network gives them: they are not calibrated."
    if private:
        text = (
            "Probabilities are not calibrated: that would have cost privacy. 'photovision calibrate' does it on others."
        )
    if multilabel:
        chosen = "A class counts as true from its own threshold of probability on, chosen on validation pictures."
        return chosen, text
    return "The prediction is the class with the highest probability.", text


def _limits(doubt: Mapping[str, Any]) -> tuple[str, ...]:
    if not doubt:
        return ("It was made without prediction sets and without novelty detection.",)
    return tuple(
        sentence.format(share=percent(doubt[name]))
        for name, sentence in _ASKED
        if isinstance(doubt.get(name), (int, float))
    )
