"""Class map: where in a picture a classifier's answer comes from."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.image import read_header
from photovision.core.types import Classes, Floats
from photovision.engine.wire import Answer, ImageLimits, MapRequest, Source
from photovision.tasks.classify.recognizer import Recognizer

GRID, SIDE, NEAREST = 14, 640, 5


@dataclass(frozen=True, eq=False)
class ClassMap:
    """The map of one class.

    Attributes:
        model: who answered.
        source: the picture.
        answer: the prediction.
        embedding: float32 (D,), of the picture; None where the model gives none.
        index: the class that is explained.
        heat: float32 over the pixels that the network sees.
        most: pixels of a picture.
    """

    model: Recognizer
    source: Source
    answer: Classes
    embedding: Floats | None
    index: int
    heat: Floats
    most: int

    def to_json(self) -> dict[str, Any]:
        """The class, a map of 14 x 14 cells over a window of the picture, and the nearest training pictures."""
        from photovision.core.overlay import scaled
        from photovision.trust.explain.explained_model import resized

        source = self.source
        height, width = source.shape[:2] if isinstance(source, np.ndarray) else read_header(source).size
        left, top, right, bottom = self.model.preprocess.window(width, height)
        known = self.model.references
        near = known.nearest(self.embedding, NEAREST) if known and self.embedding is not None else []
        grid = resized(scaled(self.heat)[None], (GRID, GRID))[0]
        window = left / width, top / height, right / width, bottom / height
        return {
            "label": self.model.classes[self.index],
            "prob": round(float(self.answer.probs[self.index]), 6),
            "known": self.answer.known,
            "heatmap": [[round(float(value), 4) for value in row] for row in np.clip(grid, 0, 1)],
            "window": [round(share, 4) for share in window],
            # Names of training pictures may tell of people, so only their classes are said.
            "neighbours": [{"label": one.label, "similarity": round(one.similarity, 4)} for one in near],
        }

    def png(self) -> bytes:
        """The map over the whole picture, of up to 640 pixels a side."""
        from photovision.core.overlay import overlay

        whole = self.model.preprocess.decode(self.source, (SIDE, SIDE), self.most)
        whole.thumbnail((SIDE, SIDE))
        stream = io.BytesIO()
        drawn = overlay(np.asarray(whole, np.uint8), self.heat, self.model.preprocess)
        Pillow.fromarray(drawn).save(stream, "PNG")
        return stream.getvalue()


def explain_class(
    model: Recognizer, source: Source, answer: Answer[Classes], request: MapRequest, limits: ImageLimits
) -> ClassMap:
    """The map of the class that is asked for, which the model knows, by explainers that need no torch."""
    from photovision.tasks.classify.explain import heatmaps

    label = answer.value.best if request.label is None else request.label
    index = model.classes.index(label)
    if isinstance(source, np.ndarray):
        seen = model.preprocess.apply(source)
    else:
        seen = model.preprocess.load(source, limits.picture_pixels)
    heat: Floats = heatmaps(model, seen[None], np.array([index]), request.method)[0]
    embedding = (answer.outputs or {}).get("embedding")
    return ClassMap(model, source, answer.value, embedding, index, heat, limits.picture_pixels)
