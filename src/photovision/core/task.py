"""Task: one thing that can be learned from images; a row of `TASKS`, and all that the other floors know of it.

A task is one folder below `photovision.tasks` and one line below. Its parts are named as "module:name" and loaded when
they are first used, so that this module needs nothing and no floor has to import a task. A part that a task lacks is a
verb that it does not have: `Task.part` refuses it in one sentence, in Python, on the command line and over HTTP alike.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from photovision.core.errors import UsageError
from photovision.core.option import Option
from photovision.core.registry import Registry

NETWORK_OPTIONS = frozenset({"backbone", "weights", "size", "epochs", "flip", "sessions_by", "tuning", "window"})
"""Options of "train" that make sense for every task whose network is trained by gradients."""


@dataclass(frozen=True)
class TaskText:
    """Words for models of one task.

    Attributes:
        noun: such as "detector"; plural: such as "detectors".
        predicts: what a prediction tells, as in "a detector predicts boxes around objects".
        command: the command that predicts with it.
    """

    noun: str
    plural: str
    predicts: str
    command: str = "photovision predict"

    @property
    def a_noun(self) -> str:
        """The noun with its article."""
        return f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.noun}"


def _no_data(dataset: Any) -> bool:
    return False


def _no_suggestion(dataset: Any) -> str:
    return ""


@dataclass(frozen=True)
class Task:
    """One thing that can be learned from images.

    Attributes:
        name: as in bundle.json, in HTTP and in URLs: "detect".
        text: the words that people read about it.
        outputs: of the ONNX graph, in order.
        lead: leading metrics with their titles, best first; the first one measured opens reports and cards.
        fit: metric -> from which value a model is fit for use on its own, and with a person who checks; see
            `engine.assessment`.
        checked: metric -> the same metric where a person looks at what the model is unsure of: a model with whom
            it is high is fit with care.
        advice: metric -> a sentence on what helps where it is too low, if not what helps everywhere.
        chance: metric -> the value that a model reaches that has learned nothing.
        fits: whether a `photovision.data.dataset.Dataset` teaches this task.
        suggests: a sentence on how this task, too, could use a data set that teaches another one; "" for none.
        options: verb -> the options that make sense for it; every other one is refused.
        own: verb -> the options that only this task has.
        predict_options: those of `predict`, which requests and the model's `with_options` take, too.
        parts: name -> "module:attribute".
        needs: keys of bundle.json beside those of all tasks.
        min_classes: fewest classes of a model, and of the data that it learns from.
        min_images: fewest labelled images on which a change of a model can be measured.
        annotation_type: what its predictions are, as `Dataset.annotation_type` names it: "labels", "boxes" ...
        learns_from: other annotation types that it learns from where a person asks for it.
        compares: whether a training compares its images, to hold out those that are alike together.
        pyramid: whether its network needs maps of several resolutions, which plain transformers lack.
        page: the script of the local page that draws its predictions, below app/web/static. The part "page" gives what
            it draws: `page(model, prediction, size) -> JSON`; "mask" a PNG file of `(model, picture)`, and "why"
            JSON on the reasons for a prediction: `why(model, picture, target, tested)`.
            The part "lines" is a class `(model, top)` that prints predictions: `frames` (whether videos are read),
            `columns`, `rows(prediction, size)` and `text(file, prediction)`; `predict --output` writes what
            `draw(image, prediction)` draws, or the images of `files(model, prediction) -> {folder: image}`.
            The part "info" gives the (name, value) pairs that only such models have in 'photovision info'.
        page_options: of `load`, for the page, where a person may choose more than the model's own answer.
    """

    name: str
    text: TaskText
    outputs: tuple[str, ...]
    lead: Mapping[str, str] = field(default_factory=dict)
    fit: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    checked: Mapping[str, str] = field(default_factory=dict)
    advice: Mapping[str, str] = field(default_factory=dict)
    chance: Mapping[str, float] = field(default_factory=dict)
    fits: Callable[[Any], bool] = _no_data
    suggests: Callable[[Any], str] = _no_suggestion
    options: Mapping[str, frozenset[str]] = field(default_factory=dict)
    own: Mapping[str, tuple[Option, ...]] = field(default_factory=dict)
    predict_options: tuple[Option, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    min_classes: int = 2
    annotation_type: str = ""
    learns_from: frozenset[str] = frozenset()
    compares: bool = True
    pyramid: bool = False
    min_images: int = 20
    page: str = ""
    page_options: Mapping[str, Any] = field(default_factory=dict)

    def leading(self, names: Collection[str]) -> str | None:
        """The leading one of some metrics; None where none of them leads."""
        return next((name for name in self.lead if name in names), None)

    def has(self, part: str) -> bool:
        """Whether the task has a part of that name."""
        return part in self.parts

    def part(self, name: str, verb: str = "") -> Any:
        """A part, imported now.

        Args:
            name: of the part.
            verb: what the user asked for, for the message; empty for the part's own name.

        Raises:
            UsageError: the task has no such part.
        """
        if name not in self.parts:
            others = [row.text.a_noun for row in tasks() if row.has(name)]
            needed = f": it needs {either(others)}" if others else ""
            raise UsageError(f"'{verb or name}' is not available for {self.text.a_noun}{needed}")
        module, attribute = self.parts[name].split(":")
        return getattr(import_module(module), attribute)

    def accepted(self, verb: str) -> frozenset[str]:
        """Names of the options of a verb; "request" is a prediction over HTTP, which has all of `predict_options`."""
        if verb in ("predict", "request"):
            own = self.options.get(verb, frozenset())
            return own | {one.name for one in self.predict_options if verb == "request" or not one.http_only}
        return self.options.get(verb, frozenset()) | {option.name for option in self.own.get(verb, ())}

    def check_options(self, verb: str, given: Mapping[str, object]) -> dict[str, Any]:
        """The options of a verb that were given.

        Args:
            verb: such as "load", "train" or "predict".
            given: option -> its value; None, False and empty ones count as not given.

        Raises:
            UsageError: one was given that makes no sense for this task.
        """
        chosen = {
            name: value for name, value in given.items() if value is not None and value is not False and value != ()
        }
        known = self.accepted(verb)
        for name in chosen:
            if name not in known:
                valid = f"; valid options: {', '.join(sorted(known))}" if known else ""
                flag = "" if verb == "request" else f" (--{name.replace('_', '-')})"
                a_noun = self.text.a_noun
                raise UsageError(f"{a_noun[0].upper()}{a_noun[1:]} does not accept '{name}'{flag}{valid}")
        return chosen


TASKS = Registry(
    "task",
    {
        "anomaly": "photovision.tasks.anomaly.task:TASK",
        "segment": "photovision.tasks.segment.task:TASK",
        "detect": "photovision.tasks.detect.task:TASK",
        "classify": "photovision.tasks.classify.task:TASK",
        "embed": "photovision.tasks.embed.task:TASK",
        "cut": "photovision.tasks.cut.task:TASK",
        "generate": "photovision.tasks.generate.task:TASK",
    },
    "photovision.tasks",
)
"""Name -> row; where data fits several tasks, the first of them is learned. Other packages add rows by entry points."""


def tasks() -> list[Task]:
    """All rows."""
    return [task(name) for name in TASKS.names()]


def task(name: str) -> Task:
    """The row of that name; raises UsageError with the nearest names where there is none."""
    row = TASKS.load(name)
    assert isinstance(row, Task)
    return row


def task_of(dataset: Any) -> Task:
    """The first row that a `photovision.data.dataset.Dataset` teaches; raises UsageError where there is none."""
    for row in tasks():
        if row.fits(dataset):
            return row
    names = ", ".join(row.name for row in tasks() if row.has("learn"))
    raise UsageError(f"no task is known that these images teach: name one of {names} with --task")


def either(words: Sequence[str]) -> str:
    """ "a", "a or b", "a, b or c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
