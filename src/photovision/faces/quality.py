"""Quality: whether a face is shown well enough to be compared, and if not, why.

Small, blurred and turned faces resemble each other more than the people do. The floors were measured on photographs of
102 people that were made smaller and blurred: at those of enrolment the likeness to another picture of the same person
is nearly what it is without, at those of comparison it has begun to fall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photovision.core.types import Floats, Image
from photovision.faces.align import similarity
from photovision.faces.detect import Face


@dataclass(frozen=True)
class FaceQuality:
    """How a face is shown.

    Attributes:
        height: pixels of the picture between the middle of the eyes and that of the mouth.
        sharpness: variance of the Laplacian of the aligned face.
        turned: how far the tip of the nose lies from the middle of the eyes, as a share of their distance.
        raised: where the tip of the nose lies between the eyes (0) and the mouth (1).
        light: mean grey value, 0 to 255; contrast: its standard deviation.
        inside: share of the face's box within the picture.
        lies: whether it stands on its side or its head; looked for where one face is compared (`FaceDetector.lies`).
    """

    height: float
    sharpness: float
    turned: float
    raised: float
    light: float
    contrast: float
    inside: float
    lies: bool = False

    def to_json(self) -> dict[str, float]:
        """JSON-ready."""
        return {name: round(float(getattr(self, name)), 3) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class QualityFloor:
    """The least that a face must offer.

    Attributes:
        height, sharpness, contrast, inside: at least.
        turned: at most, to either side.
        raised, light: at least and at most.
    """

    height: float
    sharpness: float
    contrast: float
    inside: float
    turned: float
    raised: tuple[float, float]
    light: tuple[float, float]

    def reasons(self, quality: FaceQuality) -> list[str]:
        """Why a face is not good enough, a clause each; none where it is."""
        low, high = self.light
        checks = (
            (quality.height < self.height,
             f"the face is too small: {quality.height:.0f} pixels from eyes to mouth, at least {self.height:g} needed"),
            (quality.lies, "the face stands on its side or its head: turn the picture upright"),
            (quality.inside < self.inside, "the border of the picture cuts the face"),
            (quality.sharpness < self.sharpness,
             f"the face is blurred: sharpness {quality.sharpness:.0f}, at least {self.sharpness:g} needed"),
            (abs(quality.turned) > self.turned, "the face is turned to the side"),
            (not self.raised[0] <= quality.raised <= self.raised[1], "the face looks up or down"),
            (quality.light < low or quality.contrast < self.contrast, "the face is too dark, or without contrast"),
            (quality.light > high, "the face is too bright"),
        )  # fmt: skip
        return [why for fails, why in checks if fails]


ENROLMENT = QualityFloor(20, 40, 18, 0.9, 0.35, (0.3, 0.8), (40, 225))
"""For a face that others will be compared with."""
COMPARISON = QualityFloor(9, 8, 10, 0.6, 0.6, (0.1, 1.0), (20, 240))
"""For a face that is compared: below it, no verdict is more than a guess."""


def quality_of(face: Face, shown: Image, size: tuple[int, int]) -> FaceQuality:
    """How a face is shown.

    Args:
        face: in the picture.
        shown: the aligned face, uint8 (112, 112, 3).
        size: (H, W) of the picture.
    """
    points: Floats = face.points
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    grey = shown.astype(np.float64).mean(2)
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    scale, shift = similarity(points)
    upright = scale * (points[:, 0] + 1j * points[:, 1]) + shift
    middle, lips = upright[:2].mean(), upright[3:].mean()
    across = max(1e-6, float(abs(upright[1] - upright[0])))
    down = max(1e-6, float(lips.imag - middle.imag))
    x1, y1, x2, y2 = face.inside(size)
    return FaceQuality(
        float(np.linalg.norm(mouth - eyes)),
        float(laplacian.var()),
        float((upright[2] - middle).real) / across,
        float((upright[2] - middle).imag) / down,
        float(grey.mean()),
        float(grey.std()),
        min(1.0, max(0, x2 - x1) * max(0, y2 - y1) / max(1.0, face.area)),
    )
