"""Consent: whether pictures of people may be learned from by what could show these people again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from photovision.core.errors import UnreadableImage, UsageError
from photovision.core.image import open_sample, to_array
from photovision.core.phrases import count
from photovision.core.types import Image, Sample
from photovision.data.dataset import Dataset
from photovision.faces.detect import FaceDetector
from photovision.faces.identify import FaceGallery
from photovision.faces.register import FaceStore
from photovision.models.weights import locate

LOOKED_AT = 200
"""Pictures of a data set in which faces are looked for; with a register all are."""
MAX_SHARE = 0.05
"""Share of pictures with a face from which on a data set shows people."""
UNSEEN = (
    "whether the pictures show people is not known: 'photovision weights get sface' fetches what finds faces (10 MB)"
)


def people_agreed(dataset: Dataset, options: Mapping[str, Any], seed: int = 0) -> str:
    """Refuse pictures of people whom no register of faces covers; gives what people should know, or "".

    Args:
        dataset: pictures that are to be learned from.
        options: "register", the folder of a store of faces whose people agreed; every face of every picture must be
            that of somebody whose entry has not expired.
        seed: of which pictures are looked at.

    Raises:
        UsageError: the pictures show people, and there is no register, or somebody is not in it.
        ModelError: the register cannot be opened.
    """
    register = options.get("register")
    if register is None:
        if locate("yunet") is None:
            return UNSEEN
        _refuse_people(dataset, seed)
        return ""
    with FaceStore(register) as store:
        gallery = FaceGallery(store)
        for sample, pixels in _pictures(dataset.samples):
            strangers = [one for one in gallery.names(store.recogniser.faces(pixels)) if one.verdict != "same"]
            if strangers:
                raise UsageError(
                    f"{sample.id} shows {count(len(strangers), 'face')} of nobody in {register} whose entry is valid:"
                    " enroll them with their consent, or leave the picture out"
                )
        store.note("learned from", pictures=len(dataset))
    return ""


def _refuse_people(dataset: Dataset, seed: int) -> None:
    detector, rows = FaceDetector(), np.random.default_rng(seed).permutation(len(dataset))[:LOOKED_AT]
    some = [dataset.samples[row] for row in np.sort(rows).tolist()]
    shown = [sample.id for sample, pixels in _pictures(some) if detector.find(pixels)]
    if len(shown) > max(1, MAX_SHARE * len(some)):
        raise UsageError(
            f"{len(shown):,} of {count(len(some), 'picture')} show a face, such as {shown[0]}: images of people are"
            " made only of people who agreed; enroll them ('photovision faces enroll') and name the store with"
            " --register"
        )


def _pictures(samples: Iterable[Sample]) -> Iterator[tuple[Sample, Image]]:
    """The readable ones."""
    for sample in samples:
        try:
            yield sample, to_array(open_sample(sample))
        except UnreadableImage:
            continue
