"""Features: what an index computes of every picture in one pass of its own copy of a network, without torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import ModelError, UnreadableImage, UsageError
from photovision.core.files import open_regular
from photovision.core.image import captured, read_header
from photovision.core.preprocess import Preprocess
from photovision.core.types import Floats, Image
from photovision.data.near_duplicates import Signature, signature
from photovision.models.pretrained import bundle_at
from photovision.runtime.bundle import read_bundle
from photovision.runtime.session import Precision, Session, open_session
from photovision.runtime.stream import stream

EMBEDDING = "embedding"
"""The output of a graph that an index is made of."""
READY = "imagenet"
"""The ready model whose features are taken where no model is named."""
ENOUGH = (384, 384)
"""(H, W) of a decoded picture that suffices to compare it with others."""
MAX_BYTES = 1 << 30
BATCH = 32


class PictureFacts(NamedTuple):
    """What is kept of a picture beside its vector.

    Attributes:
        content: SHA-256 of the file's bytes.
        pixels: SHA-256 of its size and its decoded pixels, which its file format and remarks do not change.
        size: (H, W) in pixels of the upright picture.
        looks: its perceptual hash.
        taken: when the camera took it, as the file says; None where it does not.
    """

    content: bytes
    pixels: bytes
    size: tuple[int, int]
    looks: Signature
    taken: str | None


@dataclass(frozen=True, eq=False)
class FeatureModel:
    """A graph that gives an embedding of unit norm for a picture, and how pictures are shown to it.

    Attributes:
        graph: the ONNX file.
        preprocess: shows whole pictures, for an edge may be what is looked for.
        name: of the model.
        precision: arithmetic that passed the model's parity check; None leaves it to the machine.
    """

    graph: Path
    preprocess: Preprocess
    name: str
    precision: Precision | None = None

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the graph, in hex digits."""
        with open_regular(self.graph) as file:
            return hashlib.sha256(file.read()).hexdigest()

    @cached_property
    def session(self) -> Session:
        """The loaded graph; opened at first use."""
        return open_session(self.graph, allowed=self.precision, outputs=(EMBEDDING,), size=self.preprocess.size)

    @property
    def identity(self) -> dict[str, Any]:
        """What queries must have in common with an index, JSON-ready."""
        return {
            "name": self.name,
            "weights": self.sha256,
            "precision": self.precision,
            "preprocess": self.preprocess.to_json(),
        }

    def shown(self, picture: Pillow.Image) -> Image:
        """What the network sees of an RGB picture: uint8 (H, W, 3)."""
        return self.preprocess.resize(picture, self.preprocess.window(*picture.size))

    def embed(self, pictures: Image) -> Floats:
        """float32 (N, D) for uint8 (N, H, W, 3) as `shown` gives them; raises ModelError for a graph without."""
        found = self.session.run(pictures).get(EMBEDDING)
        if found is None or found.ndim != 2:
            raise ModelError(
                f"the model {self.name} gives no embedding, by which pictures are searched: choose a classifier,"
                " detector, segmenter or embedding model that 'photovision train' made, or leave --model out"
            )
        return np.asarray(found, np.float32)

    def stream(self, files: Iterable[Path]) -> Iterator[tuple[Path, PictureFacts | UnreadableImage, Floats]]:
        """Facts and embeddings of picture files in order, with flat memory; those of unreadable ones are empty."""
        items = (_PictureFile(path) for path in files)
        for read in stream(items, self._load, self.session, batch_size=BATCH):
            if read.error is not None or read.item.facts is None:
                yield read.item.path, read.error or UnreadableImage("cannot be read"), np.empty(0, np.float32)
            else:
                yield read.item.path, read.item.facts, np.asarray(read.outputs[EMBEDDING], np.float32)

    def _load(self, item: _PictureFile) -> Image:
        content = content_of(item.path)
        item.facts, picture = self.facts_of(content)
        return self.shown(picture)

    def facts_of(self, content: bytes) -> tuple[PictureFacts, Pillow.Image]:
        """Facts about a picture from its file's bytes, and the decoded picture; raises UnreadableImage."""
        size = read_header(content).size
        picture = decoded(content, self.preprocess)
        pixels = hashlib.sha256(f"{size}".encode() + picture.tobytes()).digest()
        digest = hashlib.sha256(content).digest()
        return PictureFacts(digest, pixels, size, signature(picture), captured(content).time), picture


@dataclass(eq=False, slots=True)
class _PictureFile:
    """A file on its way through the network; its facts are known once it is decoded."""

    path: Path
    facts: PictureFacts | None = None


def decoded(source: bytes | Path, preprocess: Preprocess) -> Pillow.Image:
    """The upright RGB picture, large JPEGs in a smaller version that suffices; raises UnreadableImage."""
    least = max(ENOUGH[0], preprocess.enough[0]), max(ENOUGH[1], preprocess.enough[1])
    return preprocess.decode(source, least)


def content_of(path: Path) -> bytes:
    """The bytes of a picture file; raises UnreadableImage for what is no file of sensible size."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if not 0 < size <= MAX_BYTES:
                raise UnreadableImage(f"{path}: has {size:,} bytes, expected 1 to {MAX_BYTES:,}")
            return file.read()
    except OSError as error:
        raise UnreadableImage(f"{path}: cannot be opened ({error.strerror})") from None


def feature_model(model: str | Path | None) -> FeatureModel:
    """The features of a model, by its folder or name; of the ready one where none is named.

    Raises:
        ModelError: there is no model, or it gives no embedding.
        UsageError: it is a model in memory.
    """
    bundle = read_bundle(bundle_at(READY if model is None else model))
    if bundle.runner is not None:
        raise UsageError("an index needs a model in a folder: save it first")
    whole = replace(bundle.preprocess, fit="squash", crop=1.0)
    precision: Any = bundle.precision
    found = FeatureModel(bundle.graph, whole, READY if model is None else bundle.name, precision)
    found.embed(np.zeros((1, *whole.size, 3), np.uint8))
    return found
