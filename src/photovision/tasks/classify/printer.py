"""Classes as lines for people and as rows of CSV."""

from __future__ import annotations

from photovision.core.result import Size
from photovision.core.types import Classes
from photovision.tasks.classify.recognizer import Recognizer


class ClassPrinter:
    """See `photovision.engine.printer.Printer`; it prints as many classes as the model's option `top` says."""

    def __init__(self, model: Recognizer) -> None:
        self._top = min(model.top, len(model.classes))
        self._multilabel = model.multilabel
        more = (f"{name}_{place}" for place in range(2, self._top + 1) for name in ("label", "prob"))
        labels = ("labels",) if model.multilabel else ()
        self.columns = ("label", "prob", *more, *labels, "known", "set")

    def text(self, value: Classes) -> list[tuple[str, str]]:
        """The most probable classes; of a multi-label model that prints one, those that count as true."""
        named = [(label, f"{100 * prob:5.1f} %") for label, prob in self._named(value)]
        if value.known is False:
            return [(f"unknown (most like {value.best})", "")] if self._top == 1 else [("unknown:", ""), *named]
        return named or [("no class", "")]

    def rows(self, value: Classes, size: Size) -> list[list[str]]:
        """One row."""
        best = [cell for label, prob in value.top(self._top) for cell in (label, f"{prob:.6f}")]
        if value.known is False:
            best[:2] = value.label, ""
        labels = ["|".join(value.labels)] if self._multilabel else []
        known = "" if value.known is None else str(value.known).lower()
        return [[*best, *labels, known, "|".join(value.prediction_set or ())]]

    def _named(self, value: Classes) -> list[tuple[str, float]]:
        if self._top > 1 or not value.multilabel or value.known is False:
            return value.top(self._top)
        true = set(value.labels)
        return [(label, prob) for label, prob in value.top(len(value.classes)) if label in true]
