"""Boxes over HTTP and in the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from photovision.core.regions import Detections
from photovision.core.result import Size
from photovision.engine.wire import (
    Answer,
    Explained,
    Facts,
    ImageLimits,
    MapRequest,
    Source,
    Tensor,
    Tiled,
    Way,
    Wire,
    check_windows,
    whole_image,
)
from photovision.runtime.model import OnnxModel, Outputs
from photovision.runtime.session import Session
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.drift import confidence
from photovision.tasks.detect.schema import BoxExplanations, BoxPredictions

_KEPT = "embedding"
EXPLAINED = 5
"""Boxes of one image that are explained at most; they share the calls of the network."""


class BoxWire(Wire[Detections]):
    """A detector; see `Wire`."""

    schema, explanation, methods = BoxPredictions, BoxExplanations, ("drise",)
    model: Detector

    def way(self, options: Mapping[str, Any]) -> Way:
        """Every image is one input, unless tiles are asked for."""
        if "tile" not in options:
            return super().way(options)
        return Tiled(partial(_in_tiles, self.model.with_options(**options)))

    def answer(self, model: OnnxModel[Any], outputs: Outputs, size: Size) -> Answer[Detections]:
        """With the embedding, which the record keeps."""
        return Answer(size, model.decode(outputs, size), {name: outputs[name] for name in outputs if name == _KEPT})

    def facts(self, answer: Answer[Detections]) -> Facts:
        """All boxes, how sure the detector is of them on average, and the class of the most probable one."""
        found = answer.value
        best = found.names[0] if len(found) else ""
        embedding = (answer.outputs or {}).get(_KEPT)
        return Facts(best, best, confidence(found), embedding=embedding, found=found.json_fields(answer.size))

    def explain(
        self, source: Source, answer: Answer[Detections], request: MapRequest, limits: ImageLimits
    ) -> Explained:
        """The maps of the most probable boxes."""
        from photovision.tasks.region_maps import explain_regions

        self.check_label(request.label)
        return explain_regions(self.model, source, request, limits, EXPLAINED)

    def outputs(self) -> dict[str, tuple[str, list[int]]]:
        """Boxes in pixels of the upright image; rows after an image's `count` are padding."""
        return {
            "size": ("INT64", [-1, 2]),
            "count": ("INT64", [-1]),
            "boxes": ("FP32", [-1, -1, 4]),
            "scores": ("FP32", [-1, -1]),
            "classes": ("INT64", [-1, -1]),
            "labels": ("BYTES", [-1, -1]),
        }

    def tensors(self, answers: Sequence[Answer[Detections]]) -> dict[str, Tensor]:
        """As `outputs` names them; padded with zeros, the class -1 and the label ""."""
        found = [one.value for one in answers]
        counts = [len(one) for one in found]
        shape = len(answers), max(counts)
        boxes, scores = np.zeros((*shape, 4), np.float32), np.zeros(shape, np.float32)
        classes = np.full(shape, -1, np.int64)
        for row, (one, count) in enumerate(zip(found, counts, strict=True)):
            boxes[row, :count], scores[row, :count] = one.boxes, _scores(one)
            classes[row, :count] = one.labels
        names = [[*one.names, *[""] * (shape[1] - len(one))] for one in found]
        return {
            "size": ("INT64", np.array([one.size for one in answers], np.int64)),
            "count": ("INT64", np.array(counts, np.int64)),
            "boxes": ("FP32", boxes),
            "scores": ("FP32", scores),
            "classes": ("INT64", classes),
            "labels": ("BYTES", names),
        }


def _in_tiles(model: Detector, source: Source, limits: ImageLimits, session: Session) -> Answer[Detections]:
    image = whole_image(source, model.preprocess, limits)
    size = image.shape[0], image.shape[1]
    assert model.tiling is not None
    check_windows(len(model.tiling.windows(size)) + 1, limits)
    found = model.with_session(session).predict(image)
    assert isinstance(found, Detections)
    return Answer(size, found)


def _scores(found: Detections) -> np.ndarray:
    assert found.scores is not None
    return found.scores
