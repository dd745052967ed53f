"""Photographs that come with scikit-image, as files of a folder: small enough to be quick, real enough to search."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

NAMES = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle_left", "ihc", "retina", "coins", "camera", "page")


def photograph(name: str, longest: int = 320) -> Image.Image:
    """An RGB picture."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    (path,) = folder.glob(f"{name}.*g")
    with Image.open(path) as file:
        picture = file.convert("RGB")
    picture.thumbnail((longest, longest))
    return picture


def write_photographs(folder: Path) -> Path:
    """All of them as PNG files, in two folders; returns `folder`."""
    for number, name in enumerate(NAMES):
        place = folder / ("people", "things")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        photograph(name).save(place / f"{name}.png")
    return folder
