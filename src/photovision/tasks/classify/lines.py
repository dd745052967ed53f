"""How predictions of a classifier are printed: a line of text, or cells of a table."""

from __future__ import annotations

from typing import Any

from photovision.core.result import Size
from photovision.core.text import pad, printable, width
from photovision.core.types import Classes
from photovision.tasks.classify.recognizer import Recognizer


class ClassLines:
    """Lines and cells that name the `top` most probable classes."""

    frames = False

    def __init__(self, model: Recognizer, top: int) -> None:
        self._top = min(top, len(model.classes))
        self._multilabel = model.multilabel
        self._wide_file = self._wide_label = 0  # columns grow with what has come: nothing is held back to look ahead
        more = [f"{name}_{place}" for place in range(2, self._top + 1) for name in ("label", "prob")]
        self._alike = model.doubt is not None and model.doubt.sets.low is not None
        doubt = ["known", "set", *(["similarity", "confidence"] if self._alike else [])]
        self.columns = ["label", "prob", *more, *(["labels"] if self._multilabel else []), *doubt]

    def text(self, file: str, value: Classes) -> str:
        """One line; `file` is printable."""
        named = [(printable(label), prob) for label, prob in _named(value, self._top)]
        self._wide_file = max(self._wide_file, min(width(file), 60))
        self._wide_label = max([self._wide_label, *(min(width(label), 30) for label, _ in named)])
        shown = [f"{pad(label, self._wide_label)}  {100 * prob:5.1f}%" for label, prob in named]
        if value.known is False:
            shown = [f"unknown (most like {printable(value.best)})"] if self._top == 1 else ["unknown:", *shown]
        if value.elsewhere:
            shown = [*shown, f"(similarity {value.similarity:.2f}: unlike the training images)"]
        return "  ".join([pad(file, self._wide_file), *(shown or ["no class"])])

    def rows(self, value: Classes, size: Size) -> list[list[Any]]:
        """Cells of `columns`, one row."""
        best = [cell for label, prob in value.top(self._top) for cell in (label, f"{prob:.6f}")]
        if value.known is False:
            best[:2] = value.label, ""
        doubt = ["" if value.known is None else str(value.known).lower(), "|".join(value.prediction_set or ())]
        if self._alike:
            doubt += ["" if one is None else f"{one:.4f}" for one in (value.similarity, value.confidence)]
        return [[*best, *(["|".join(value.labels)] if self._multilabel else []), *doubt]]


def _named(value: Classes, most: int) -> list[tuple[str, float]]:
    """The most probable classes; of a multi-label model those that count as true."""
    if most > 1 or not value.multilabel or value.known is False:
        return value.top(most)
    true = set(value.labels)
    return [(label, prob) for label, prob in value.top(len(value.classes)) if label in true]
