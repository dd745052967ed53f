"""Explanation targets: one of many predictions on an image, a box of a class or a class over a region.

A classifier gives one answer an image; a detector or a segmenter gives many, so an explanation needs to say which one
it is of. A target turns all that the model predicts on a view into one number: how much of this prediction is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from photovision.core.errors import ModelError
from photovision.core.overlap import overlap
from photovision.core.types import Floats, Image
from photovision.runtime.bundle import Bundle
from photovision.runtime.session import Session
from photovision.trust.explain.explained_model import ExplainedModel, resized

if TYPE_CHECKING:
    from torch import nn

    from photovision.core.regions import Bools

BATCH = 16
_FAR = 1e5  # pixels: boxes of views that a network was not made for may end anywhere


class ExplanationTarget(Protocol):
    """One answer of a model, in pixels of the network's input."""

    @property
    def label(self) -> int:
        """The class."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs that its score is made from."""
        ...

    def score(self, outputs: Mapping[str, np.ndarray]) -> Floats:
        """How much of this answer the graph's outputs for N views hold: float32 (N,), 0 to 1."""
        ...

    def inside(self, size: tuple[int, int]) -> Bools:
        """bool (H, W): the pixels of an input of that size that the answer is about."""
        ...


@dataclass(frozen=True, eq=False)
class BoxTarget:
    """A box of a class; its score is that of the best place, its probability times its overlap with this box (D-RISE).

    Attributes:
        box: float32 (4,), x1, y1, x2, y2 in pixels of the network's input.
        label: the class.
    """

    box: Floats
    label: int
    outputs = ("boxes", "scores")

    def score(self, outputs: Mapping[str, np.ndarray]) -> Floats:
        """See `ExplanationTarget`."""
        scores = np.nan_to_num(outputs["scores"][..., self.label])
        boxes = np.clip(np.nan_to_num(outputs["boxes"]), -_FAR, _FAR).reshape(-1, 4)
        shares = overlap(self.box[None], boxes)[0].reshape(scores.shape)
        return np.asarray((shares * scores).max(axis=1, initial=0), np.float32)

    def inside(self, size: tuple[int, int]) -> Bools:
        """See `ExplanationTarget`."""
        x1, y1, x2, y2 = self.box
        rows, columns = np.arange(size[0])[:, None] + 0.5, np.arange(size[1])[None] + 0.5
        return np.asarray((columns > x1) & (columns < x2) & (rows > y1) & (rows < y2))


@dataclass(frozen=True, eq=False)
class RegionTarget:
    """A class over a region; its score is the mean of its probability there.

    Attributes:
        region: bool (H, W), pixels of the network's input, at least one.
        label: the class.
    """

    region: Bools
    label: int
    outputs = ("classes",)

    def score(self, outputs: Mapping[str, np.ndarray]) -> Floats:
        """See `ExplanationTarget`."""
        probs = np.nan_to_num(outputs["classes"][:, self.label])
        weights = resized(self.region[None].astype(np.float32), (probs.shape[1], probs.shape[2]))[0]
        return np.asarray(np.tensordot(probs, weights, axes=2) / max(float(weights.sum()), 1e-6), np.float32)

    def inside(self, size: tuple[int, int]) -> Bools:
        """See `ExplanationTarget`."""
        return self.region


class TargetScorer:
    """A detector or a segmenter under explanation.

    Args:
        bundle: the model.
        engine: what runs the graph.
        precision: its arithmetic; None takes what the bundle's parity check allows.
        seed: None for the model itself; else all its weights are shuffled with this seed.
    """

    def __init__(
        self, bundle: Bundle, engine: str = "auto", precision: str | None = None, seed: int | None = None
    ) -> None:
        self.bundle = bundle
        self.size = bundle.preprocess.size
        self._choices = engine, precision or bundle.precision
        self._graph = ExplainedModel(bundle, engine, precision, seed)
        self._sessions: dict[tuple[str, ...], Session] = {}

    def shuffled(self, seed: int) -> TargetScorer:
        """A model of the same shape that has learned nothing; see `Subject.shuffled`."""
        return TargetScorer(self.bundle, *self._choices, seed)

    def scores(self, views: Image, aims: Sequence[ExplanationTarget]) -> Floats:
        """How much of every aim is left in each view: float32 (N, A), for uint8 (N, H, W, 3) of the network's size."""
        found = np.empty((len(views), len(aims)), np.float32)
        session = self._opened(tuple(dict.fromkeys(name for aim in aims for name in aim.outputs)))
        for start in range(0, len(views), BATCH):
            outputs = session.run(views[start : start + BATCH])
            for column, aim in enumerate(aims):
                found[start : start + BATCH, column] = aim.score(outputs)
        return found

    @cached_property
    def network(self) -> nn.Module:
        """The network in torch; raises ModelError where the bundle has no weights for it."""
        from photovision.models.load_network import trained_detector

        return self._graph.shuffle(trained_detector(self.bundle)).requires_grad_(False)

    def _opened(self, wanted: tuple[str, ...]) -> Session:
        """The graph with these outputs; raises ModelError where it lacks some."""
        if wanted in self._sessions:
            return self._sessions[wanted]
        session = self._graph.opened(self._choices[1], wanted)
        missing = set(wanted) - set(session.run(np.zeros((1, *self.size, 3), np.uint8)))
        if missing:
            raise ModelError(f"{self.bundle.graph} gives no {' and '.join(sorted(missing))}: copy or train it again")
        self._sessions[wanted] = session
        return session


@dataclass(frozen=True, eq=False)
class TargetHeatmap:
    """A model that answers with nothing but its aims, one column each: what a trial of maps asks."""

    viewer: TargetScorer
    aims: Sequence[ExplanationTarget]

    def probs(self, images: Image) -> Floats:
        """float32 (N, A)."""
        return self.viewer.scores(images, self.aims)


@dataclass(frozen=True)
class TargetExplainer:
    """A way to tell which places of a picture an answer about a place rests on.

    Attributes:
        name: as in the registry.
        about: what it shows, one sentence for people.
        torch: whether it needs the network in torch.
        kinds: of targets that it explains, "box" and "region".
        heatmaps: from a viewer, one uint8 picture (H, W, 3) of the network's size and A aims to float32 (A, H, W);
            higher speaks for the answer, only the order within one map has a meaning. Called by `explain_aims`.
    """

    name: str
    about: str
    torch: bool
    kinds: tuple[str, ...]
    heatmaps: TargetHeatmaps


class TargetHeatmaps(Protocol):
    """What an `TargetExplainer` does."""

    def __call__(self, viewer: TargetScorer, image: Image, aims: Sequence[ExplanationTarget]) -> Floats:
        """float32 (A, H, W)."""
        ...
