"""Faces for tests: the networks where they are, and pictures of people that may be used."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage import data

from photovision.faces.detect import Face
from photovision.faces.quality import FaceQuality
from photovision.faces.recognise import FaceEmbedding, FaceRecogniser, unit
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


GOOD = FaceQuality(60, 300, 0, 0.55, 120, 50, 1)
SIDE = 40


def planted(*people: int, blurred: bool = False, noise: int = 0) -> np.ndarray:
    """A picture with a square for each person, whose number is its red value; to be read by `PlantedFaces`."""
    picture = np.zeros((SIDE, SIDE * max(1, len(people)), 3), np.uint8)
    for place, number in enumerate(people):
        picture[4:36, place * SIDE + 4 : (place + 1) * SIDE - 4] = number, 255 * (not blurred), noise
    return picture


class PlantedFaces(FaceRecogniser):
    """Recognises squares of `planted` in milliseconds: a person has a direction, a picture little noise around it."""

    def faces(self, image: np.ndarray, *, least: float = 0.7, upright: bool = False) -> list[FaceEmbedding]:
        """The squares as faces, from left to right."""
        found = []
        for left in range(0, image.shape[1], SIDE):
            number, sharp, noise = (int(value) for value in image[SIDE // 2, left + SIDE // 2])
            if not number:
                continue
            person, own = np.random.default_rng(number), np.random.default_rng([number, noise])
            vector = unit((person.normal(size=128) + 0.4 * own.normal(size=128)).astype(np.float32))
            box = (left + 4.0, 4.0, left + SIDE - 4.0, SIDE - 4.0)
            quality = GOOD if sharp else FaceQuality(60, 3, 0, 0.55, 120, 50, 1)
            found.append(FaceEmbedding(Face(box, np.zeros((5, 2), np.float32), 0.9), quality, vector))
        return found
