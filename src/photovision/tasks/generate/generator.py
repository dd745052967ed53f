"""Generator: an opened bundle that makes images; it runs without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.suggest import did_you_mean
from photovision.core.types import Floats, Image, Ints
from photovision.runtime.model import OnnxModel
from photovision.runtime.session import Prompted
from photovision.tasks.generate.solver import Velocity, between, solve

STEPS, INVERSION_STEPS = 20, 50
MAX_STEPS, MAX_SAMPLES = 1000, 10_000
_BATCH = 64


@dataclass(frozen=True, eq=False)
class GeneratedImages:
    """Images that a generator made.

    Attributes:
        images: uint8 RGB (N, H, W, 3).
        labels: int64 (N,), the class that each was asked to show.
        classes: names of the classes.
    """

    images: Image
    labels: Ints
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def _repr_html_(self) -> str:
        """A grid of the first 64, for notebooks."""
        from base64 import b64encode

        from photovision.core.thumbnail import jpeg
        from photovision.tasks.generate.grid import grid

        shown = b64encode(jpeg(grid(self.images[:64], 4))).decode()
        return f'<img alt="{len(self)} generated images" src="data:image/jpeg;base64,{shown}">'


@dataclass(frozen=True, eq=False)
class Inversion:
    """The noise from which a generator makes an image again.

    Attributes:
        noise: float32 (N, H, W, 3).
        again: uint8 (N, H, W, 3), what the generator makes of it.
        psnr: float (N,), peak signal-to-noise ratio of that beside the image, in dB.
    """

    noise: Floats
    again: Image
    psnr: Floats


class Generator(OnnxModel[Any]):
    """An opened bundle that makes images.

    Example:
        >>> from photovision.tasks.generate.generator import Generator
        >>> Generator.task
        'generate'
    """

    task = "generate"

    @property
    def guidance(self) -> float:
        """How much more than it learned an image is drawn to its class, where nothing else is asked for; 1: not."""
        return float((self.info.get("generation") or {}).get("guidance", 1.0))

    def sample(
        self,
        count: int = 64,
        *,
        label: str | None = None,
        seed: int = 0,
        steps: int = STEPS,
        guidance: float | None = None,
    ) -> GeneratedImages:
        """New images; the same seed makes the same ones on the same machine.

        Args:
            count: how many, 1 to 10,000.
            label: the class that they should show; None takes the classes in turn.
            seed: of the noise that they are made of.
            steps: of Heun's method, two calls of the network each.
            guidance: 1 for images as learned, more for such as are typical of their class; None takes the model's own.

        Raises:
            UsageError: no such class, or a number out of its range.
        """
        _within("count", count, 1, MAX_SAMPLES)
        labels = np.arange(count, dtype=np.int64) % len(self.classes)
        if label is not None:
            labels[:] = self._number(label)
        rng, parts = np.random.default_rng(seed), []
        for start in range(0, count, _BATCH):
            some = labels[start : start + _BATCH]
            noise = rng.standard_normal((len(some), *self.preprocess.size, 3)).astype(np.float32)
            parts.append(self.image_of(noise, some, steps, guidance))
        return GeneratedImages(np.concatenate(parts), labels, self.classes)

    def image_of(self, noise: Floats, labels: Ints, steps: int = STEPS, guidance: float | None = None) -> Image:
        """The images uint8 (N, H, W, 3) that noise float32 (N, H, W, 3) becomes."""
        _within("steps", steps, 1, MAX_STEPS)
        strength = self.guidance if guidance is None else guidance
        _within("guidance", strength, 0, 20)
        return _pixels(solve(self._velocity(labels, strength), noise, steps))

    def invert(self, images: Image, steps: int = INVERSION_STEPS) -> Inversion:
        """The noise of images, found by going backwards, of no class and without guidance.

        Args:
            images: uint8 RGB (N, H, W, 3) of any size; they are brought to the model's own.
            steps: of Heun's method, there and back.
        """
        _within("steps", steps, 1, MAX_STEPS)
        shown = np.stack([self.preprocess.apply(image) for image in images])
        labels = np.full(len(shown), len(self.classes), np.int64)
        noise = solve(self._velocity(labels, 1.0), _values(shown), steps, to_noise=True)
        again = _pixels(solve(self._velocity(labels, 1.0), noise, steps))
        error = np.square(again.astype(np.float64) - shown).mean((1, 2, 3))
        return Inversion(noise, again, np.asarray(10 * np.log10(255**2 / np.maximum(error, 1e-10)), np.float32))

    def interpolate(self, first: Image, second: Image, count: int = 8, steps: int = INVERSION_STEPS) -> Image:
        """Images on the way from one to another, both ends among them, uint8 (count, H, W, 3).

        Args:
            first, second: uint8 RGB (H, W, 3).
            count: how many, 2 or more.
            steps: of Heun's method.
        """
        _within("count", count, 2, MAX_SAMPLES)
        _within("steps", steps, 1, MAX_STEPS)
        ends = [self.invert(image[None], steps).noise[0] for image in (first, second)]
        noise = np.stack([between(ends[0], ends[1], share) for share in np.linspace(0, 1, count).tolist()])
        labels = np.full(count, len(self.classes), np.int64)
        return _pixels(solve(self._velocity(labels, 1.0), noise, steps))

    def predict(self, images: Any) -> NoReturn:
        """Refused: a generator makes images, and tells nothing about any."""
        raise UsageError(f"{self.bundle.path} is a generator, which makes images: use 'photovision sample'")

    def results(self, sources: Any, *, batch_size: int | None = None) -> Iterator[Any]:
        """Refused, as `predict`."""
        self.predict(sources)

    def with_outputs(self, sources: Any | Iterable[Any]) -> Iterator[Any]:
        """Refused, as `predict`."""
        self.predict(sources)

    def _number(self, label: str) -> int:
        if label not in self.classes:
            raise UsageError(f"the generator knows no class '{label}'{did_you_mean(label, self.classes)}")
        return self.classes.index(label)

    def _velocity(self, labels: Ints, guidance: float) -> Velocity:
        """Of images of some classes; with guidance away from that of any class, towards that of their own."""
        session, anyone = cast("Prompted", self.session), np.full_like(labels, len(self.classes))

        def told(images: Floats, time: float, label: Ints) -> Floats:
            moments = np.full(len(images), time, np.float32)
            found = session.feed({"noisy": images, "time": moments, "label": label})
            return np.asarray(found["velocity"], np.float32)

        def guided(images: Floats, time: float) -> Floats:
            own = told(images, time, labels)
            if guidance == 1:
                return own
            general = told(images, time, anyone)
            return np.asarray(general + np.float32(guidance) * (own - general), np.float32)

        return guided


def _values(images: Image) -> Floats:
    return np.asarray(images, np.float32) / 127.5 - 1


def _pixels(values: Floats) -> Image:
    return np.asarray(np.clip(np.rint((values + 1) * 127.5), 0, 255), np.uint8)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name} should be from {low:,} to {high:,}, got {value}")
