"""Embed: pretrained features of every picture before the split, so that it knows which pictures are alike.

They are a step of the training as others are: kept in its work folder, and what was decided for them in its bundle.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from photovision.core.preprocess import Preprocess
from photovision.core.progress import ProgressCallback
from photovision.core.types import Ints
from photovision.data.augment.image import load_pixels
from photovision.data.components import AnyFloats
from photovision.data.dataset import Dataset
from photovision.engine.splits import SMALL_SIDE
from photovision.engine.workdir import WorkDir
from photovision.models.backbones import Backbone, create
from photovision.models.frozen_features import SplitPoint, default_cut, export_trunk
from photovision.runtime.session import Session, open_session
from photovision.runtime.stream import stream

SHARE = 0.08
"""Of a training's budget that comparing its pictures may take."""
_PROBE = 64  # pictures after which the first estimate of the time is made
_EXPORT = 7.0  # seconds that a graph takes to be made: where no more are left, none is
_SIDE = 224  # pixels that tell pictures apart well enough
_BLOCK = 32


@dataclass(frozen=True, eq=False)
class Embedder:
    """Computes features of pictures within a part of a training's budget.

    Attributes:
        source: what the training starts from.
        work: its finished steps.
        budget: seconds of the whole training.
        progress: called with (pictures done, pictures in all).
    """

    source: Backbone
    work: WorkDir
    budget: float
    progress: ProgressCallback | None = None
    _found: dict[str, AnyFloats] = field(default_factory=dict)

    def __call__(self, dataset: Dataset, positions: Ints, side: int) -> tuple[AnyFloats | None, str]:
        """Pooled features of pictures.

        Args:
            dataset: N pictures.
            positions: int64 (M,), of those that can be read and are used.
            side: their typical shorter side in pixels.

        Returns:
            float16 (N, D), 0 for the other pictures; or None, and a sentence that says why.
        """
        network = self.source.comparing()
        if network is None:
            return None, _why("the network has no pretrained weights")
        if side <= SMALL_SIDE:
            return None, _why(f"they are too small ({side} pixels)")
        made = self.work.value("similarity", lambda: self._decide(network, dataset, positions))
        if made["size"] is None:
            return None, _why(f"that would take more than {SHARE:.0%} of the budget")

        def features() -> np.ndarray:
            if "features" not in self._found:  # decided in a run that was interrupted, or is repeated
                self._run(_at(network, made["size"]), dataset, positions, math.inf)
            return self._found.pop("features")

        return self.work.array("embeddings", features), ""

    def _decide(self, network: Backbone, dataset: Dataset, positions: Ints) -> dict[str, Any]:
        """The largest size at which the budget allows it; features that are computed on the way are kept."""
        seconds = SHARE * self.budget
        sizes = [list(network.preprocess.size)]
        if network.any_size:
            enough = [min(side, _SIDE) for side in network.preprocess.size]
            sizes = [enough, [_BLOCK * max(1, round(side / 2 / _BLOCK)) for side in enough]]
        for size in sizes:
            if seconds > _EXPORT and self._run(_at(network, size), dataset, positions, seconds):
                return {"size": size}
        return {"size": None}

    def _run(self, network: Backbone, dataset: Dataset, positions: Ints, seconds: float) -> bool:
        """Compute features; False where the pictures would take longer, the making of the graph apart."""
        built = create(network, 2).eval()  # of any number of classes: what is frozen has none
        cut = default_cut(built, network.preprocess.size)
        session = open_trunk(self.work, built, network.preprocess, cut, ("features",))
        rows: AnyFloats = np.zeros((len(dataset), 0), np.float16)
        began = time.monotonic()
        items = [dataset.samples[int(position)] for position in positions]
        answers = stream(items, lambda sample: load_pixels(sample, network.preprocess), session)
        for done, (position, answer) in enumerate(zip(positions.tolist(), answers, strict=True), 1):
            if answer.error is None:  # what was changed meanwhile is found later
                features = answer.outputs["features"]
                features = features.reshape(len(features), -1).mean(1)  # some networks pool in their last step
                rows = rows if rows.shape[1] else np.zeros((len(dataset), len(features)), np.float16)
                rows[position] = features
            if done % _PROBE == 0 or done == len(items):
                if 2 * done < len(items) and (time.monotonic() - began) / done * len(items) > seconds:
                    return False
                if self.progress is not None:
                    self.progress(done, len(items))
        self._found["features"] = rows
        return True


def open_trunk(
    work: WorkDir,
    network: nn.Module,
    preprocess: Preprocess,
    cut: SplitPoint | None,
    outputs: tuple[str, ...] | None = None,
) -> Session:
    """The frozen part of a network in the fast runtime, exported once for every size that pictures are shown at.

    Args:
        work: where the graph is kept.
        network: pretrained, and not changed before.
        preprocess: how pictures are shown to it.
        cut: where its feature maps are taken, see `photovision.models.frozen_features.export_trunk`.
        outputs: names of those that are wanted; None for the features, and the maps at the cut where there is one.
    """
    usual = ("features",) if cut is None else ("features", "maps")
    return open_session(trunk_graph(work, network, preprocess, cut), outputs=outputs or usual)


def trunk_graph(work: WorkDir, network: nn.Module, preprocess: Preprocess, cut: SplitPoint | None) -> Path:
    """The file of the graph that `open_trunk` opens; arguments as there."""
    height, width = preprocess.size
    name = f"trunk-{height}x{width}{'' if cut is None else '-' + cut.lower[-1]}.onnx"
    return work.file(name, lambda target: export_trunk(network, preprocess, cut, target))


def _at(network: Backbone, size: Sequence[int]) -> Backbone:
    return replace(network, preprocess=replace(network.preprocess, size=(size[0], size[1])))


def _why(reason: str) -> str:
    return (
        "Only near-duplicates were looked for; the pictures were not compared by what they show, since"
        f" {reason}: val is drawn at random by classes."
    )
