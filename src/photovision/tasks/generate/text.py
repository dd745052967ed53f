"""How the card of a generator speaks of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from photovision.engine.card_text import CardText

_INTERVALS = (
    (("precision", "recall", "class_agreement", "copies"), "shares: Wilson's interval over images"),
    (("frechet_distance", "kernel_distance"), "distances: bootstrap over images"),
)


def card_text(info: Mapping[str, Any]) -> CardText:
    """The sentences for the generator that bundle.json describes."""
    size = info["preprocess"]["size"]
    return CardText(
        "generator",
        f"It makes images of {size[1]} x {size[0]} pixels that look like those it learned from.",
        "an image",
        "a class an image",
        "To make images of what it learned:",
        "It makes what it learned and nothing else. What it makes shows nothing that exists: it is no evidence.",
        (
            'model = pv.load("this-folder")',
            "model.sample(64).images  # uint8 (64, H, W, 3)",
            "model.invert(images).noise  # what an image is made of",
        ),
        ("Rectified flow, solved by Heun's method; classes by classifier-free guidance.",),
        ("Files that 'photovision sample' writes say that they were generated, by which model and from which seed.",),
        _INTERVALS,
        (),
        "unconditional-image-generation",
        ("rectified-flow", "image-generation"),
    )
