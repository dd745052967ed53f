"""What the card and 'photovision info' tell of a segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from photovision.engine.card_text import CardText

_INTERVALS = (
    (("miou", "dice", "boundary_f1", "surface_distance"), "overlap and outlines: bootstrap over pictures"),
    (("instance_f1", "instance_precision", "instance_recall", "count_error"), "objects: bootstrap over pictures"),
)
_FIGURES: Mapping[str, tuple[str, dict[str, str]]] = {
    "miou": ("mean_iou", {}),
    "dice": ("dice", {}),
    "instance_f1": ("f1", {"iou": "0.50"}),
}


def info_lines(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) pairs about its input and its objects, for 'photovision info'."""
    tile, min_area = info.get("tile"), info.get("least_area")
    found = [("runs on", f"tiles of {' x '.join(map(str, tile))} pixels" if isinstance(tile, list) else "whole images")]
    if info.get("instances"):
        found.append(("objects", "masks of single objects, too"))
        found += [("smallest object", f"{min_area} pixels")] if min_area else []
    return found


def card_text(info: Mapping[str, Any]) -> CardText:
    """The sentences for the segmenter that bundle.json describes."""
    return CardText(
        "segmenter",
        f"It predicts the class of every pixel, among {len(info['classes']):,} classes.",
        "a class for every pixel",
        "a class for every pixel, or a mask for every object",
        "To tell apart, in pictures like those it learned from:",
        "It names one of its classes for every pixel, also in a picture that shows none of them.",
        (
            'answer = pv.load("this-folder").predict("picture.jpg")',
            "answer.labels  # the class of every pixel, (H, W)",
        ),
        ("The prediction at a pixel is the class with the highest probability.",),
        ("It was made without novelty detection: a picture of something else is answered, too.",),
        _INTERVALS,
        ("groups", "conditions"),
        "image-segmentation",
        figures=_FIGURES,
    )
