"""How the card of an embedding model speaks of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from photovision.engine.card_text import CardText

_INTERVALS = (
    (("recall_at_1", "recall_at_10"), "shares: Wilson's interval over queries"),
    (("map_at_r",), "mAP@R: bootstrap over queries"),
)


def card_text(info: Mapping[str, Any]) -> CardText:
    """The sentences for the embedding model that bundle.json describes."""
    return CardText(
        "embedding model",
        f"It learned from {len(info['classes']):,} classes which images show the same, and gives each image a vector.",
        "a vector of unit norm, and the most similar training images",
        "one class a picture",
        "To search images like those it learned from for what is similar:",
        "Images of other things get vectors, too. How well these are kept apart was not measured.",
        (
            'found = pv.load("this-folder").predict("picture.jpg")',
            "found.vector, found.neighbours  # the inner product of two vectors is a cosine, -1 to 1",
            'index = pv.index("pictures/", "an-index", model="this-folder")  # search a folder by it',
        ),
        ("Images are as similar as the cosine of their vectors, less the mean vector of those that are searched.",),
        ("It names no class by itself: the nearest images do, and there always are some.",),
        _INTERVALS,
        ("groups",),
        "image-feature-extraction",
        ("metric-learning", "image-retrieval"),
    )
