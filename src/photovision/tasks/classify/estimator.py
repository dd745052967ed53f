"""PhotoClassifier: Photovision as a scikit-learn estimator."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from photovision.core.errors import UsageError
from photovision.core.inputs import Given, as_sources
from photovision.core.progress import silent
from photovision.core.types import Classes, Floats
from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays
from photovision.engine.train_config import TrainConfig
from photovision.runtime.bundle import read_bundle, unpacked
from photovision.tasks.classify.recognizer import Recognizer

if TYPE_CHECKING:
    from photovision.tasks.classify.unproved import UnprovedModel

Pictures = Given | Iterable[Given]


class PhotoClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of pictures with scikit-learn's interface; single-label.

    Pictures are given as arrays (N, H, W, 3) in RGB or (N, H, W) in grey, or as any iterable of pictures that
    `photovision.core.inputs.as_source` takes: paths, contents of files, PIL images, arrays. One picture alone gets one
    answer. Validation and test parts are drawn from the training pictures; `model_.info` has the proof. A fitted
    estimator can be pickled; its model travels with it.

    Args:
        minutes: wall time of `fit`.
        backbone: a timm architecture; None takes what fits.
        weights: "auto", "none", "hub", a name of `photovision weights list`, or a file's path.
        size: side of the network's input in pixels; None takes what fits.
        seed: random seed.
        proof: False for searches such as GridSearchCV: no picture is put aside to judge, nothing is exported and
            tested, and frozen features are kept between the fits of one process. Such a model cannot be saved.

    Attributes:
        classes_: the distinct labels, sorted, as they were given.
        model_: the Recognizer; it has its files for itself, so that it may outlive this estimator. Without proof an
            `UnprovedModel`.

    Example:
        >>> PhotoClassifier(minutes=2).get_params()["minutes"]
        2
    """

    def __init__(
        self,
        minutes: float = 1.0,
        backbone: str | None = None,
        weights: str = "auto",
        size: int | None = None,
        seed: int = 0,
        proof: bool = True,
    ) -> None:
        self.minutes = minutes
        self.backbone = backbone
        self.weights = weights
        self.size = size
        self.seed = seed
        self.proof = proof

    def fit(self, X: Pictures, y: Sequence[Any] | np.ndarray) -> PhotoClassifier:  # noqa: N803 - scikit-learn's name
        """Train on pictures X with labels y of any sortable kind; raises as `photovision.train` does."""
        started = time.monotonic()  # libraries that are loaded take their part of the time
        pictures = list(as_sources(X, stacks=True)[0])
        classes, codes = np.unique(np.asarray(y), return_inverse=True)
        names = [str(label).strip() for label in classes]
        if len(set(names)) != len(names) or codes.shape != (len(pictures),):
            raise UsageError(
                f"y should hold one label for each of the {len(pictures):,} pictures, different ones as text, too"
            )
        dataset = dataset_from_arrays(pictures, codes, names)
        self.model_ = self._learned(dataset, started) if self.proof else self._unproved(dataset, started)
        self.classes_ = classes
        return self

    def _unproved(self, dataset: Dataset, started: float) -> UnprovedModel:
        from photovision.tasks.classify.unproved import learn_unproved

        return learn_unproved(dataset, self._config(), started)

    def _config(self) -> TrainConfig:
        return TrainConfig(self.minutes, self.backbone, self.weights, self.size, seed=self.seed)

    def _learned(self, dataset: Dataset, started: float) -> Recognizer:
        from photovision.engine.train import run

        with tempfile.TemporaryDirectory(prefix="photovision-") as folder:
            run(dataset, Path(folder) / "model", self._config(), silent, started=started)
            return Recognizer(unpacked(read_bundle(Path(folder) / "model").files()))

    def predict_proba(self, X: Pictures) -> Floats:  # noqa: N803
        """float32 (N, C), of one picture alone (C,): calibrated probabilities, columns in the order of `classes_`.

        Raises:
            NotFittedError: `fit` was not called.
            UnreadableImage: a picture cannot be decoded.
        """
        check_is_fitted(self)
        pictures, single = as_sources(X, stacks=True)
        if isinstance(self.model_, Recognizer):
            answers = cast("list[Classes]", self.model_.predict(pictures))
            found = np.array([answer.probs for answer in answers], np.float32)
        else:
            found = self.model_.probs(pictures)
        probs = found.reshape(-1, len(self.classes_))
        return probs[0] if single else probs

    def predict(self, X: Pictures) -> np.ndarray:  # noqa: N803
        """(N,), of one picture alone its label: the most probable one; raises as `predict_proba` does."""
        probs = self.predict_proba(X)
        labels: np.ndarray = self.classes_[probs.argmax(axis=-1)]
        return labels

    def save(self, path: str | Path) -> None:
        """Copy the model to a folder that `photovision.load` opens; raises NotFittedError, UsageError."""
        check_is_fitted(self)
        if not isinstance(self.model_, Recognizer):
            raise UsageError("a model that was made with proof=False cannot be saved: fit it again with proof=True")
        self.model_.save(path)
