"""The one preprocessing: from a picture file to the pixels that a network sees.

Training-time validation, prediction and serving all call `Preprocess.load` or `Preprocess.apply`; normalisation happens
inside the exported graph, from the same `mean` and `std`. The hash of the description travels in every bundle.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import ModelError, UsageError
from photovision.core.image import MAX_PIXELS, decode, to_array
from photovision.core.image_cost import DecodeCost
from photovision.core.types import Floats, Image, Sample, check_image
from photovision.core.value_range import ValueRange, ValueRanges
from photovision.core.window import Window, clipped, to_view, whole

Fit = Literal["squash", "crop", "pad"]
GREY = 114
"""The level of what is added around a picture that is padded, as detectors of the YOLO families have it."""
_FILTERS = {"bilinear": Pillow.Resampling.BILINEAR, "bicubic": Pillow.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes the input of a network.

    Attributes:
        size: (H, W) in pixels of the network's input.
        fit: "squash" shows the whole picture, changing its proportions (a defect in a corner stays visible);
            "crop" keeps proportions and shows the largest centred window of the right shape; "pad" keeps them, too, and
            shows the whole picture in the middle of grey.
        crop: share of the shown window's sides that is kept, 0 to 1 (ImageNet habit: 0.875; 1.0 keeps all).
        interpolation: "bilinear" or "bicubic", both with antialiasing (Pillow's filters).
        mean: of RGB, on the scale 0 to 1; subtracted inside the network's graph.
        std: of RGB, on the scale 0 to 1; divided by inside the network's graph.
        value_ranges: what is black and what is white in pictures of more than 8 bits, as measured over the pictures
            that the model learned from (see `core.value_range`); () where these had 8 bits.

    Example:
        >>> Preprocess((224, 224)).apply(np.zeros((30, 40, 3), np.uint8)).shape
        (224, 224, 3)
    """

    size: tuple[int, int]
    fit: Fit = "squash"
    crop: float = 1.0
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    value_ranges: ValueRanges = ()

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not all(1 <= side <= 8192 for side in self.size):
            raise UsageError(f"size should be (H, W), each 1 to 8192, got {self.size}")
        if self.fit not in get_args(Fit) or self.interpolation not in _FILTERS or not 0 < self.crop <= 1:
            raise UsageError(
                "expected fit 'squash', 'crop' or 'pad', interpolation 'bilinear' or 'bicubic', crop above 0 up to 1,"
                f" got {self.fit!r}, {self.interpolation!r}, {self.crop!r}"
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise UsageError(f"mean and std should have 3 values, std above 0, got {self.mean} and {self.std}")

    def load(self, source: str | Path | bytes, most: int = MAX_PIXELS, cost: DecodeCost | None = None) -> Image:
        """Decode a picture of up to `most` pixels to `size`: uint8 RGB (H, W, 3). Raises UnreadableImage.

        `cost` is the result of `image_cost.estimate_cost`, where that is known already.
        """
        return self._resize(self.decode(source, self.enough, most, cost))

    @property
    def enough(self) -> tuple[int, int]:
        """(H, W) of a picture that keeps enough detail for the antialiasing filter to work on: twice the size."""
        return 2 * self.size[0], 2 * self.size[1]

    def decode(
        self,
        source: str | Path | bytes | Image,
        least: tuple[int, int] | None = None,
        max_pixels: int = MAX_PIXELS,
        cost: DecodeCost | None = None,
    ) -> Pillow.Image:
        """The whole upright RGB picture as this model's pictures are to be shown; raises UnreadableImage.

        Args:
            source: a picture file, its bytes, or pixels, uint8 RGB (H, W, 3), which stay as they are.
            least: (H, W) that is enough, see `core.image.decode`.
            max_pixels: pixels that a file may have.
            cost: the result of `image_cost.estimate_cost`, where that is known already.
        """
        if isinstance(source, np.ndarray):
            return Pillow.fromarray(source)
        return decode(source, least, max_pixels, self.value_ranges, cost)

    def open(self, sample: Sample, least: tuple[int, int] | None = None) -> Pillow.Image:
        """The whole upright RGB picture of a sample, by the model's ranges of values, else by those of its data set."""
        if isinstance(sample.image, np.ndarray):
            return Pillow.fromarray(sample.image)
        return decode(sample.image, least, ranges=self.value_ranges or sample.ranges)

    def apply(self, image: Image) -> Image:
        """Bring a uint8 RGB array (H, W, 3) to `size`: uint8 RGB (H, W, 3)."""
        check_image(image, "image")
        return self._resize(Pillow.fromarray(image))

    def window(self, width: int, height: int) -> Window:
        """The part of an upright picture that is shown: (left, top, right, bottom) in its pixels.

        It reaches beyond the picture where this is padded.
        """
        shown_w, shown_h = float(width), float(height)
        if self.fit != "squash":
            nearest = min if self.fit == "crop" else max
            scale = nearest(width / self.size[1], height / self.size[0])
            shown_w, shown_h = self.size[1] * scale, self.size[0] * scale
        shown_w, shown_h = shown_w * self.crop, shown_h * self.crop
        left, top = (width - shown_w) / 2, (height - shown_h) / 2
        return left, top, left + shown_w, top + shown_h

    def resize(self, picture: Pillow.Image, box: Window) -> Image:
        """One fused crop and resize of `box`, with grey where it reaches beyond the picture: uint8 RGB (H, W, 3)."""
        height, width = self.size
        if picture.size == (width, height) and tuple(box) == whole(self.size):
            return to_array(picture)
        around = whole((picture.height, picture.width))
        if box[0] < around[0] or box[1] < around[1] or box[2] > around[2] or box[3] > around[3]:
            return self._padded(picture, box, around)
        return to_array(picture.resize((width, height), _FILTERS[self.interpolation], box=box))

    def _padded(self, picture: Pillow.Image, box: Window, around: Window) -> Image:
        inside = clipped(box, around)
        x1, y1, x2, y2 = (round(side) for side in to_view(inside, box, self.size).tolist())
        out = Pillow.new("RGB", self.size[::-1], (GREY,) * 3)
        size = max(1, x2 - x1), max(1, y2 - y1)
        out.paste(picture.resize(size, _FILTERS[self.interpolation], box=tuple(inside.tolist())), (x1, y1))
        return to_array(out)

    def _resize(self, picture: Pillow.Image) -> Image:
        return self.resize(picture, self.window(*picture.size))

    @property
    def hash(self) -> str:
        """The first 16 hex digits of the SHA-256 of this description."""
        return hashlib.sha256(json.dumps(self._fields(), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready description, with its hash."""
        return {**self._fields(), "hash": self.hash}

    def _fields(self) -> dict[str, Any]:
        """All fields; without ranges of values where there are none, as before there were any."""
        return {name: value for name, value in asdict(self).items() if name != "value_ranges" or value}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Preprocess:
        """Read what `to_json` wrote; raises ModelError where the hash does not fit."""
        try:
            plain = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items()}
            fields: dict[str, Any] = {name: v for name, v in plain.items() if name != "hash"}
            fields["value_ranges"] = tuple(ValueRange(**one) for one in fields.get("value_ranges", ()))
            preprocess = cls(**fields)
        except (TypeError, ValueError, AttributeError, UsageError) as error:
            raise ModelError(f"the preprocessing in the bundle is not understood: {str(error)[:300]}") from None
        if value.get("hash") != preprocess.hash:
            raise ModelError("the preprocessing in the bundle was changed by hand: its hash does not fit; train again")
        return preprocess

    def normalise(self, image: Image) -> Floats:
        """What the graph does to a picture at `size`: float32 (3, H, W), (image / 255 - mean) / std."""
        scale = np.float32(1) / (np.float32(255) * np.asarray(self.std, np.float32))
        shift = np.asarray(self.mean, np.float32) / np.asarray(self.std, np.float32)
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        out: Floats = np.multiply(planes, scale[:, None, None], dtype=np.float32)
        return np.subtract(out, shift[:, None, None], out=out)
