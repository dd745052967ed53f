"""Data from Python, and the door that other packages' formats come through."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from pictures import make_folder

from photovision.core.errors import DataError, UsageError
from photovision.core.regions import Detections
from photovision.data.dataset import Dataset
from photovision.data.formats import FORMATS, Format
from photovision.data.read import dataset_from_arrays, read_dataset, unnamed
from photovision.data.read_options import ReadOptions

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("labels", "classes", "names", "codes"),
    [
        (["b", "a", "b", "a"], None, ("a", "b"), [1, 0, 1, 0]),
        (["b", "a", "b", "a"], ["b", "a", "c"], ("b", "a", "c"), [0, 1, 0, 1]),
        ([0, 1, 0, 1], ["b", "a"], ("b", "a"), [0, 1, 0, 1]),
        (np.array([10, 9, 10, 9]), None, ("9", "10"), [1, 0, 1, 0]),
    ],
)
def test_labels_are_names_or_numbers(
    labels: list[str], classes: list[str] | None, names: tuple[str, ...], codes: list[int]
) -> None:
    data = dataset_from_arrays(PIXELS, labels, classes)
    assert data.classes == names
    assert data.labels.tolist() == codes


def test_lists_of_names_make_multilabel_data() -> None:
    data = dataset_from_arrays(PIXELS, [["a", "b"], ["b"], [], ["a", "a"]], splits={"train": [0, 1], "test": [2, 3]})
    assert data.multilabel
    assert data.label_matrix.tolist() == [[1, 1], [0, 1], [0, 0], [1, 0]]
    assert data.splits == {"train": (0, 1), "test": (2, 3)}


def test_grey_arrays_are_shown_in_rgb_without_copies() -> None:
    data = dataset_from_arrays(PIXELS[..., 0], [0, 1, 0, 1])
    image = data.samples[2].image
    assert isinstance(image, np.ndarray)
    assert image.shape == (6, 5, 3)
    assert (image == PIXELS[2, ..., :1]).all()
    assert np.shares_memory(image, PIXELS)


def test_paths_and_pictures_of_different_sizes(tmp_path: Path) -> None:
    make_folder(tmp_path, per_class=1)
    data = dataset_from_arrays(
        [tmp_path / "circle/000.png", str(tmp_path / "square/000.png"), PIXELS[0]], ["a", "b", "a"]
    )
    assert data.samples[0].image == tmp_path / "circle/000.png"
    assert isinstance(data.samples[1].image, Path)


@pytest.mark.parametrize(
    ("images", "labels", "classes", "message"),
    [
        (PIXELS, ["a"], None, "4 pictures and 1 labels"),
        (PIXELS[:0], [], None, "at least one picture"),
        (PIXELS, ["a", "b", "c", "a"], ["a", "b"], "label 'c', which is not among the classes"),
        (PIXELS, [0, 1, 2, 0], ["a", "b"], "should be 0 to 1, one for each class name, got 2"),
        (PIXELS, [0.5, 1.0, 0.0, 1.0], None, "names, whole numbers or lists of names, got float"),
        (["x.png", "x.png"], ["a", "b"], None, "given more than once"),
    ],
)
def test_arrays_that_do_not_fit_give_one_line(
    images: np.ndarray, labels: list[str], classes: list[str] | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        dataset_from_arrays(images, labels, classes)


def test_pictures_must_be_bytes() -> None:
    with pytest.raises(UsageError, match="uint8"):
        dataset_from_arrays(PIXELS.astype(np.float32), [0, 1, 0, 1])


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_dataset(tmp_path / "nowhere")


def test_a_format_can_be_named(tmp_path: Path) -> None:
    make_folder(tmp_path, per_class=1)
    (tmp_path / "metadata.csv").write_text("file_name,label\ncircle/000.png,x\nsquare/000.png,y\n")
    assert read_dataset(tmp_path).classes == ("x", "y")
    assert read_dataset(tmp_path, format="folder").classes == ("circle", "square")
    with pytest.raises(UsageError, match="did you mean folder"):
        read_dataset(tmp_path, format="foldr")


def boxed(data: Dataset) -> Dataset:
    """The same pictures with a box around the middle of each."""
    box = np.float32([[1, 1, 4, 5]])
    regions = [Detections(box, data.labels[row : row + 1], data.classes) for row in range(len(data))]
    samples = tuple(replace(sample, annotations=one) for sample, one in zip(data.samples, regions, strict=True))
    return replace(data, samples=samples, multilabel=True, annotation_type="boxes")


def written(name: str) -> Dataset:
    """Four pictures with what a format needs beside them, three of them to learn from."""
    labels = ["good", "good", "good", "bent"] if name == "mvtec" else ["a", "b", "a", "b"]
    data = dataset_from_arrays(PIXELS, labels, splits={"train": [0, 1, 2], "test": [3]})
    return boxed(data) if "boxes" in FORMATS.load(name).holds else data


@pytest.mark.parametrize("name", FORMATS.names())
def test_every_format_keeps_its_promises(name: str, tmp_path: Path) -> None:
    known = FORMATS.load(name)
    assert isinstance(known, Format)
    data = written(name)
    known.write(data, tmp_path / "out")
    assert known.detects(tmp_path / "out")
    again = known.read(tmp_path / "out")
    assert again.classes == data.classes
    assert {split: len(positions) for split, positions in again.splits.items()} == {"train": 3, "test": 1}


OPTIONS = {
    "multilabel": True,
    "label_column": "label",
    "file_column": "file_name",
    "root": ".",
    "uncertain": "ignore",
    "label_separator": ";",
    "label_from": "name",
    "unlabelled": True,
}


@pytest.mark.parametrize("name", FORMATS.names())
def test_an_option_is_obeyed_or_refused(name: str, tmp_path: Path) -> None:
    known = FORMATS.load(name)
    known.write(written(name), tmp_path / "out")
    assert {field.name for field in fields(ReadOptions)} == {"format", *OPTIONS}
    for option, value in OPTIONS.items():
        if option not in known.accepts:
            with pytest.raises(UsageError, match=rf"format '{name}' does not accept {option} \(--") as caught:
                read_dataset(tmp_path / "out", format=name, **{option: value})  # type: ignore[arg-type]
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("option", "value"), [("uncertain", "maybe"), ("label_separator", "")])
def test_values_of_options_are_checked(tmp_path: Path, option: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{option} should be"):
        read_dataset(tmp_path, **{option: value})  # type: ignore[arg-type]


def test_files_that_no_annotation_names_are_counted(tmp_path: Path) -> None:
    data = boxed(dataset_from_arrays(PIXELS, ["a", "b", "a", "b"]))
    FORMATS.load("coco").write(data, tmp_path / "out")
    assert unnamed(tmp_path / "out", read_dataset(tmp_path / "out")) == []
    make_folder(tmp_path / "out" / "more", per_class=1)
    (tmp_path / "out" / "clip.mp4").touch()
    again = read_dataset(tmp_path / "out")
    assert len(again) == 4
    first, second = unnamed(tmp_path / "out", again)
    assert (first.id, first.message) == (
        "more/circle/000.png",
        "2 pictures are not named by the annotations, and not used",
    )
    assert (second.id, second.kind) == ("clip.mp4", "not used")
