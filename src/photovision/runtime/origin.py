"""How a model came to be, for messages about what it therefore lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ModelOrigin:
    """One way by which a model comes to be.

    Attributes:
        no_pictures: why it may remember no training pictures.
        no_network: why it may hold no network with its weights, and which model does.
        remedy: how to get a model that has what is fitted to labelled pictures.
        retrain: how to get one that has what is measured in a training.
    """

    no_pictures: str
    no_network: str
    remedy: str
    retrain: str


_OWN = "name a model that 'photovision train' made"
_TRAIN = "train a model on labelled pictures of your own ('photovision train')"
_TRAINED = ModelOrigin(
    "it was made by an older Photovision",
    "copy the model again or train it again",
    "train it again",
    "train it again",
)
_ADOPTED = ModelOrigin(
    "it was adopted, and what it learned from is not known",
    f"an adopted model is only a graph, {_OWN}",
    "adopt it again with labelled pictures ('photovision adopt' with --data)",
    _TRAIN,
)
_READY = ModelOrigin(
    "it is used as published, and what it learned from is not on this machine",
    f"a ready model is only a graph, {_OWN}",
    _TRAIN,
    _TRAIN,
)
_ZERO_SHOT = ModelOrigin(
    "it was made of class names, without any picture of them",
    f"train a model on labelled pictures, or {_OWN}",
    _TRAIN,
    _TRAIN,
)
_PRIVATE = ModelOrigin(
    "it was trained privately, and keeps nothing of its training pictures",
    "copy the model again or train it again",
    "calibrate it on other pictures ('photovision calibrate'), or train one without --private",
    "train one without --private",
)
_BY_CHOICE = {"private": _PRIVATE, "adopted": _ADOPTED, "ready": _READY, "zero-shot": _ZERO_SHOT}


def origin_of(info: Mapping[str, Any]) -> ModelOrigin:
    """How the model that bundle.json describes came to be: trained, adopted, used as published, or made of names.

    Example:
        >>> origin_of({"chosen": "ready"}).no_pictures
        'it is used as published, and what it learned from is not on this machine'
    """
    if isinstance(info.get("adoption"), Mapping):
        return _ADOPTED
    return _BY_CHOICE.get(str(info.get("chosen")), _TRAINED)
