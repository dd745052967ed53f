"""`sample`, `invert`, `interpolate` from Python, for a generator or its folder."""

from __future__ import annotations

from pathlib import Path

from photovision.core.inputs import Given, as_source
from photovision.core.types import Image
from photovision.engine.load import opened
from photovision.tasks.generate.generator import INVERSION_STEPS, STEPS, GeneratedImages, Generator, Inversion


def sample(
    generator: Generator | str | Path,
    count: int = 64,
    *,
    label: str | None = None,
    seed: int = 0,
    steps: int = STEPS,
    guidance: float | None = None,
) -> GeneratedImages:
    """New images of a generator; arguments and errors as of `Generator.sample`.

    Raises UsageError for a model of another task.
    """
    model: Generator = opened(generator, "sample")
    return model.sample(count, label=label, seed=seed, steps=steps, guidance=guidance)


def invert(generator: Generator | str | Path, picture: Given, *, steps: int = INVERSION_STEPS) -> Inversion:
    """The noise that a picture is made of, and the picture made of it again.

    Args:
        generator: opened, or its folder.
        picture: a file, its bytes, or an array, uint8 RGB (H, W, 3).
        steps: of the solver.
    """
    model: Generator = opened(generator, "invert", "sample")
    return model.invert(_shown(model, picture)[None], steps)


def interpolate(
    generator: Generator | str | Path, first: Given, second: Given, count: int = 8, *, steps: int = INVERSION_STEPS
) -> Image:
    """Images on the way from one picture to another, both ends among them, uint8 (count, H, W, 3)."""
    model: Generator = opened(generator, "interpolate", "sample")
    return model.interpolate(_shown(model, first), _shown(model, second), count, steps)


def _shown(model: Generator, picture: Given) -> Image:
    return model.input_of(as_source(picture))[0]
