"""Corruptions: what happens to pictures outside, at five severities, each one determined by its seed.

They follow the idea of ImageNet-C (Hendrycks & Dietterich 2019), implemented independently: all lengths are shares of
the picture's size, so that a severity means the same at 28 and at 512 pixels, and the dice do not depend on the
severity, so that severity 3 shows the scene of severity 1, only worse. Names and severities are this project's own:
figures are not comparable with published ones.

A corruption is a function (image uint8 (H, W, 3), severity 1 to 5, generator) -> uint8 (H, W, 3). To add one, write the
function and its line in the table below; another package adds one through the entry point `photovision.corruptions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.registry import Registry
from photovision.core.suggest import did_you_mean
from photovision.core.types import Image, check_image

SEVERITIES = (1, 2, 3, 4, 5)

CORRUPTIONS = Registry(
    "corruption",
    {
        "night": "photovision.data.corruptions.light:night",
        "rain": "photovision.data.corruptions.weather:rain",
        "fog": "photovision.data.corruptions.weather:fog",
        "snow": "photovision.data.corruptions.weather:snow",
        "glare": "photovision.data.corruptions.light:glare",
        "motion-blur": "photovision.data.corruptions.blur:motion_blur",
        "defocus-blur": "photovision.data.corruptions.blur:defocus_blur",
        "noise": "photovision.data.corruptions.digital:noise",
        "jpeg": "photovision.data.corruptions.digital:jpeg",
        "occlusion": "photovision.data.corruptions.geometry:occlusion",
        "contrast": "photovision.data.corruptions.light:contrast",
        "scale": "photovision.data.corruptions.geometry:scale",
        "rotation": "photovision.data.corruptions.geometry:rotation",
    },
    "photovision.corruptions",
)

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "weather": ("night", "rain", "fog", "snow", "glare"),
    "blur": ("motion-blur", "defocus-blur"),
    "noise": ("noise",),
    "digital": ("jpeg", "contrast"),
    "geometry": ("occlusion", "scale", "rotation"),
}
"""Family -> its corruptions; corruptions that other packages add belong to no family."""

PLACES: Mapping[str, tuple[str, ...]] = {
    "outdoor": tuple(name for members in FAMILIES.values() for name in members),
    "indoor": tuple(name for members in FAMILIES.values() for name in members if name not in ("rain", "fog", "snow")),
    "line": ("glare", *FAMILIES["blur"], *FAMILIES["noise"], *FAMILIES["digital"], *FAMILIES["geometry"]),
    "microscope": ("defocus-blur", *FAMILIES["noise"], *FAMILIES["digital"], "scale", "rotation"),
    "scanner": (*FAMILIES["noise"], *FAMILIES["digital"], "scale", "rotation"),
}
"""Place of use -> what can happen there; "line" is a fixed camera in production, "scanner" also stands for X-rays."""


def corrupt(image: Image, name: str, severity: int, seed: int | Sequence[int] = 0) -> Image:
    """A picture after one corruption; a picture without colour stays without colour.

    Args:
        image: uint8 RGB (H, W, 3), at the size that the network sees.
        name: one of `CORRUPTIONS.names()`.
        severity: 1 (mild, but visible) to 5 (strong, but a person can still tell what is shown).
        seed: one or more integers of at least 0; the same seed gives the same bytes, in any thread.

    Raises:
        UsageError: no corruption of that name, another severity, or no picture.

    Example:
        >>> picture = np.full((32, 32, 3), 128, np.uint8)
        >>> corrupt(picture, "night", 3, seed=1).shape
        (32, 32, 3)
    """
    check_image(image, "corrupt")
    if severity not in SEVERITIES:
        raise UsageError(f"the severity should be 1 to 5, got {severity!r}")
    operation = CORRUPTIONS.load(name)
    worse: Image = operation(image, int(severity), np.random.default_rng(seed))
    if np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 1], image[..., 2]):
        worse = np.repeat(worse[..., 1:2], 3, axis=2)  # a camera without colour adds none
    return np.require(worse, np.uint8, ["C", "W"])


def names(asked: Sequence[str]) -> tuple[str, ...]:
    """Corruptions by their names, those of their families or of a place of use, each once, in the order asked.

    Raises UsageError, naming the nearest, for a name that is neither.

    Example:
        >>> names(["blur", "fog", "motion-blur"])
        ('motion-blur', 'defocus-blur', 'fog')
        >>> names(["scanner"])
        ('noise', 'jpeg', 'contrast', 'scale', 'rotation')
    """
    known = CORRUPTIONS.names()
    found: list[str] = []
    groups = {**FAMILIES, **PLACES}
    for name in asked:
        if name not in groups and name not in known:
            every = [*groups, *known]
            meant = did_you_mean(name, every, f"; there are {', '.join(every)}")
            raise UsageError(f"no condition, family of them or place is called '{name}'{meant}")
        found += groups.get(name, (name,))
    return tuple(dict.fromkeys(found))
