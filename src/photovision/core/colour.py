"""Colour profiles (ICC): a picture in any colour space as a viewer shows it, in sRGB.

Rendering is relative colorimetric with black point compensation, as in common viewers. Profiles that differ from sRGB
by no more than 3 of 255 anywhere, as the many spellings of sRGB itself do, change nothing and cost nothing.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from typing import Any

import numpy as np
from PIL import Image as Pillow

MAX_PROFILE = 4 << 20
"""Bytes of a profile; those of printing presses have up to 3 MB."""
_REMEMBERED, _SHORT = 64, 1 << 16
_ALIKE = 3
_SPACES = {"RGB ": ("RGB",), "GRAY": ("L",), "CMYK": ("CMYK",)}
_UNUSABLE = "its colour profile cannot be used ({}); its colours are shown as sRGB"

_transforms: OrderedDict[tuple[bytes, str], Any] = OrderedDict()
_lock = threading.Lock()


def to_srgb(picture: Pillow.Image, profile: bytes | None) -> tuple[Pillow.Image, str]:
    """A picture of mode "RGB", "L", "CMYK" or "LAB" in sRGB, mode "RGB".

    Returns:
        the picture, which may be changed in place; and why its profile was left out, "" where it was not.
    """
    if profile is None and picture.mode != "LAB":
        return _as_rgb(picture), ""
    transform: Any = _transform(profile or b"", picture.mode)
    if transform == "RGB":  # a grey picture with a profile of colours
        picture = picture.convert("RGB")
        transform = _transform(profile or b"", "RGB")
    if isinstance(transform, str):
        return _as_rgb(picture), transform and _UNUSABLE.format(transform)
    from PIL import ImageCms

    if picture.mode == "RGB":
        ImageCms.applyTransform(picture, transform, inPlace=True)
        return picture, ""
    changed = ImageCms.applyTransform(picture, transform)
    return (changed if changed is not None else picture), ""


def _as_rgb(picture: Pillow.Image) -> Pillow.Image:
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _transform(profile: bytes, mode: str) -> Any:
    """A transform of lcms; "" where nothing changes, "RGB" where the picture is to become RGB first, or a reason."""
    key = (profile if len(profile) <= _SHORT else hashlib.sha256(profile).digest(), mode)
    with _lock:  # building one takes milliseconds, once for each profile
        if key in _transforms:
            _transforms.move_to_end(key)
            return _transforms[key]
        _transforms[key] = found = _built(profile, mode)
        if len(_transforms) > _REMEMBERED:
            _transforms.popitem(last=False)
        return found


def _built(profile: bytes, mode: str) -> Any:
    from PIL import ImageCms

    if len(profile) > MAX_PROFILE:
        return f"it has more than {MAX_PROFILE:,} bytes"
    try:
        source: Any = ImageCms.createProfile("LAB") if mode == "LAB" and not profile else _opened(profile)
        space = "LAB" if mode == "LAB" else source.profile.xcolor_space
        if mode == "L" and space == "RGB ":
            return "RGB"
        if mode != "LAB" and mode not in _SPACES.get(space, ()):
            return f"it is for {space.strip() or 'other'} pictures, this one is {mode}"
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return "" if mode in ("RGB", "L") and _changes_nothing(transform, mode) else transform
    except Exception:  # hostile profiles make parsers raise anything
        return "it is damaged"


def _opened(profile: bytes) -> Any:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _changes_nothing(transform: Any, mode: str) -> bool:
    from PIL import ImageCms

    steps = np.linspace(0, 255, 256 if mode == "L" else 17).astype(np.uint8)
    if mode == "L":
        probe = steps[None]
        expected = probe[..., None].repeat(3, 2)
    else:
        probe = expected = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(17, -1, 3)
    after = ImageCms.applyTransform(Pillow.fromarray(probe), transform)
    return int(np.abs(np.asarray(after).astype(int) - expected).max()) <= _ALIKE
