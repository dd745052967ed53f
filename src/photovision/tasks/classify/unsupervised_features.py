"""Blind: what is known of pictures by features that never saw their labels, and how well these tell the labels.

Two kinds stand side by side: a pretrained network's features, where weights are installed, and handcrafted ones. They
complement each other on small pictures; which serve best is measured, see `photovision.tasks.classify.label_errors`.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.parallel import in_order
from photovision.core.progress import ProgressCallback
from photovision.core.types import Floats, Ints, Sample
from photovision.data.augment.image import load_pixels
from photovision.data.dataset import Dataset
from photovision.runtime.session import Session, open_session
from photovision.runtime.stream import stream
from photovision.trust.baseline import Handmade

NETWORK, HANDCRAFTED, BOTH = "network", "handcrafted", "both"
COMPONENTS = 256
"""Principal components that are kept of each kind of features."""

_PROBE = 64

Describe = Callable[[list[Sample], Callable[[int], None]], Floats]


@dataclass(frozen=True, eq=False)
class Blind:
    """Features of the first N of some pictures, as many as the time allowed.

    Attributes:
        features: kind -> float32 (N, D); "handcrafted", and "network" where pretrained weights are installed.
        backbone: name of the network, or "".
    """

    features: Mapping[str, Floats]
    backbone: str

    def __len__(self) -> int:
        return len(self.features[HANDCRAFTED])

    @cached_property
    def spaces(self) -> dict[str, Floats]:
        """Features for linear heads, float32 (N, K) each: "both" side by side where there are two kinds, and each."""
        each = {kind: reduced(features) for kind, features in self.features.items()}
        return {BOTH: np.concatenate(list(each.values()), axis=1), **each} if len(each) > 1 else each


def describe(
    dataset: Dataset,
    positions: Ints,
    side: int,
    seconds: float,
    progress: ProgressCallback | None = None,
) -> Blind:
    """Describe pictures in the order of `positions`, as many as fit into the time, but at least 64.

    Args:
        dataset: with readable pictures at `positions`.
        positions: int64 (M,), in an order that has nothing to do with the pictures.
        side: their typical shorter side in pixels.
        seconds: that this may take.
        progress: called with (pictures described, pictures to describe).

    Raises:
        UnreadableImage: a picture cannot be read any more.
    """
    kinds: dict[str, Describe] = {HANDCRAFTED: _by_hand(side)}
    network = _network()
    if network is not None:
        kinds[NETWORK] = _by_network(*network[:2])
    samples = [dataset.samples[int(position)] for position in positions]
    for run in kinds.values():  # the first picture pays for loading the libraries
        run(samples[:1], lambda done: None)
    began = time.monotonic()
    probes = {kind: run(samples[:_PROBE], lambda done: None) for kind, run in kinds.items()}
    rate = min(len(samples), _PROBE) / (time.monotonic() - began)
    rest = samples[_PROBE : max(_PROBE, int(min(seconds * rate, len(samples))))]
    features = {}
    for number, (kind, run) in enumerate(kinds.items()):

        def tell(done: int, before: int = number * len(rest)) -> None:
            if progress is not None:
                progress((before + done) // len(kinds), len(rest))

        features[kind] = np.concatenate([probes[kind], run(rest, tell)]) if rest else probes[kind]
    return Blind(features, network[2] if network else "")


def reduced(features: Floats, components: int = COMPONENTS) -> Floats:
    """Standardised features, turned to their principal components and scaled to a total variance of 1.

    Args:
        features: float32 (N, D).
        components: at most so many are kept.

    Returns:
        float32 (N, min(D, components)).
    """
    centred = features - features.mean(0)
    standard = centred / (features.std(0) + 1e-6)
    if standard.shape[1] > components:
        standard = _turned(standard, components)
    scaled: Floats = (standard / np.sqrt(max(float(standard.var(0).sum()), 1e-12))).astype(np.float32)
    return scaled


def _turned(rows: Floats, components: int) -> Floats:
    """Rows in the directions of their largest variance, by the smaller of the two products with themselves."""
    if len(rows) < rows.shape[1]:
        powers, axes = np.linalg.eigh(rows @ rows.T)
        turned = axes * np.sqrt(np.maximum(powers, 0))
    else:
        turned = rows @ np.linalg.eigh(rows.T @ rows)[1]
    kept: Floats = turned[:, : -components - 1 : -1]
    return kept


def out_of_sample(features: Floats, labels: Ints, folds: Ints, classes: int, strength: float) -> np.ndarray:
    """Logits of linear heads for the pictures of the folds that they did not learn from: float64 (N, `classes`).

    Args:
        features: float32 (N, D), of total variance about 1.
        labels: int64 (N,), 0 to `classes` - 1.
        folds: int64 (N,), the fold of every picture.
        classes: C.
        strength: inverse strength of the regularisation.
    """

    def judged(fold: int) -> np.ndarray:
        held = folds == fold
        return LinearHead.fit(features[~held], labels[~held], strength)(features[held], classes)

    logits = np.empty((len(labels), classes))
    with unshared():  # a fold for each core
        for fold, found in in_order(np.unique(folds).tolist(), judged):
            logits[folds == fold] = found
    return logits


def unshared() -> AbstractContextManager[object]:
    """While it lasts every product is computed by one core.

    Those of a linear head are too small to share: on a busy machine, threads that wait for each other stall the solver.
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1, "blas")
    return limits


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Logistic regression on features that are left as they are: their scale is part of the regularisation."""

    model: Any

    @classmethod
    def fit(cls, features: Floats, labels: Ints, strength: float) -> LinearHead:
        """Learn from features (N, D) and labels (N,) of at least two classes."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=1000 * strength, max_iter=200, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # held-out pictures judge, not the solver's tolerance
            return cls(model.fit(features, labels))

    def __call__(self, features: Floats, classes: int) -> np.ndarray:
        """Logits float64 (N, `classes`); classes without an example are never the answer."""
        found = np.asarray(self.model.decision_function(features), np.float64)
        if found.ndim == 1:  # scikit-learn gives one column for two classes
            found = np.column_stack([-found / 2, found / 2])
        logits = np.full((len(features), classes), found.min(initial=0.0) - 30)
        logits[:, self.model.classes_] = found
        return logits


def _by_hand(side: int) -> Describe:
    features = Handmade.fitting(side)

    def run(samples: list[Sample], tell: Callable[[int], None]) -> Floats:
        def images() -> Any:
            pixels = in_order(samples, lambda sample: load_pixels(sample, features.preprocess))
            for done, (_, image) in enumerate(pixels, 1):
                if done % 64 == 0 or done == len(samples):
                    tell(done)
                yield image

        return features.extract(images(), len(samples))

    return run


def _network() -> tuple[Session, Any, str] | None:
    """The pretrained network that is installed, in the fast runtime, its preprocessing and its name."""
    from photovision.models.backbones import choose, create
    from photovision.models.frozen_features import export_trunk

    try:
        source = choose(None, "auto", None)
    except UsageError:  # nothing is installed
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trunk.onnx"
        export_trunk(create(source, 0).eval(), source.preprocess, None, path)
        return open_session(path), source.preprocess, source.backbone


def _by_network(session: Session, preprocess: Any) -> Describe:
    def run(samples: list[Sample], tell: Callable[[int], None]) -> Floats:
        rows = []
        for done, answer in enumerate(stream(samples, lambda sample: load_pixels(sample, preprocess), session), 1):
            if answer.error is not None:
                raise answer.error
            rows.append(answer.outputs["features"].astype(np.float32))
            if done % 64 == 0 or done == len(samples):
                tell(done)
        return np.stack(rows)

    return run
