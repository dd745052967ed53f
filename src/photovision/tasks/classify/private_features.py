"""Frozen features of a public network, and how large they usually are, by photographs that are public."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from photovision.core.image import open_sample
from photovision.core.types import Floats, Image, Ints, Sample
from photovision.data.augment.image import load_pixels
from photovision.data.dataset import Dataset
from photovision.models.backbones import Backbone, create
from photovision.models.frozen_features import default_cut, export_trunk
from photovision.runtime.session import Session, open_session
from photovision.runtime.stream import stream

if TYPE_CHECKING:
    from torch import nn

_PHOTOGRAPHS = "astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "ihc", "moon", "retina", "rocket"
Report = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class PublicFeatures:
    """A pretrained network that learns nothing here.

    Attributes:
        network: with an untrained last layer.
        graph: its frozen part; session: the same in the fast runtime.
        source: what it is and expects.
        radius: the usual norm of centred features, of public photographs.
    """

    network: nn.Module
    graph: Path
    session: Session
    source: Backbone
    radius: float

    def of(self, dataset: Dataset, report: Report) -> tuple[Floats, Ints]:
        """Features float32 (N, D) in memory, and the positions of the pictures that could be read, int64 (M,).

        An unreadable picture has features of 0, and is to be left out of the sums, as one that was never there.
        """
        rows: list[Floats | None] = []
        answers = stream(
            list(dataset.samples), lambda sample: load_pixels(sample, self.source.preprocess), self.session
        )
        for done, answer in enumerate(answers, 1):
            rows.append(None if answer.error is not None else _pooled(answer.outputs["features"]))
            if done % 64 == 0 or done == len(dataset):
                report(done, len(dataset))
        read = np.flatnonzero([row is not None for row in rows])
        known = [row for row in rows if row is not None]
        found = np.zeros((len(rows), known[0].shape[0] if known else 0), np.float32)
        if known:
            found[read] = np.stack(known)
        return found, read


def open_public(source: Backbone, classes: int, folder: Path) -> PublicFeatures:
    """Open the network's frozen part.

    Args:
        source: pretrained on public pictures.
        classes: of its last layer.
        folder: for its graph; temporary.
    """
    network = create(source, classes).eval()
    cut = default_cut(network, source.preprocess.size)
    graph = folder / "frozen.onnx"
    export_trunk(network, source.preprocess, cut, graph)
    session = open_session(graph, outputs=("features",))
    return PublicFeatures(network, graph, session, source, _radius(session, source))


def _radius(session: Session, source: Backbone) -> float:
    """Median norm of centred features of crops of the photographs that scikit-image brings along."""
    shown = [load_pixels(Sample(str(number), crop, None), source.preprocess) for number, crop in enumerate(_crops())]
    features = np.stack([_pooled(one) for one in session.run(np.stack(shown))["features"]])
    return float(np.median(np.linalg.norm(features - features.mean(0), axis=1)))


def _crops() -> list[Image]:
    """Four corners of each photograph."""
    import skimage.data

    top = Path(skimage.data.__file__).parent
    files = [file for name in _PHOTOGRAPHS for file in (top / f"{name}.png", top / f"{name}.jpg") if file.is_file()]
    crops = []
    for file in files:
        picture = np.asarray(open_sample(Sample(file.name, file, None)).convert("RGB"))
        half, wide = picture.shape[0] // 2, picture.shape[1] // 2
        crops += [picture[y : y + half, x : x + wide].copy() for y in (0, half) for x in (0, wide)]
    return crops


def _pooled(features: Floats) -> Floats:
    """float32 (D,): some networks pool in their last step."""
    return np.asarray(features.reshape(len(features), -1).mean(1), np.float32)
