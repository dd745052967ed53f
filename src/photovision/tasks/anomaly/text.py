"""How the card of an anomaly detector speaks of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from photovision.core.drawing import percent
from photovision.engine.card_text import CardText

_INTERVALS = (
    (("false_alarms", "recall"), "shares: Wilson's interval"),
    (("auroc",), "AUROC: infinitesimal jackknife"),
    (("aupro", "pixel_auroc", "recall_at_1"), "AUPRO, pixel AUROC, recall at 1% false alarms: bootstrap over images"),
)


def card_text(info: Mapping[str, Any]) -> CardText:
    """The sentences for the anomaly detector that bundle.json describes."""
    facts = info["anomaly"]
    n = sum(len(values) for values in facts["good_scores"].values())
    rate = percent(facts["false_alarms"])
    return CardText(
        "anomaly detector",
        f"It learned from {n:,} good images what is normal, and predicts how far an image departs, and where.",
        "a score, a p-value, a verdict and a heatmap",
        "good, or the kind of its defect, with a mask where there is one",
        "To find defects in images of the things it learned from.",
        "An image of something else departs from good ones, too: it is called anomalous.",
        (
            'found = pv.load("this-folder").predict("picture.jpg")',
            "found.verdict, found.p, found.regions  # boxes in pixels of the picture",
        ),
        (
            f"An image is anomalous where its conformal p-value is at most {facts['false_alarms']:g}: at most {rate} of"
            " good images like those it learned from are. It is unsure where the good images are too few to tell.",
        ),
        (
            "No bad image was needed to learn; how many defects are found depends on their kind.",
            "Other light, another camera or stronger JPEG compression can raise false alarms: audit it, and calibrate"
            " it on new good images.",
        ),
        _INTERVALS,
        ("groups", "conditions"),
        "image-classification",
        ("anomaly-detection",),
        {"auroc": ("roc_auc", {})},
    )
