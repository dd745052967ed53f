"""What the card and 'photovision info' tell of a detector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from photovision.engine.card_text import CardText

_BEYOND = "It shows nothing for other objects, unless they look like one of these; it does not detect novelty."
_INTERVALS = (
    (("map", "map50", "map75"), "average precision: bootstrap over pictures, moved back by its bias"),
    (("f1", "recall_shown", "precision_shown", "count_error"), "F1, recall, precision, counts: bootstrap"),
    (("d_ece", "la_ece"), "calibration: bootstrap over pictures"),
)
_FIGURES: Mapping[str, tuple[str, dict[str, str]]] = {
    "map": ("mean_average_precision", {"iou": "0.50:0.95"}),
    "map50": ("mean_average_precision_at_50", {"iou": "0.50"}),
    "f1": ("f1", {"iou": "0.50"}),
    "recall_shown": ("recall", {"iou": "0.50"}),
    "precision_shown": ("precision", {"iou": "0.50"}),
}
_SHOWN = "A box is shown from the threshold of its class on; boxes count as right from an IoU of 0.5 on."
_CALIBRATED = (
    "A score is the probability that a box is on an object of its class, calibrated by a slope and a shift for every"
    " class that were learned on validation pictures, as were the thresholds (highest F1)."
)


def info_lines(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) pairs about its thresholds, for 'photovision info'."""
    limits, iou = sorted(set(info["thresholds"])), info.get("iou")
    threshold = f"{limits[0]:.2f}" if len(limits) == 1 else f"{limits[0]:.2f} to {limits[-1]:.2f}, by class"
    overlap = [] if iou is None else [("overlap", f"boxes of a class overlap by at most {100 * iou:.0f}%")]
    return [("threshold", threshold), *overlap]


def _is_calibrated(info: Mapping[str, Any]) -> bool:
    return bool(info.get("calibration")) and bool((info.get("adoption") or {}).get("calibrated", True))


def card_text(info: Mapping[str, Any]) -> CardText:
    """The sentences for the detector that bundle.json describes."""
    values = [float(value) for value in info.get("thresholds") or ()]
    between = f" The thresholds lie between {min(values):.2f} and {max(values):.2f}." if values else ""
    return CardText(
        "detector",
        f"It finds the objects of {len(info['classes']):,} classes in a picture and draws a box around each.",
        "a box, a class and a score for every object",
        "boxes around its objects, each with a class",
        "To find, in pictures like those it learned from:",
        _BEYOND,
        (
            'found = pv.load("this-folder").predict("picture.jpg")',
            "found.names, found.scores, found.boxes  # x1, y1, x2, y2 in pixels of the picture",
        ),
        (_SHOWN, _CALIBRATED) if _is_calibrated(info) else (_SHOWN,),
        (f"Boxes below the threshold of their class are not shown.{between}", _BEYOND),
        _INTERVALS,
        ("groups", "conditions", "explanations", "labels"),
        "object-detection",
        figures=_FIGURES,
    )
