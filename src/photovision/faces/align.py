"""Alignment: a face turned, scaled and moved so that its five points lie where the recogniser expects them.

The least-squares similarity without reflection (Umeyama 1991), which in the plane is a linear regression of complex
numbers: w = a z + b.
"""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow

from photovision.core.types import Floats, Image

SIDE = 112
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where eyes, nose and corners of the mouth lie in an aligned face, in pixels (ArcFace, Deng et al. 2019)."""
VERSION = "similarity-5-112"
"""Names what is done here; embeddings of another alignment cannot be compared."""


def aligned(image: Image, points: Floats) -> Image:
    """The face at five points, (5, 2) x and y, of an upright picture: uint8 RGB (112, 112, 3), black beyond its border.

    A face that is larger is made smaller by averaging first, so that nothing of it flickers.
    """
    scale, shift = similarity(points)
    back = 1 / scale  # from a pixel of the aligned face to the picture: z = (w - b) / a
    shown, reduced = Pillow.fromarray(np.ascontiguousarray(image)), max(1, int(abs(back)))
    left, top = 0, 0
    if reduced > 1:
        corners = (np.array([0, SIDE, SIDE * 1j, SIDE + SIDE * 1j]) - shift) * back
        x1, x2, y1, y2 = corners.real.min(), corners.real.max(), corners.imag.min(), corners.imag.max()
        left, top = max(0, int(x1) - reduced), max(0, int(y1) - reduced)
        right, bottom = min(image.shape[1], int(x2) + 2 * reduced), min(image.shape[0], int(y2) + 2 * reduced)
        if right - left < 1 or bottom - top < 1:
            return np.zeros((SIDE, SIDE, 3), np.uint8)
        shown = shown.crop((left, top, right, bottom)).reduce(reduced)
    slope, start = back / reduced, (-shift * back - complex(left, top)) / reduced
    numbers = (slope.real, -slope.imag, start.real, slope.imag, slope.real, start.imag)
    warped = shown.transform((SIDE, SIDE), Pillow.Transform.AFFINE, numbers, Pillow.Resampling.BILINEAR)
    return np.asarray(warped, np.uint8)


def similarity(points: Floats) -> tuple[complex, complex]:
    """(a, b) so that a z + b is nearest to the template, z the points (5, 2) as complex numbers.

    Example:
        >>> a, b = similarity(np.float32(2 * TEMPLATE + 10))
        >>> round(a.real, 4), round(abs(a.imag), 4), round(b.real, 3)
        (0.5, 0.0, -5.0)
    """
    z, w = (each[:, 0] + 1j * each[:, 1] for each in (np.asarray(points, np.float64), TEMPLATE))
    from_middle = z - z.mean()
    spread = float((np.abs(from_middle) ** 2).sum())
    scale = complex((from_middle.conj() * (w - w.mean())).sum() / spread) if spread > 0 else complex(1)
    scale = scale if abs(scale) > 1e-6 else complex(1e-6)
    return scale, complex(w.mean() - scale * z.mean())
