"""Classes: what a classifier says of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from photovision.core.types import Classes
from photovision.service.kinds import options as asked
from photovision.service.kinds.kind import Explained, OneCall, Outputs, Size, Source, Tensor, Why
from photovision.service.settings import Limits
from photovision.tasks.classify.recognizer import Recognizer

_RAW = ("probs", "logits", "embedding")


@dataclass(frozen=True, eq=False)
class Named:
    """The classes of one picture.

    Attributes:
        outputs: the graph's, by name, the row of this picture.
        answer: what they mean.
        top: how many classes are named.
    """

    outputs: Outputs
    answer: Classes
    top: int = 5

    def to_json(self, file: str | None) -> dict[str, Any]:
        """`{"file", "label", "prob", "top", "known", ...}`."""
        return {"file": file, **self.answer.to_json(self.top)}

    def facts(self) -> dict[str, Any]:
        """The answer with its doubt, and the embedding."""
        answer = self.answer
        return {
            "label": answer.label,
            "best": answer.best,
            "prob": answer.prob,
            "novelty": answer.novelty,
            "known": answer.known,
            "prediction_set": answer.prediction_set or (),
            "embedding": self.outputs.get("embedding"),
        }


class Classifying:
    """A classifier; see `Kind`."""

    name, options = "a classifier", ("top",)

    def __init__(self, model: Recognizer) -> None:
        self.model = model
        _ = model.references

    def way(self, options: Mapping[str, str]) -> OneCall:
        """Every picture is one input."""
        # The size of a picture says nothing about its class.
        return OneCall(self.model.preprocess, partial(self._answer, asked.top(options)), sized=False)

    def explain(self, source: Source, outcome: Named, why: Why, limits: Limits) -> Explained:
        """The map of a class."""
        from photovision.service.kinds.class_map import explain_class

        return explain_class(self.model, source, outcome, why, limits)

    def outputs(self) -> dict[str, tuple[str, list[int]]]:
        """The class, what it was decided by, and whether the picture is like those it learned from."""
        count = len(self.model.classes)
        found = {"label": ("BYTES", [-1]), "probs": ("FP32", [-1, count]), "logits": ("FP32", [-1, count])}
        found["embedding"] = "FP32", [-1, -1]
        if self.model.doubt is not None:
            found |= {"novelty": ("FP32", [-1]), "known": ("BOOL", [-1])}
        return found

    def tensors(self, outcomes: Sequence[Named]) -> dict[str, Tensor]:
        """As `outputs` names them."""
        found: dict[str, Tensor] = {"label": ("BYTES", [one.answer.label for one in outcomes])}
        for name in _RAW:
            if name in outcomes[0].outputs:
                found[name] = "FP32", np.stack([one.outputs[name] for one in outcomes])
        if outcomes[0].answer.novelty is not None:
            found["novelty"] = "FP32", np.array([one.answer.novelty for one in outcomes])
            found["known"] = "BOOL", np.array([bool(one.answer.known) for one in outcomes])
        return found

    def _answer(self, top: int, outputs: Outputs, _size: Size) -> Named:
        return Named(outputs, self.model.decode(outputs), top)
