"""Thumbnails: small pictures for reports, as JPEG without metadata."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import UnreadableImage
from photovision.core.image import open_sample
from photovision.core.report import Figure
from photovision.core.types import Image, Sample

THUMBNAIL = 176


def picture_grid(title: str, samples: Sequence[Sample], captions: Sequence[str], note: str) -> Figure | None:
    """Thumbnails with captions; None where there is nothing to show."""
    pictures = []
    for sample, caption in zip(samples, captions, strict=True):
        content = thumbnail(sample)
        if content is not None:
            pictures.append((content, caption))
    return Figure(title, pictures=tuple(pictures), note=note) if pictures else None


def thumbnail(sample: Sample, side: int = THUMBNAIL) -> bytes | None:
    """A JPEG of at most side x side pixels without metadata; None where the picture cannot be read any more."""
    try:
        picture = open_sample(sample, (side, side))
    except UnreadableImage:
        return None
    picture.thumbnail((side, side), Pillow.Resampling.LANCZOS)
    return jpeg(np.asarray(picture))  # a fresh picture carries no EXIF


def jpeg(image: Image, quality: int = 80, comment: bytes = b"") -> bytes:
    """An uint8 RGB picture (H, W, 3) as a JPEG file without metadata but for the comment."""
    buffer = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(image)).save(buffer, "JPEG", quality=quality, comment=comment)
    return buffer.getvalue()
