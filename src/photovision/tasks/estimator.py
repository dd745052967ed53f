"""PhotoClassifier: Photovision as a scikit-learn estimator."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from photovision.core.errors import UnreadableImage, UsageError
from photovision.core.types import Floats, Image, check_image
from photovision.data.read import dataset_from_arrays
from photovision.tasks.recognizer import Recognizer, load

Pictures = Sequence[str | Path | np.ndarray] | np.ndarray


class PhotoClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of pictures with scikit-learn's interface; single-label.

    Pictures are given as uint8 arrays (N, H, W, 3) in RGB or (N, H, W) in grey, or as a list of such pictures or of
    paths. Validation and test parts are drawn from the training pictures; `model_.info` has the proof.

    Args:
        minutes: wall time of `fit`.
        backbone: a timm architecture; None takes what fits.
        weights: "auto", "none", "hub", a name of `photovision weights list`, or a file's path.
        size: side of the network's input in pixels; None takes what fits.
        seed: of everything random.

    Attributes:
        classes_: the distinct labels, sorted, as they were given.
        model_: the Recognizer; its files live as long as this estimator.

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
    ) -> None:
        self.minutes = minutes
        self.backbone = backbone
        self.weights = weights
        self.size = size
        self.seed = seed

    def fit(self, X: Pictures, y: Sequence[Any] | np.ndarray) -> PhotoClassifier:  # noqa: N803 - scikit-learn's name
        """Train on pictures X with labels y of any sortable kind; raises as `photovision.train` does."""
        from photovision.tasks.train import train

        classes, codes = np.unique(np.asarray(y), return_inverse=True)
        names = [str(label).strip() for label in classes]
        if len(set(names)) != len(names) or codes.shape != (len(X),):
            raise UsageError(
                f"y should hold one label for each of the {len(X):,} pictures, different ones as text, too"
            )
        dataset = dataset_from_arrays(_upright(X), codes, names)
        folder = Path(tempfile.mkdtemp(prefix="photovision-"))
        weakref.finalize(self, shutil.rmtree, folder, True)
        train(
            dataset,
            folder / "model",
            minutes=self.minutes,
            backbone=self.backbone,
            weights=self.weights,
            size=self.size,
            seed=self.seed,
        )
        self.model_: Recognizer = load(folder / "model")
        self.classes_ = classes
        return self

    def predict_proba(self, X: Pictures) -> Floats:  # noqa: N803
        """float32 (N, C): calibrated probabilities, columns in the order of `classes_`.

        Raises:
            NotFittedError: `fit` was not called.
            UnreadableImage: a picture cannot be decoded.
        """
        check_is_fitted(self)
        probs = np.empty((len(X), len(self.classes_)), np.float32)
        for row, answer in enumerate(self.model_.stream(_upright(X))):
            if isinstance(answer, UnreadableImage):
                raise answer
            probs[row] = answer.probs
        return probs

    def predict(self, X: Pictures) -> np.ndarray:  # noqa: N803
        """(N,): the most probable label of every picture; raises as `predict_proba` does."""
        probs = self.predict_proba(X)
        return np.asarray(self.classes_[probs.argmax(axis=1)])

    def save(self, path: str | Path) -> None:
        """Copy the model to a folder that `photovision.load` opens; raises NotFittedError, UsageError."""
        check_is_fitted(self)
        self.model_.save(path)


def _upright(pictures: Pictures) -> list[Path | Image]:
    """Paths, and RGB views of arrays; raises UsageError for what is neither."""
    return [_picture(picture, f"picture {position}") for position, picture in enumerate(pictures)]


def _picture(picture: str | Path | np.ndarray, name: str) -> Path | Image:
    if isinstance(picture, (str, Path)):
        return Path(picture)
    if isinstance(picture, np.ndarray) and picture.ndim == 2:
        picture = np.broadcast_to(picture[..., None], (*picture.shape, 3))
    check_image(picture, name)
    return picture
