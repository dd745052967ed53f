"""Good images and defects as MVTec AD lays them out: when that is recognised, and what it means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import make_picture
from PIL import Image

from photovision.core.errors import DataError
from photovision.core.regions import Segmentation
from photovision.data.convert import convert
from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset


def lay(root: Path, *folders: str, count: int = 2) -> Path:
    """Pictures 000.png, 001.png ... in each folder."""
    for place, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            make_picture(place % 3, 40, seed=10 * place + number).save(root / folder / f"{number:03d}.png")
    return root


def mask(file: Path, values: np.ndarray, palette: bool = False) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    page = Image.fromarray(values)
    if palette:
        page.putpalette([value for tone in range(256) for value in (tone, 0, 0)])
    page.save(file)


def square(tone: int = 255) -> np.ndarray:
    values = np.zeros((40, 40), np.uint8)
    values[5:15, 20:30] = tone
    return values


def defect(data: Dataset, name: str) -> np.ndarray:
    """Which pixels of a picture are of a defect."""
    sample = next(sample for sample in data.samples if sample.id == name)
    assert isinstance(sample.annotations, Segmentation)
    return sample.annotations.labels == data.classes.index(sample.label)


def test_the_layout_of_mvtec_is_recognised_and_said(tmp_path: Path) -> None:
    lay(tmp_path, "train/good", "test/good", "test/scratch", "test/bent wire")
    mask(tmp_path / "ground_truth/scratch/001_mask.png", square())
    data = read_dataset(tmp_path)
    assert data.reading == "anomaly detection, good images and defects (MVTec AD), 2 splits"
    assert (data.source, data.annotation_type, data.multilabel) == ("mvtec", "defects", False)
    assert data.classes == ("bent wire", "good", "scratch")
    assert {sample.label for sample in data.split("train").samples} == {"good"}
    assert {sample.label for sample in data.split("test").samples} == set(data.classes)
    assert [sample.id for sample in data.samples if sample.annotations is not None] == ["test/scratch/001.png"]
    assert (defect(data, "test/scratch/001.png") == (square() > 0)).all()
    assert not data.problems


@pytest.mark.parametrize(
    "folders", [["train/good"], ["train/normal", "test/normal"], ["bottle/train/OK", "bottle/test/OK", "bottle/test/x"]]
)
def test_a_training_part_of_good_images_only_is_recognised(folders: list[str], tmp_path: Path) -> None:
    data = read_dataset(lay(tmp_path, *folders))
    assert data.source == "mvtec"
    assert len(data.splits["train"]) == 2


@pytest.mark.parametrize(
    "folders",
    [
        ["train/good", "train/bad", "test/good", "test/bad"],
        ["train/cat", "train/dog", "test/cat", "test/dog"],
        ["good", "bad"],
    ],
)
def test_classes_to_learn_from_stay_classes(folders: list[str], tmp_path: Path) -> None:
    data = read_dataset(lay(tmp_path, *folders))
    assert (data.source, data.annotation_type) == ("folder", "labels")


def test_defects_in_the_training_part_are_taken_to_test_on_where_the_format_is_asked_for(tmp_path: Path) -> None:
    data = read_dataset(lay(tmp_path, "train/good", "train/bad", "test/ok"), format="mvtec")
    assert data.classes == ("bad", "good")
    assert [sample.label for sample in data.split("train").samples] == ["good", "good"]
    assert sorted(sample.label for sample in data.split("test").samples) == ["bad", "bad", "good", "good"]
    assert [note.message for note in data.notes] == ["2 images with a defect in train/ are taken to test on"]


def test_nothing_good_to_learn_from_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="should hold train/good"):
        read_dataset(lay(tmp_path, "train/a", "test/a"), format="mvtec")


@pytest.mark.parametrize(("tone", "palette"), [(1, False), (255, False), (200, True)])
def test_a_mask_is_bright_or_one_where_the_defect_is(tone: int, palette: bool, tmp_path: Path) -> None:
    lay(tmp_path, "train/good", "test/crack")
    mask(tmp_path / "masks/000.png", square(tone), palette)
    assert (defect(read_dataset(tmp_path), "test/crack/000.png") == (square() > 0)).all()


def test_smoothed_edges_of_a_mask_are_what_they_are_nearer_to(tmp_path: Path) -> None:
    lay(tmp_path, "train/good", "test/crack")
    smooth = square()
    smooth[5, 20:30], smooth[4, 20:30] = 200, 40
    mask(tmp_path / "ground_truth/crack/000_mask.png", smooth)
    assert (defect(read_dataset(tmp_path), "test/crack/000.png") == (square() > 0)).all()


def test_masks_of_no_or_of_several_images_are_named(tmp_path: Path) -> None:
    lay(tmp_path, "train/good", "test/crack", "test/dent")
    mask(tmp_path / "masks/000.png", square())  # of a crack, or of a dent?
    mask(tmp_path / "ground_truth/crack/007_mask.png", square())
    data = read_dataset(tmp_path)
    assert {problem.id: problem.kind for problem in data.problems} == {
        "masks/000.png": "no picture",
        "ground_truth/crack/007_mask.png": "no picture",
    }
    assert all(sample.annotations is None for sample in data.samples)


def test_a_mask_of_another_size_is_named_when_it_is_needed(tmp_path: Path) -> None:
    lay(tmp_path, "train/good", "test/crack")
    mask(tmp_path / "ground_truth/crack/000_mask.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(DataError, match="8 x 8"):
        defect(read_dataset(tmp_path), "test/crack/000.png")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    lay(tmp_path / "in", "train/good", "test/good", "test/crack")
    mask(tmp_path / "in/ground_truth/crack/000_mask.png", square())
    data = read_dataset(tmp_path / "in")
    assert not convert(data, "mvtec", tmp_path / "out").lost
    again = read_dataset(tmp_path / "out")
    assert (again.source, again.classes, len(again)) == ("mvtec", data.classes, len(data))
    assert {name: len(rows) for name, rows in again.splits.items()} == {"train": 2, "test": 4}
    (name,) = [sample.id for sample in again.samples if sample.annotations is not None]
    assert (defect(again, name) == (square() > 0)).all()
    with pytest.raises(DataError, match="one class should be called good, normal, ok"):
        convert(read_dataset(lay(tmp_path / "pets", "cat", "dog")), "mvtec", tmp_path / "no")


def test_cookies_are_read_with_their_masks(shared_data: Path) -> None:
    data = read_dataset(shared_data / "cookies", format="mvtec")
    labels = [sample.label for sample in data.split("test").samples]
    assert (len(data.splits["train"]), labels.count("good"), labels.count("broken")) == (31, 14, 40)
    assert sum(sample.annotations is not None for sample in data.samples) == 32
    share = defect(data, "train/broken/anomaly-1.jpg").mean()
    assert 0.005 < share < 0.2
