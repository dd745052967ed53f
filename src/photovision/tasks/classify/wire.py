"""Classes over HTTP and in the record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from photovision.core.result import Size
from photovision.core.types import Classes
from photovision.engine.wire import Answer, Explained, Facts, ImageLimits, MapRequest, Source, Tensor, Wire
from photovision.runtime.model import OnnxModel, Outputs
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.classify.schema import ClassExplanation, ClassPrediction

_RAW = ("probs", "logits", "embedding")


class ClassWire(Wire[Classes]):
    """A classifier; see `Wire`."""

    schema, explanation = ClassPrediction, ClassExplanation
    methods = ("cam", "eigencam", "occlusion", "rise")
    model: Recognizer

    def __init__(self, model: Recognizer) -> None:
        super().__init__(model)
        _ = model.references  # read now, since the files may be replaced later

    def answer(self, model: OnnxModel[Any], outputs: Outputs, size: Size) -> Answer[Classes]:
        """With the outputs, which are tensors of the response, too."""
        return Answer(size, model.decode(outputs, size), outputs)

    def facts(self, answer: Answer[Classes]) -> Facts:
        """The prediction with its uncertainty, and the embedding."""
        value = answer.value
        return Facts(
            value.label,
            value.best,
            value.prob,
            value.novelty,
            value.known,
            value.prediction_set or (),
            _outputs(answer).get("embedding"),
        )

    def explain(self, source: Source, answer: Answer[Classes], request: MapRequest, limits: ImageLimits) -> Explained:
        """The map of a class."""
        from photovision.tasks.classify.class_map import explain_class

        self.check_label(request.label)
        return explain_class(self.model, source, answer, request, limits)

    def outputs(self) -> dict[str, tuple[str, list[int]]]:
        """The class, the numbers behind it, and whether the image resembles those of the training."""
        count = len(self.model.classes)
        found = {"label": ("BYTES", [-1]), "probs": ("FP32", [-1, count]), "logits": ("FP32", [-1, count])}
        found["embedding"] = "FP32", [-1, -1]
        if self.model.doubt is not None:
            found |= {"novelty": ("FP32", [-1]), "known": ("BOOL", [-1])}
            if self.model.doubt.sets.low is not None:
                found["similarity"] = "FP32", [-1]
        return found

    def tensors(self, answers: Sequence[Answer[Classes]]) -> dict[str, Tensor]:
        """As `outputs` names them."""
        values, outputs = [one.value for one in answers], [_outputs(one) for one in answers]
        found: dict[str, Tensor] = {"label": ("BYTES", [one.label for one in values])}
        for name in _RAW:
            if name in outputs[0]:
                found[name] = "FP32", np.stack([one[name] for one in outputs])
        if values[0].novelty is not None:
            found["novelty"] = "FP32", np.array([one.novelty for one in values])
            found["known"] = "BOOL", np.array([bool(one.known) for one in values])
        if values[0].similarity is not None:
            found["similarity"] = "FP32", np.array([one.similarity for one in values], np.float32)
        return found


def _outputs(answer: Answer[Classes]) -> Outputs:
    assert answer.outputs is not None
    return answer.outputs
