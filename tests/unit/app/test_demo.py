"""The demo's pictures."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photovision.app import demo
from photovision.data.read import read_dataset


def test_digits_are_real_pictures_in_class_folders(tmp_path: Path) -> None:
    dataset = read_dataset(demo.digits(tmp_path / "digits"))
    assert len(dataset) == 1797
    assert dataset.classes == tuple("0123456789")


def test_fashion_is_unpacked_with_its_published_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "TRAIN_PER_CLASS", 2)
    monkeypatch.setattr(demo, "TEST_PER_CLASS", 1)
    labels = np.arange(30, dtype=np.uint8) % 10
    images = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
    for prefix in ("train", "t10k"):
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            sizes = np.array(values.shape, ">u4").tobytes()
            content = bytes((0, 0, 8, values.ndim)) + sizes + values.tobytes()
            (tmp_path / f"{prefix}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
    folder = demo.fashion(tmp_path, tmp_path / "fashion")
    dataset = read_dataset(folder)
    assert {name: len(positions) for name, positions in dataset.splits.items()} == {"train": 20, "test": 10}
    coat = np.asarray(Image.open(folder / "train" / "coat" / "0001.png"))
    assert (coat == images[14]).all()


def test_photographs_come_with_installed_packages() -> None:
    assert {"chelsea.png", "coffee.png", "china.jpg"} <= {path.name for path in demo.photographs()}
