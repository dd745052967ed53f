"""Preparation: one way in which the pictures of a foreign graph may have been prepared when it was trained.

Every way is an affine map of each colour, in one of two orders, of a part of the picture. Values on the scale 0 to 255
and -1 to 1 are that, too: a network that takes 0 to 255 has a mean of 0 and a deviation of 1/255 on the scale 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from photovision.core.errors import UsageError
from photovision.core.preprocess import Fit, Preprocess

Triple = tuple[float, float, float]
IMAGENET: tuple[Triple, Triple] = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BYTE = (1 / 255,) * 3
NORMALISATIONS: dict[str, tuple[Triple, Triple]] = {
    "ImageNet's mean and deviation": IMAGENET,
    "0 to 1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "-1 to 1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "0 to 255": ((0.0, 0.0, 0.0), _BYTE),
    "0 to 255 less ImageNet's mean": (IMAGENET[0], _BYTE),
}
"""What people call it -> mean and deviation of RGB on the scale 0 to 1; the commonest first."""
RANGES = {"0-1": ("0 to 1",), "-1-1": ("-1 to 1",), "0-255": ("0 to 255", "0 to 255 less ImageNet's mean")}
"""What the option "range" may say -> the normalisations that it allows."""


@dataclass(frozen=True)
class Preparation:
    """How pictures become the input of a foreign graph.

    Attributes:
        preprocess: size, part of the picture, and the mean and deviation of RGB on the scale 0 to 1.
        channels: order of the colours that the network takes: "rgb" or "bgr".
    """

    preprocess: Preprocess
    channels: str = "rgb"

    @property
    def normalisation(self) -> str:
        """Its mean and deviation, as people call them."""
        own = self.preprocess.mean, self.preprocess.std
        for name, value in NORMALISATIONS.items():
            if all(
                abs(a - b) < 1e-4
                for one, other in zip(own, value, strict=True)
                for a, b in zip(one, other, strict=True)
            ):
                return name
        mean, std = (", ".join(f"{value:.3g}" for value in values) for values in own)
        return f"mean {mean} and deviation {std}"

    @property
    def view(self) -> str:
        """The part of the picture that is shown, as people call it."""
        one = self.preprocess
        what = {"squash": "the whole picture, squashed", "crop": "the middle", "pad": "the whole picture, padded"}[
            one.fit
        ]
        return what if one.crop == 1 else f"{what}, {one.crop:.1%} of it"

    def __str__(self) -> str:
        height, width = self.preprocess.size
        size = f"{height} x {width}"
        return f"{self.channels.upper()}, {self.normalisation}, {size}, {self.view}, {self.preprocess.interpolation}"

    def aspect(self, name: str) -> object:
        """One of ASPECTS of it."""
        one = self.preprocess
        return {
            "channels": self.channels,
            "normalisation": self.normalisation,
            "view": (one.fit, one.crop),
            "size": one.size,
            "interpolation": one.interpolation,
        }[name]


ASPECTS = {
    "channels": "--channels rgb or bgr",
    "normalisation": "--mean and --std, or --range 0-1, -1-1 or 0-255",
    "view": "--fit squash, crop or pad, and --crop",
    "size": "--size",
    "interpolation": "",
}
"""What a preparation is made of -> the options that state it."""


@dataclass(frozen=True)
class StatedPreparation:
    """What people state of the preparation; None, or "", where they leave it open.

    Attributes:
        size: (H, W) in pixels, or one side of a square.
        mean, std: of RGB, on the scale of the range: 0 to 255 where they or the range say so.
        channels: "rgb" or "bgr".
        range: "0-1", "-1-1" or "0-255".
        fit: "squash", "crop" or "pad".
        crop: share of the shown window's sides that is kept.

    Raises:
        UsageError: a value that makes no sense, or a mean without a deviation.
    """

    size: tuple[int, int] | int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    channels: str | None = None
    range: str | None = None
    fit: Fit | None = None
    crop: float | None = None

    def __post_init__(self) -> None:
        if self.channels not in (None, "rgb", "bgr"):
            raise UsageError(f"channels should be rgb or bgr, got '{self.channels}'")
        if self.range not in (None, *RANGES):
            raise UsageError(f"range should be {', '.join(RANGES)}, got '{self.range}'")
        if (self.mean is None) != (self.std is None):
            raise UsageError("mean and std belong together: give both, three numbers each, in the order R, G, B")
        if self.range == "-1-1" and self.mean is not None:
            raise UsageError("a range of -1-1 is a mean and a std already: leave out one of them")
        for values in (self.mean, self.std):
            if values is not None and len(values) != 3:
                raise UsageError(f"mean and std should have 3 numbers, got {len(values)}")
        if self.std is not None and min(self.std) <= 0:
            raise UsageError(f"std should be above 0, got {tuple(self.std)}")

    @property
    def sides(self) -> tuple[int, int] | None:
        """(H, W)."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def normalisations(self) -> list[tuple[Triple, Triple]]:
        """Mean and deviation on the scale 0 to 1 that may be meant; one where they are stated."""
        if self.mean is not None and self.std is not None:
            bytes_ = self.range == "0-255" or max(self.mean) > 2 or max(self.std) > 5
            scale = 255.0 if bytes_ else 1.0
            return [(_triple(self.mean, scale), _triple(self.std, scale))]
        names = NORMALISATIONS if self.range is None else RANGES[self.range]
        return [NORMALISATIONS[name] for name in names]

    def states(self, aspect: str) -> bool:
        """Whether it settles one of ASPECTS."""
        return {
            "channels": self.channels is not None,
            "normalisation": len(self.normalisations()) == 1,
            "view": self.fit is not None,
            "size": self.size is not None,
            "interpolation": False,
        }[aspect]

    def onto(self, found: Preparation) -> Preparation:
        """A preparation with what is stated here in its place."""
        changes: dict[str, object] = {}
        if self.sides is not None:
            changes["size"] = self.sides
        if self.states("normalisation"):
            ((changes["mean"], changes["std"]),) = self.normalisations()
        if self.fit is not None:
            changes["fit"] = self.fit
        if self.fit is not None or self.crop is not None:
            changes["crop"] = 1.0 if self.crop is None else self.crop
        preprocess = replace(found.preprocess, **changes)  # type: ignore[arg-type]
        return Preparation(preprocess, self.channels or found.channels)


def _triple(values: Sequence[float], scale: float) -> Triple:
    first, second, third = (float(value) / scale for value in values)
    return first, second, third
