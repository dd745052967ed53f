"""Recogniser: from a picture to its faces, each with how well it is shown and an embedding of 128 numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from photovision.core.types import Floats, Image
from photovision.faces.align import VERSION, aligned
from photovision.faces.detect import SURE, Face, FaceDetector
from photovision.faces.quality import FaceQuality, quality_of
from photovision.models.face_graphs import DIMENSIONS, EMBEDDING, SIZES, face_graph
from photovision.models.weights import FACES
from photovision.runtime.session import Prompted, open_session


@dataclass(frozen=True, eq=False)
class FaceEmbedding:
    """A face that can be compared.

    Attributes:
        face: where it is.
        quality: how it is shown.
        vector: float32 (128,), of unit norm; the cosine of two is their score.
    """

    face: Face
    quality: FaceQuality
    vector: Floats


class FaceRecogniser:
    """YuNet and SFace; raises ModelError where their weights are not on this machine.

    Attributes:
        detector: finds the faces.
    """

    def __init__(self) -> None:
        self.detector = FaceDetector()

    @cached_property
    def _session(self) -> Prompted:
        side = SIZES["sface"]
        return open_session(face_graph("sface"), allowed="f32", size=(side, side))

    def faces(self, image: Image, *, least: float = SURE, upright: bool = False) -> list[FaceEmbedding]:
        """The faces of a picture uint8 RGB (H, W, 3), the largest first; `upright` asks whether that one is."""
        found = self.embedded(image, self.detector.find(image, least=least))
        if found and upright:
            lies = self.detector.lies(image, found[0].face)
            found[0] = replace(found[0], quality=replace(found[0].quality, lies=lies))
        return found

    def embedded(self, image: Image, faces: Sequence[Face]) -> list[FaceEmbedding]:
        """Faces of a picture with their embeddings, in their order."""
        if not faces:
            return []
        shown = np.stack([aligned(image, face.points) for face in faces])
        vectors = self.vectors(shown)
        size = (image.shape[0], image.shape[1])
        return [
            FaceEmbedding(face, quality_of(face, one, size), vector)
            for face, one, vector in zip(faces, shown, vectors, strict=True)
        ]

    def vectors(self, shown: Image) -> Floats:
        """float32 (N, 128), of unit norm, for aligned faces uint8 (N, 112, 112, 3)."""
        return unit(self._session.run(shown)[EMBEDDING])


def identity() -> dict[str, str]:
    """What embeddings must have in common to be compared: weights, by their SHA-256, and alignment."""
    return {"detector": FACES["yunet"].sha256, "weights": FACES["sface"].sha256, "alignment": VERSION}


def fingerprint(known: dict[str, Any]) -> str:
    """A short name of an `identity`, for messages."""
    return hashlib.sha256(repr(sorted(known.items())).encode()).hexdigest()[:16]


def unit(vectors: Floats) -> Floats:
    """Vectors, float (N, 128) or (128,), of norm 1."""
    assert vectors.shape[-1] == DIMENSIONS
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float32)
