"""The words of the model card that depend on the task: what a model does, by which rule it answers, how it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from photovision.core.drawing import percent


@dataclass(frozen=True)
class Words:
    """How a card speaks of models of one task.

    Attributes:
        noun: "classifier" ...
        does: what it does, for so many classes.
        kind: what an answer is.
        instance: what the truth of a picture is.
        aim: how its purpose begins, before the names of the classes.
        beyond: what it does with pictures of something else.
        leads: figure -> its words, the first that was measured opens the card.
        intervals: names of figures -> how their intervals were made.
        checks: topics that an audit of such models measures.
        pipeline: what the Hub calls the task; result: the same in its list of results.
        figures: figure -> (what the Hub calls it, how it is averaged).
        use: lines of code after the model is loaded.
    """

    noun: str
    does: str
    kind: str
    instance: str
    aim: str
    beyond: str
    leads: Mapping[str, str]
    intervals: tuple[tuple[tuple[str, ...], str], ...]
    checks: tuple[str, ...]
    pipeline: str
    figures: Mapping[str, tuple[str, dict[str, str]]]
    use: tuple[str, ...]


_TELL = "To tell apart, in pictures like those it learned from:"
CLASSIFY = Words(
    "classifier",
    "It tells {n:,} classes apart.",
    "one class a picture",
    "one class a picture",
    _TELL,
    "It names one of its classes for every picture, also for one that shows none of them.",
    {"accuracy": "Accuracy", "map": "Mean average precision"},
    (
        (("accuracy", "exact_match", "coverage", "false_alarms"), "shares: Wilson's interval"),
        (("balanced_accuracy",), "balanced accuracy: Wilson's intervals of the classes, combined (MOVER)"),
        (("macro_f1", "micro_f1", "log_loss", "brier", "ece"), "F1, log-loss, Brier score, calibration: bootstrap"),
        (("auroc", "macro_auroc", "map", "novelty_auroc"), "AUROC and average precision: infinitesimal jackknife"),
    ),
    ("groups", "conditions", "explanations", "shortcuts", "people", "labels"),
    "image-classification",
    {
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
    },
    ('answer = pv.load("this-folder").predict("picture.jpg")', "answer.label"),
)
DETECT = Words(
    "detector",
    "It finds the objects of {n:,} classes in a picture and draws a box around each.",
    "a box, a class and a score for every object",
    "boxes around its objects, each with a class",
    "To find, in pictures like those it learned from:",
    "Of other things it says nothing, unless they look like one of these to it: no gate tells it when a picture is of"
    " something else.",
    {"map50": "Mean average precision at an overlap of .5", "map": "Mean average precision"},
    (
        (("map", "map50", "map75"), "average precision: bootstrap over pictures, moved back by its bias"),
        (("f1", "recall_shown", "precision_shown", "count_error"), "F1, recall, precision, counts: bootstrap"),
        (("d_ece", "la_ece"), "calibration: bootstrap over pictures"),
    ),
    ("groups", "conditions", "explanations", "labels"),
    "object-detection",
    {
        "map": ("mean_average_precision", {"iou": "0.50:0.95"}),
        "map50": ("mean_average_precision_at_50", {"iou": "0.50"}),
        "f1": ("f1", {"iou": "0.50"}),
        "recall_shown": ("recall", {"iou": "0.50"}),
        "precision_shown": ("precision", {"iou": "0.50"}),
    },
    (
        'found = pv.load("this-folder").predict("picture.jpg")',
        "found.names, found.scores, found.boxes  # x1, y1, x2, y2 in pixels of the picture",
    ),
)
SEGMENT = Words(
    "segmenter",
    "It tells the class of every pixel, among {n:,} classes.",
    "a class for every pixel",
    "a class for every pixel, or a mask for every object",
    _TELL,
    "It names one of its classes for every pixel, also in a picture that shows none of them.",
    {"dice": "Dice", "miou": "Mean IoU"},
    (
        (("miou", "dice", "boundary_f1", "surface_distance"), "overlap and outlines: bootstrap over pictures"),
        (("instance_f1", "instance_precision", "instance_recall", "count_error"), "objects: bootstrap over pictures"),
    ),
    ("groups", "conditions"),
    "image-segmentation",
    {"miou": ("mean_iou", {}), "dice": ("dice", {}), "instance_f1": ("f1", {"iou": "0.50"})},
    ('answer = pv.load("this-folder").predict("picture.jpg")', "answer.labels  # the class of every pixel, (H, W)"),
)
_BY_TASK = {"classify": CLASSIFY, "detect": DETECT, "segment": SEGMENT}


def words_of(info: Mapping[str, Any]) -> Words:
    """The words for the model that bundle.json describes; those of a classifier where it names no task."""
    return _BY_TASK.get(str(info.get("task")), CLASSIFY)


def rules(info: Mapping[str, Any]) -> list[str]:
    """By which rule it answers, and how probabilities came to be true."""
    task = info.get("task")
    if task == "detect":
        told = ["A box is shown from the threshold of its class on; boxes count as right from an overlap of .5 on."]
        if info.get("calibration"):
            told.append(
                "A score is the probability that a box is on an object of its class, calibrated by a slope and a shift"
                " for every class that were learned on validation pictures, as were the thresholds (highest F1)."
            )
        return told
    if task == "segment":
        return ["The answer at a pixel is the class with the highest probability."]
    calibrated = "Probabilities are calibrated by a temperature that was learned on validation pictures."
    if info.get("multilabel"):
        return [
            "A class counts as true from its own threshold of probability on, chosen on validation pictures.",
            calibrated,
        ]
    return ["The answer is the class with the highest probability.", calibrated]


def limits(info: Mapping[str, Any]) -> list[str]:
    """What a model has that tells it when it does not know."""
    doubt = info.get("doubt") or {}
    if info.get("task") == "detect":
        values = [float(value) for value in info.get("thresholds") or ()]
        shown = f" They lie between {min(values):.2f} and {max(values):.2f}." if values else ""
        return [f"Boxes below the threshold of their class are not shown.{shown}", DETECT.beyond]
    if info.get("task") == "segment":
        return ["It was made without a gate for pictures of something else."]
    told = [
        f"{words} {percent(doubt[name])} of the pictures."
        for name, words in (
            ("coverage", "Asked of its prediction sets: to hold the true class for"),
            ("false_alarms", "Asked of its gate: to call 'unknown', of pictures like those of the training, at most"),
        )
        if isinstance(doubt.get(name), (int, float))
    ]
    if not doubt:
        told.append("It was made without prediction sets and without a gate for pictures of something else.")
    return told
