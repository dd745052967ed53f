"""The demo's pictures, and its tour."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from photovision.app import demo, demo_pictures
from photovision.app.cli.commands import app
from photovision.data.read import read_dataset


def test_digits_are_real_pictures_in_class_folders(tmp_path: Path) -> None:
    dataset = read_dataset(demo_pictures.digits(tmp_path / "digits"))
    assert len(dataset) == 1797
    assert dataset.classes == tuple("0123456789")


def test_fashion_is_unpacked_with_its_published_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_pictures, "TRAIN_PER_CLASS", 2)
    monkeypatch.setattr(demo_pictures, "TEST_PER_CLASS", 1)
    labels = np.arange(30, dtype=np.uint8) % 10
    images = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
    for prefix in ("train", "t10k"):
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            sizes = np.array(values.shape, ">u4").tobytes()
            content = bytes((0, 0, 8, values.ndim)) + sizes + values.tobytes()
            (tmp_path / f"{prefix}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
    folder = demo_pictures.fashion(tmp_path, tmp_path / "fashion")
    dataset = read_dataset(folder)
    assert {name: len(positions) for name, positions in dataset.splits.items()} == {"train": 20, "test": 10}
    coat = np.asarray(Image.open(folder / "train" / "coat" / "0001.png"))
    assert (coat == images[14]).all()


def test_photographs_come_with_installed_packages() -> None:
    assert {"chelsea.png", "coffee.png", "china.jpg"} <= {path.name for path in demo_pictures.photographs()}


def test_photographs_of_everyday_things_are_cut_from_their_sheet(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (40, 1, 4, 3), dtype=np.uint8)
    images = np.broadcast_to(colours.repeat(8, axis=2), (40, 32, 32, 3))  # four stripes each
    for batch, labels in (("data_batch_1.png", "train_lables.json"), ("test_batch.png", "test_lables.json")):
        Image.fromarray(images.reshape(40, 1024, 3)).save(tmp_path / batch)
        (tmp_path / labels).write_text(json.dumps([number % 10 for number in range(40)] * 2))
    folder = demo_pictures.things(tmp_path, tmp_path / "things")
    dataset = read_dataset(folder)
    assert {name: len(positions) for name, positions in dataset.splits.items()} == {"train": 40, "test": 40}
    with Image.open(folder / "test" / "bird" / "0001.jpg") as bird:
        assert bird.size == (96, 96)
        apart = np.asarray(bird.resize((32, 32), Image.Resampling.BOX), float) - images[12]
    assert np.abs(apart).mean() < 15


def test_a_wall_has_good_parts_and_holes_to_test_on(tmp_path: Path) -> None:
    folder = demo_pictures.wall(tmp_path / "wall")
    counts = {part: len(list((folder / part).iterdir())) for part in ("train/good", "test/good", "test/hole")}
    assert counts["test/good"] == counts["test/hole"] >= 5
    assert counts["train/good"] > 40
    good, hole = (np.asarray(Image.open(folder / "test" / kind / "0000.png"), float) for kind in ("good", "hole"))
    assert 0.02 < (np.abs(good - hole) > 0).mean() < 0.1  # nothing but the hole differs


def test_the_tour_is_of_commands_that_exist_and_skips_what_is_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    stops = demo.tour(tmp_path, tmp_path / "demo")
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {verb for stop in stops for verb, *_ in stop.commands} == {
        "predict", "explain", "detect", "cut", "watch", "check", "train", "audit", "search",
    }  # fmt: skip
    for stop in stops:
        for verb, *rest in stop.commands:
            given = {word for word in rest if word.startswith("--")}
            assert given <= {flag for parameter in known[verb].params for flag in parameter.opts}
        assert stop.own.startswith("photovision ")
    missing = {verb: stop.missing for stop in stops for verb, *_ in stop.commands}
    assert "photovision weights get mobilesam" in missing["cut"]
    assert "apt-get download opencv-doc" in missing["watch"] or "photovision weights get" in missing["watch"]
    assert missing["train"] == ""
