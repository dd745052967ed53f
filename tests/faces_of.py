"""Faces for tests: the networks where they are, and pictures of people that may be used."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage import data

from photovision.models.weights import locate

needs_weights = pytest.mark.skipif(
    any(locate(name) is None for name in ("yunet", "sface")), reason="needs 'photovision weights get sface'"
)


def astronaut() -> np.ndarray:
    """One face: NASA's portrait of Eileen Collins, in the public domain."""
    return np.asarray(data.astronaut(), np.uint8)


def london(shared_data: Path, people: int) -> dict[str, list[Path]]:
    """Person -> the neutral and the smiling picture, of so many of the London Set."""
    folder = shared_data / "london-faces"
    if not folder.is_dir():
        pytest.skip("needs shared/data/london-faces")
    found: dict[str, list[Path]] = {}
    with (folder / "metadata.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["person"], []).append(folder / row["file_name"])
    return dict(sorted(found.items())[:people])


def enlarged(image: np.ndarray, times: float) -> np.ndarray:
    """A picture in another size."""
    shown = Pillow.fromarray(image)
    return np.asarray(shown.resize((round(shown.width * times), round(shown.height * times))), np.uint8)
