"""The sentences of a model card that depend on the task; each task writes its own in its part "card"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from photovision.core.report import Finding
from photovision.core.task import TASKS, Task, TaskText, task

LEARNED_VAL = (
    "Once the validation pictures had chosen the network, it learned from them, too; all validation figures are those"
    " of the network before that."
)
"""What reports, card and data sheet say of a model whose `Bundle.learned_val` is true."""


@dataclass(frozen=True)
class CardText:
    """How the card and the data sheet of one model speak of it.

    Attributes:
        noun: such as "detector".
        does: what it does, as a sentence.
        kind: what a prediction is.
        instance: what the ground truth of an image is.
        aim: how its purpose begins, before the names of the classes.
        beyond: what it does with images of something else.
        use: lines of code after the model is loaded.
        rules: by which rules it decides, and how its probabilities were calibrated, as sentences.
        limits: what it has that shows when it does not know, as sentences.
        intervals: names of metrics -> how their intervals were made.
        checks: topics that an audit of such models measures.
        pipeline: what the Hub calls the task; "" where it has no name for it.
        tags: more tags for the Hub.
        figures: metric -> (what the Hub calls it, how it is averaged).
        timm: whether timm can build the network.
        more: what else the training measured.
    """

    noun: str
    does: str
    kind: str
    instance: str
    aim: str
    beyond: str
    use: tuple[str, ...]
    rules: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    intervals: tuple[tuple[tuple[str, ...], str], ...] = ()
    checks: tuple[str, ...] = ()
    pipeline: str = ""
    tags: tuple[str, ...] = ()
    figures: Mapping[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    timm: bool = False
    more: Finding = field(default_factory=Finding)


def row_of(info: Mapping[str, Any]) -> Task | None:
    """The row of the task that bundle.json names; None where it names none that is known."""
    name = info.get("task")
    return task(name) if isinstance(name, str) and name in TASKS.names() else None


def card_text_of(info: Mapping[str, Any]) -> CardText:
    """The sentences for the model that bundle.json describes; plain ones where its task brings none."""
    row = row_of(info)
    if row is not None and row.has("card"):
        text: CardText = row.part("card")(info)
        return text
    return _plain(TaskText("model", "models", "what an image shows") if row is None else row.text)


def _plain(text: TaskText) -> CardText:
    return CardText(
        text.noun,
        f"It predicts {text.predicts}.",
        text.predicts,
        "its ground truth",
        f"To predict {text.predicts}, in images like those it learned from:",
        "What it does with images of something else was not measured.",
        ('prediction = pv.load("this-folder").predict("image.jpg")',),
    )
