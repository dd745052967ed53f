"""Tags of a scene: indoors or outdoors, road, weather, light; whatever a classifier has learned to tell.

    for tags in tags_of("weather-model", ["street.jpg"]):
        print(tags)  # {'fog': 0.93}

A tag is a class that counts as true: the most probable one, of a multi-label model all at or above their thresholds.
A picture unlike those that the model learned from has the one tag "unknown".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from photovision.core.errors import UnreadableImage
from photovision.core.inputs import Given
from photovision.core.types import UNKNOWN, Classes, Floats, Image
from photovision.engine.load import load_predicting
from photovision.runtime.model import OnnxModel

Tags = dict[str, float]
"""Name -> probability, most probable first; of "unknown", the share of the looks at the scene that found it strange."""
MEMORY = 0.8
"""How much of what was seen before counts in the tags of a video, beside the newest look."""
EVERY = 5
"""Every how many frames of a video are looked at: scenes change slowly."""


def tags_of(
    model: OnnxModel[Classes] | str | Path, sources: Given | Iterable[Given], *, batch_size: int = 32
) -> Iterator[Tags | UnreadableImage]:
    """The tags of any number of pictures, in order, with flat memory.

    Args:
        model: a classifier, or its folder.
        sources: pictures, as `photovision.core.inputs.as_source` takes them.
        batch_size: pictures a call of the network.

    Returns:
        One answer a picture; unreadable ones come as UnreadableImage values.

    Raises:
        ModelError: the folder holds no classifier.
    """
    classifier: OnnxModel[Classes] = load_predicting(model, "labels")
    for answer in classifier.stream(sources, batch_size=batch_size):
        yield answer if isinstance(answer, UnreadableImage) else named(answer)


def named(answer: Classes) -> Tags:
    """The tags of one answer.

    Example:
        >>> named(Classes(np.array([0.75, 0.5, 0.25], np.float32), ("road", "rain", "snow"), multilabel=True))
        {'road': 0.75, 'rain': 0.5}
        >>> named(Classes(np.array([0.75, 0.25], np.float32), ("day", "night"), known=False))
        {'unknown': 1.0}
    """
    if answer.known is False:
        return {UNKNOWN: 1.0}
    true = set(answer.labels)
    return {name: round(prob, 6) for name, prob in answer.top(len(answer.classes)) if name in true}


class Smoothed:
    """The tags of a video, which do not flicker: a mean over the looks so far, in which older ones fade.

    Args:
        memory: how much of what was seen before counts beside a new look, 0 (nothing) to 1.

    Example:
        >>> smoothed = Smoothed(0.5)
        >>> smoothed.add(Classes(np.array([1, 0], np.float32), ("day", "night")))
        {'day': 1.0}
        >>> smoothed.add(Classes(np.array([0, 1], np.float32), ("day", "night"))), smoothed.add(
        ...     Classes(np.array([0, 1], np.float32), ("day", "night"))
        ... )
        ({'day': 0.5}, {'night': 0.75})
    """

    def __init__(self, memory: float = MEMORY) -> None:
        self._memory = memory
        self._probs: Floats | None = None
        self._strange: Floats | None = None

    def add(self, answer: Classes) -> Tags:
        """Take in one more look, and give the tags that hold now."""
        self._strange = self._faded(self._strange, np.array([answer.known is False], np.float32))
        if answer.known is not False:
            self._probs = self._faded(self._probs, answer.probs)
        share = float(self._strange[0])
        if self._probs is None or share > 0.5:
            return {UNKNOWN: round(share, 6)}
        return named(Classes(self._probs, answer.classes, answer.multilabel, answer.thresholds))

    def _faded(self, before: Floats | None, new: Floats) -> Floats:
        if before is None:
            return new
        mean: Floats = (self._memory * before + (1 - self._memory) * new).astype(np.float32)
        return mean


class Tagger:
    """Tags pictures, and the frames of one video after the other.

    Args:
        model: a classifier, or its folder.
        every: every how many frames are looked at.

    Raises:
        ModelError: the folder holds no classifier.
    """

    def __init__(self, model: OnnxModel[Classes] | str | Path, every: int = EVERY) -> None:
        self.classifier: OnnxModel[Classes] = load_predicting(model, "labels")
        self._every = every
        self._smoothed, self._last, self._frames = Smoothed(), Tags(), 0

    def picture(self, image: Given) -> Tags:
        """The tags of a picture: a path, the bytes of a file, or uint8 RGB (H, W, 3); raises UnreadableImage."""
        return named(self._seen(image))

    def begin(self) -> None:
        """A new video: what was seen of the one before is forgotten."""
        self._smoothed, self._last, self._frames = Smoothed(), Tags(), 0

    def frame(self, image: Image) -> Tags:
        """The tags that hold at the next frame of a video, uint8 RGB (H, W, 3)."""
        if self._frames % self._every == 0:
            self._last = self._smoothed.add(self._seen(image))
        self._frames += 1
        return self._last

    def _seen(self, image: Given) -> Classes:
        answer = self.classifier.predict(image)
        assert isinstance(answer, Classes)
        return answer
