"""The values that flow through Photovision: frozen, and validated when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from photovision.core.deprecation import renamed_fields
from photovision.core.errors import UsageError
from photovision.core.pictured import SIDE, Pictured, shrunk
from photovision.core.value_range import ValueRanges

if TYPE_CHECKING:
    from photovision.core.preprocess import Preprocess
    from photovision.core.regions import Regions

Image = npt.NDArray[np.uint8]
"""uint8 RGB picture of shape (H, W, 3), values 0 to 255, upright."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
UNKNOWN = "unknown"
"""What a model calls a picture of something else."""


@renamed_fields(regions="annotations")
@dataclass(frozen=True, eq=False)
class Sample:
    """One picture with what is known about it.

    Attributes:
        id: unique name within its dataset; for files the path relative to the dataset's root, with forward slashes.
        image: path of a picture file, or an upright uint8 RGB array (H, W, 3).
        target: names of the classes that are true of it; exactly one for single-label data, any number (none, too)
            for multi-label data, None where the truth is unknown.
        groups: attributes such as patient, camera or weather, all as strings.
        annotations: objects or pixel classes of it, a `Detections` or a `Segmentation` of `photovision.core.regions`;
            None where only the classes are known.
        ranges: what is shown as black and as white in pictures of more than 8 bits; () where each file decides.

    Example:
        >>> Sample("cats/1.jpg", Path("pictures/cats/1.jpg"), ("cats",)).label
        'cats'
    """

    id: str
    image: Path | Image
    target: tuple[str, ...] | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    annotations: Regions | None = None
    ranges: ValueRanges = ()

    def __post_init__(self) -> None:
        if isinstance(self.image, np.ndarray):
            check_image(self.image, self.id)

    @property
    def label(self) -> str:
        """The one class name; raises UsageError where there is none or more than one."""
        if self.target is None or len(self.target) != 1:
            raise UsageError(f"sample '{self.id}' should have exactly one label, but has {self.target!r}")
        return self.target[0]

    def _repr_html_(self) -> str:
        """The picture with its truth, for notebooks."""
        from photovision.core.sample_html import sample_html

        return sample_html(self)


@dataclass(frozen=True, eq=False)
class Classes(Pictured):
    """The answer of a classifier for one picture.

    Attributes:
        probs: float32 (C,), calibrated, in the order of `classes`; sums to 1 for single-label models.
        classes: C class names.
        multilabel: whether several classes may be true at once.
        thresholds: float32 (C,), the least probability at which a class counts as true; multi-label only.
        file: where the picture came from, if it came from a file.
        known: whether the picture resembles the training data; None without novelty detection.
        novelty: how unlike the training data it is; the usual picture has about 0, one in twenty more than about 1.
        prediction_set: classes that the truth is among with the coverage asked for, most probable first, every class
            that is named among them; None where the model was made without.
        shown: classes that `to_json` lists where no other number is asked for.
        similarity: how alike the picture is to the nearest training picture, -1 to 1; None where it is not known.
        confidence: the probability that the answer is right, all labels of it for multi-label, from `prob` and
            `similarity` together; None where it is not known, and for a picture of something else.
        elsewhere: whether it is less alike than 19 of 20 held-out pictures were: a picture of known things, but of
            another place, camera or light, perhaps; None likewise.

    Example:
        >>> Classes(np.float32([0.1, 0.9]), ("cat", "dog")).label
        'dog'
        >>> Classes(np.float32([0.1, 0.9]), ("cat", "dog"), known=False)
        Classes('unknown', probs {'dog': 0.900, 'cat': 0.100})
    """

    probs: Floats
    classes: tuple[str, ...]
    multilabel: bool = False
    thresholds: Floats | None = None
    file: str | None = None
    known: bool | None = None
    novelty: float | None = None
    prediction_set: tuple[str, ...] | None = None
    shown: int = 5
    similarity: float | None = None
    elsewhere: bool | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        if self.probs.shape != (len(self.classes),):
            raise UsageError(f"probs should have shape ({len(self.classes)},), got {self.probs.shape}")

    def __repr__(self) -> str:
        """What it comes to, in a line, however many classes there are."""
        top = ", ".join(f"{name!r}: {prob:.3f}" for name, prob in self.top(3))
        more = f", and {len(self.classes) - 3:,} more" if len(self.classes) > 3 else ""
        labels = self.labels if self.multilabel else self.label
        return f"Classes({labels!r}, probs {{{top}{more}}})"

    @property
    def label(self) -> str:
        """The most probable class, or "unknown" for a picture of something else."""
        return UNKNOWN if self.known is False else self.best

    @property
    def best(self) -> str:
        """The most probable class, whether or not the picture resembles the training data."""
        return self.classes[int(self.probs.argmax())]

    @property
    def prob(self) -> float:
        """The probability of `best`, 0 to 1."""
        return float(self.probs.max())

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes that count as true: the most probable one, or for multi-label all at or above their threshold.

        None for a picture of something else.
        """
        if self.known is False:
            return ()
        if not self.multilabel:
            return (self.label,)
        limits = np.full(len(self.classes), 0.5) if self.thresholds is None else self.thresholds
        return tuple(name for name, p, limit in zip(self.classes, self.probs, limits, strict=True) if p >= limit)

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The k most probable classes with their probabilities, most probable first; UsageError where k is below 0."""
        if not isinstance(k, int | np.integer) or k < 0:
            raise UsageError(f"the number of classes should be a whole number from 0, got {k!r}")
        order = np.argsort(-self.probs, kind="stable")[:k]
        return [(self.classes[i], float(self.probs[i])) for i in order]

    def to_json(self, k: int | None = None) -> dict[str, Any]:
        """JSON-ready: label, prob, the k most probable classes, known; where the model has them novelty, set,
        similarity, elsewhere, confidence, labels.

        None for k takes `shown`.

        Example:
            >>> Classes(np.float32([0.25, 0.75]), ("cat", "dog")).to_json(1)
            {'label': 'dog', 'prob': 0.75, 'top': [{'label': 'dog', 'prob': 0.75}], 'known': None}
        """
        named = self.top(self.shown if k is None else k)
        value: dict[str, Any] = {
            "label": self.label,
            # Nothing is calibrated for strangers.
            "prob": None if self.known is False else round(self.prob, 6),
            "top": [{"label": label, "prob": round(prob, 6)} for label, prob in named],
            "known": self.known,
        }
        if self.novelty is not None and self.prediction_set is not None:
            value |= {"novelty": round(self.novelty, 4), "set": list(self.prediction_set)}
        if self.similarity is not None:
            value |= {"similarity": round(self.similarity, 4), "elsewhere": self.elsewhere}
        if self.confidence is not None:
            value["confidence"] = round(self.confidence, 4)
        if self.multilabel:
            value["labels"] = list(self.labels)
        return value

    def json_fields(self, size: tuple[int, int]) -> dict[str, Any]:
        """What stands beside "file" in a result: `to_json`, whatever the size of the image."""
        return self.to_json()

    def html_facts(self) -> str:
        """The answer, and the most probable classes as bars."""
        from photovision.core.notebook import bars, paragraph

        doubt = "unlike the training images" if self.known is False else "no class" if not self.labels else ""
        answer = paragraph(", ".join(self.labels) or self.label if not doubt else f"{self.label}: {doubt}", strong=True)
        return answer + bars(self.top())


@dataclass(frozen=True, eq=False)
class Attribution(Pictured):
    """How much each place of a picture speaks for a class.

    Attributes:
        heatmap: float32 (H, W) over the pixels that the network sees (`Preprocess.size`), finite; positive speaks for
            the class. Only the order of its values is comparable between methods.
        target: the class that is explained.
        method: name of the explainer.
        preprocess: tells which part of the picture the network sees; None for the whole.
    """

    heatmap: Floats
    target: str
    method: str
    preprocess: Preprocess | None = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if self.heatmap.ndim != 2 or not np.isfinite(self.heatmap).all():
            raise UsageError(f"a heatmap should be finite and of shape (H, W), got {self.heatmap.shape}")

    def drawn(self, image: Image, side: int = SIDE) -> Image:
        """The heatmap laid over the pixels that the network sees, see `photovision.core.overlay`."""
        from photovision.core.overlay import overlay
        from photovision.core.preprocess import Preprocess as Whole

        return overlay(shrunk(image, side), self.heatmap, self.preprocess or Whole(image.shape[:2]))

    def html_facts(self) -> str:
        """What is explained, and by which method."""
        from photovision.core.notebook import paragraph

        return paragraph(self.target, strong=True) + paragraph(f"by {self.method}: bright places speak for it")


def check_image(image: object, name: str) -> None:
    """Raise UsageError unless `image` is a non-empty uint8 RGB array (H, W, 3)."""
    if not isinstance(image, np.ndarray):
        raise UsageError(f"{name}: a picture should be a uint8 array (H, W, 3), got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UsageError(
            f"{name}: a picture should be a non-empty uint8 array (H, W, 3) in RGB order,"
            f" got {image.dtype} {image.shape}"
        )
