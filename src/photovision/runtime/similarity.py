"""Similarity: how alike a picture is to the nearest training picture, and what accuracy to expect from it.

A figure measured on pictures that stand beside the training pictures says little about pictures of another place. What
travels is accuracy as a function of similarity and confidence, learned from held-out pictures of several degrees of
similarity (`photovision.trust.similarity`). It lies in bundle.json and works without labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from photovision.core.errors import ModelError
from photovision.core.types import Floats
from photovision.runtime.origin import origin_of

NAME = "accuracy_by_similarity"
"""Where bundle.json holds it."""
VERSION = 1
_CLIP = 1e-4
_CHUNK = 4096
_MOST = 20  # steps of similarity from -1 to 1


@dataclass(frozen=True, eq=False)
class SimilarityIndex:
    """How alike pictures are to the nearest training picture: the cosine of centred embeddings.

    Embeddings of one network share a direction that says nothing of the picture; less their mean, pictures that have
    nothing in common are near 0 (Mu & Viswanath 2018, "All-but-the-top").

    Attributes:
        mean: float32 (D,), of the training embeddings.
        references: float32 (M, D), training embeddings less the mean, of unit norm.
    """

    mean: Floats
    references: Floats

    @classmethod
    def around(cls, embeddings: np.ndarray) -> SimilarityIndex:
        """From embeddings of training pictures, float (M, D); raises ModelError where there are none, or odd ones.

        Example:
            >>> SimilarityIndex.around(np.eye(3)).of(np.eye(3)).round(2)
            array([1., 1., 1.], dtype=float32)
        """
        wide = embeddings.astype(np.float32)
        if not wide.size or not np.isfinite(wide).all():
            raise ModelError("the embeddings of training pictures are damaged: copy or train the model again")
        mean = wide.mean(0)
        return cls(mean, _unit(wide - mean))

    def cosines(self, embeddings: Floats) -> Floats:
        """float32 (N, M), -1 to 1: how alike pictures with embeddings (N, D) are to every training picture."""
        return np.asarray(_unit(np.asarray(embeddings, np.float32) - self.mean) @ self.references.T)

    def of(self, embeddings: Floats) -> Floats:
        """float32 (N,), -1 to 1: how alike pictures with embeddings (N, D) are to their nearest training picture.

        Raises:
            ModelError: the embeddings are of another network.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != len(self.mean):
            raise ModelError(
                f"the embeddings remembered have {len(self.mean)} numbers, those of the graph {embeddings.shape[-1]}:"
                " copy or train the model again"
            )
        found = np.empty(len(embeddings), np.float32)
        for start in range(0, len(embeddings), _CHUNK):
            part = slice(start, start + _CHUNK)
            found[part] = self.cosines(embeddings[part]).max(1)
        return np.clip(found, -1, 1)


class SimilarityBin(NamedTuple):
    """What was measured on held-out pictures of one degree of similarity.

    Attributes:
        start, end: from which similarity up to which.
        n: held-out pictures.
        value: their mean score, 0 to 1, with bounds `low` and `high` of its 95% interval.
        median: their median similarity.
    """

    start: float
    end: float
    n: int
    value: float
    low: float
    high: float
    median: float


class EstimateReliability(NamedTuple):
    """How far estimates were from the truth for degrees of similarity that were left out when they were fitted.

    Attributes:
        error: mean absolute error, as a share: 0.02 is two points.
        spread: standard deviation of the error beyond what chance does on so few pictures, as a share.
        folds: degrees that were left out in turn.
    """

    error: float
    spread: float
    folds: int


@dataclass(frozen=True, eq=False)
class ExpectedAccuracy:
    """The score to expect of a picture, from its similarity and its confidence: logistic, rising in both.

    For tasks that score a picture between 0 and 1 it is a fractional logistic regression (Papke & Wooldridge 1996).

    Attributes:
        coefficients: float32 (3,): intercept, weight of the logit of confidence, weight of similarity, both from 0 on.
        resampled: float32 (B, 3), coefficients fitted to resampled components.
        curve: what was measured, by similarity, ascending.
        n: held-out pictures that it was fitted to.
        score: what the score of a picture is called, such as "accuracy".
        reliability: of such estimates; None where there were too few pictures to tell.
        usual: median similarity of test pictures, on which the figures of the bundle were measured; None if unknown.
        changed: how many of the n are others of them, made darker, blurred or noisy, to see less similar ones.
    """

    coefficients: Floats
    resampled: Floats
    curve: tuple[SimilarityBin, ...]
    n: int
    score: str = "accuracy"
    reliability: EstimateReliability | None = None
    usual: float | None = None
    changed: int = 0

    def of(self, confidence: Floats, similarity: Floats) -> Floats:
        """float32 (N,), 0 to 1: the score to expect of pictures with a confidence and a similarity, (N,) each."""
        return np.asarray(expit(terms(confidence, similarity) @ self.coefficients), np.float32)

    def draws(self, confidence: Floats, similarity: Floats) -> Floats:
        """float32 (B, N): what the resampled coefficients make of the same pictures."""
        return np.asarray(expit(self.resampled @ terms(confidence, similarity).T), np.float32)

    def band(self, confidence: Floats, similarity: Floats) -> tuple[Floats, Floats]:
        """Bounds of the 95% interval of `of`, float32 (N,) each."""
        low, high = np.quantile(self.draws(confidence, similarity), [0.025, 0.975], axis=0).astype(np.float32)
        return low, high

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "version": VERSION,
            "score": self.score,
            "n": self.n,
            "changed": self.changed,
            "usual": self.usual,
            "coefficients": _short(self.coefficients),
            "resampled": [_short(row) for row in self.resampled],
            "curve": [one._asdict() for one in self.curve],
            "reliability": None if self.reliability is None else self.reliability._asdict(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ExpectedAccuracy:
        """Read what `to_json` wrote, whose kinds `runtime.bundle_schema` has checked; ModelError where it is odd."""
        try:
            coefficients = np.asarray(value["coefficients"], np.float32)
            resampled = np.asarray(value["resampled"], np.float32)
            curve = tuple(
                SimilarityBin(**{name: one[name] for name in SimilarityBin._fields}) for one in value["curve"]
            )
            known, usual = value.get("reliability"), value.get("usual")
            reliability = known and EstimateReliability(**{name: known[name] for name in EstimateReliability._fields})
            if len(curve) > _MOST or len(resampled) > 50 * _MOST:
                raise ValueError("it is longer than any should be")
            if coefficients.shape != (3,) or resampled.ndim != 2 or resampled.shape[1:] != (3,) or not len(resampled):
                raise ValueError("it should have three coefficients")
            if min(coefficients[1:].min(), resampled[:, 1:].min()) < 0:
                raise ValueError("a weight is below 0")
            if reliability and reliability.spread < 0:
                raise ValueError("the spread of estimates is below 0")
            if not str(value["score"]).isprintable():
                raise ValueError("the name of the score has characters that cannot be printed")
            n, changed = int(value["n"]), int(value.get("changed", 0))
            return cls(coefficients, resampled, curve, n, str(value["score"]), reliability, usual, changed)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ModelError(
                f"'{NAME}' in bundle.json is damaged ({error}): copy the model again or train it again"
            ) from None


def read_expected(info: Mapping[str, Any]) -> ExpectedAccuracy | None:
    """From the contents of bundle.json; None where there is none, or where a newer version wrote it.

    Raises:
        ModelError: it is damaged.
    """
    stored = info.get(NAME)
    return ExpectedAccuracy.from_json(stored) if stored and stored["version"] == VERSION and "n" in stored else None


def why_missing(info: Mapping[str, Any]) -> str:
    """Why a bundle has no accuracy by similarity, as a sentence; "" where it has one."""
    stored = info.get(NAME) or {}
    if "n" in stored and stored["version"] == VERSION:
        return ""
    return str(
        stored.get("missing")
        or f"How accuracy falls with similarity to the training pictures is not known: {origin_of(info).no_pictures}."
    )


def terms(confidence: Floats, similarity: Floats) -> np.ndarray:
    """float64 (N, 3): what the coefficients multiply."""
    sure = np.clip(np.asarray(confidence, np.float64), _CLIP, 1 - _CLIP)
    return np.stack([np.ones(len(sure)), np.log(sure / (1 - sure)), np.asarray(similarity, np.float64)], axis=1)


def expit(values: np.ndarray) -> np.ndarray:
    """The logistic function, 0 to 1."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)


def _short(values: Floats) -> list[float]:
    return [float(f"{float(value):.6g}") for value in values]
