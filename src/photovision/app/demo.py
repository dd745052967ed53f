"""The demo: real pictures from installed packages, no network. Run it with `make demo`.

It trains on Fashion-MNIST (where its Debian package could be unpacked) or on scikit-learn's handwritten digits, shows
the ladder climb, and names photographs with the ImageNet weights that come in a package.
"""

from __future__ import annotations

import gzip
import shlex
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from photovision.core.folder import new_folder
from photovision.core.preprocess import Preprocess

BUILD = Path("build")
FASHION = BUILD / "debian/usr/share/datasets/fashion-mnist"
GARMENTS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
TRAIN_PER_CLASS, TEST_PER_CLASS = 1000, 200
MINUTES = 2.0
WEIGHTS = "efficientnet_lite0"


def main() -> None:
    """Train, classify photographs, and say where the report is."""
    data = pictures()
    model = BUILD / "demo" / f"{data.name}-model"
    print(f"\n1. Train on {data} for {MINUTES:g} minutes:")
    command("train", str(data), "-o", str(model), "--minutes", f"{MINUTES:g}")
    print("\n2. Ask the new model about pictures it has never seen:")
    unseen = sorted((data / "test").rglob("*.png")) or sorted(data.rglob("*.png"))
    command("predict", str(model), *map(str, unseen[:: max(1, len(unseen) // 5)][:5]))
    print("\n3. Name photographs with the ImageNet weights that come in a package:")
    name_photographs()
    print(f"\nThe report, to be opened in a browser: {(model / 'report.html').resolve()}")


def command(*arguments: str) -> None:
    """Show a command line and run it."""
    from photovision.app.cli import run

    print(f"\n$ photovision {shlex.join(arguments)}", flush=True)
    code = run(arguments)
    if code:
        raise SystemExit(code)


def pictures() -> Path:
    """A folder of real pictures, written at the first call: Fashion-MNIST, or else handwritten digits."""
    if (FASHION / "train-images-idx3-ubyte.gz").is_file():
        return fashion(FASHION, BUILD / "demo" / "fashion")
    return digits(BUILD / "demo" / "digits")


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


def name_photographs() -> None:
    """Print the three most probable of ImageNet's 1,000 classes for photographs that scikit-image brings."""
    import torch
    from timm.data import ImageNetInfo

    from photovision.app.cli.output import print_rows
    from photovision.models.backbones import Backbone, create
    from photovision.models.weights import CARRIERS, locate

    if locate(WEIGHTS) is None:
        print(f"The weights are not on this machine: photovision weights get {WEIGHTS}")
        return
    carrier = CARRIERS[WEIGHTS]
    preprocess = Preprocess(
        carrier.size, "crop", carrier.crop, carrier.interpolation, mean=carrier.mean, std=carrier.std
    )
    network = create(Backbone(carrier.backbone, WEIGHTS, preprocess), 1000).eval()
    paths = photographs()
    batch = np.stack([preprocess.normalise(preprocess.load(path)) for path in paths])
    with torch.inference_mode():
        best = network(torch.from_numpy(batch)).softmax(dim=1).topk(3)
    names = ImageNetInfo()
    rows = [
        (path.name, *(f"{names.index_to_description(i).split(',')[0]} {p:.0%}" for p, i in zip(ps, order, strict=True)))
        for path, ps, order in zip(paths, best.values.tolist(), best.indices.tolist(), strict=True)
    ]
    print_rows(rows)


def photographs() -> list[Path]:
    """Photographs inside installed packages that show something of ImageNet's classes."""
    import skimage
    import sklearn

    inside = (
        (skimage, "data", ("chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")),
        (sklearn, "datasets/images", ("china.jpg", "flower.jpg")),
    )
    paths = [Path(str(package.__file__)).parent / folder / name for package, folder, names in inside for name in names]
    return [path for path in paths if path.is_file()]


def _write(folder: Path, images: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Pillow.fromarray(image).save(folder / f"{number:04d}.png")


def _idx(path: Path) -> np.ndarray:
    """uint8 (N,) or (N, H, W) from a compressed IDX file (LeCun's MNIST page)."""
    content = gzip.decompress(path.read_bytes())
    sizes = np.frombuffer(content, ">u4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(sizes)).reshape(sizes)


if __name__ == "__main__":
    main()
