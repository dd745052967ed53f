"""From scratch on Fashion-MNIST, 60,000 + 10,000 pictures of 28 pixels: test accuracy within a time budget.

    python benchmarks/fashion.py FOLDER_OF_IDX_FILES --minutes 10

The folder is /usr/share/datasets/fashion-mnist of Debian's package dataset-fashion-mnist. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
from training import print_training

from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays

GARMENTS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


def read_idx(path: Path) -> np.ndarray:
    """An IDX file of unsigned bytes: uint8, of the shape that its header states."""
    with gzip.open(path) as file:
        content = file.read()
    shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(content[3])]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def fashion(folder: Path) -> Dataset:
    """The whole data set with its published split."""
    images = np.concatenate([read_idx(folder / f"{part}-images-idx3-ubyte.gz") for part in ("train", "t10k")])
    labels = np.concatenate([read_idx(folder / f"{part}-labels-idx1-ubyte.gz") for part in ("train", "t10k")])
    splits = {"train": range(60_000), "test": range(60_000, 70_000)}
    return dataset_from_arrays(images, labels.astype(int).tolist(), GARMENTS, splits)


def main() -> None:
    """Train and print what was reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    asked = parser.parse_args()
    print_training(fashion(asked.folder), minutes=asked.minutes, weights="none")


if __name__ == "__main__":
    main()
