"""Names that some system cannot hold are not written, and what is written is read again as the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import make_folder, make_picture

from photovision.core.errors import DataError
from photovision.core.regions import Detections
from photovision.core.types import Sample
from photovision.data.convert import convert
from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays, read_dataset

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "CON",
            "nul",
            "Com1",
            "lpt9.txt",
            "aux ",
            "a:b",
            "x.",
            "a*b?",
            "a\\b",
            "<b>",
            "a|b",
            '"',
            "tab\there",
            "line\nhere",
        ),
        *(".hidden", "..", "a//b", "a/../b", "__MACOSX", "x" * 240, "dog/CON", "zero\0"),
    ],
)
def test_a_name_that_some_system_cannot_hold_is_refused(name: str, tmp_path: Path) -> None:
    data = dataset_from_arrays(PIXELS, ["cat", name, "cat", name])
    with pytest.raises(DataError, match=r"cannot be a folder's name.*--to table") as caught:
        convert(data, "folder", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    convert(data, "table", tmp_path / "table")
    assert set(read_dataset(tmp_path / "table").classes) == set(data.classes)


@pytest.mark.parametrize("names", [("Cat", "cat"), ("Caf\u00e9", "CAFE\u0301"), ("a/x", "A/y")])
def test_names_that_are_one_on_some_systems_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="would be one folder on Windows and macOS"):
        convert(dataset_from_arrays(PIXELS, [*names, *names]), "folder", tmp_path / "out")


@pytest.mark.parametrize(
    "names", [("train", "test"), ("images", "data"), ("masks", "labels"), ("cat/train", "cat/test")]
)
def test_classes_that_would_be_read_as_something_else_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="would be read as something else"):
        convert(dataset_from_arrays(PIXELS, [*names, *names]), "folder", tmp_path / "out")


def boxed(ids: list[str]) -> Dataset:
    """Pictures with a box each under these ids."""
    one = Detections(np.float32([[1, 1, 9, 9]]), np.int64([0]), ("bolt",))
    samples = tuple(Sample(name, PIXELS[0], ("bolt",), {}, one) for name in ids)
    return Dataset(samples, ("bolt",), multilabel=True, annotation_type="boxes")


@pytest.mark.parametrize("target", ["coco", "yolo", "voc", "cvat", "labelstudio"])
def test_pictures_get_names_that_every_system_holds_and_none_twice(target: str, tmp_path: Path) -> None:
    ids = ["CON.png", "a/1.png", "A/1.png", "1_1.png", "x:y?.png", "trail. .png", "q" * 250 + ".png", "2_1.png"]
    convert(boxed(ids), target, tmp_path / "out")
    stems = [file.stem for file in (tmp_path / "out").rglob("*.png")]
    assert len(stems) == len({stem.casefold() for stem in stems}) == len(ids)
    assert not {"con", "x:y?"} & {stem.casefold() for stem in stems}
    assert len(read_dataset(tmp_path / "out")) == len(ids)


def test_what_only_has_the_name_of_a_picture_is_not_copied(tmp_path: Path) -> None:
    make_folder(tmp_path / "data", per_class=2)
    (tmp_path / "data" / "circle" / "key.png").write_text("-----BEGIN PRIVATE KEY-----")
    with pytest.raises(DataError, match=r"cannot copy .*key\.png.*remove it"):
        convert(read_dataset(tmp_path / "data"), "folder", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_out_of_the_data_set_are_not_copied(tmp_path: Path) -> None:
    make_folder(tmp_path / "data", per_class=2)
    make_picture(1).save(tmp_path / "private.png")
    (tmp_path / "data" / "circle" / "link.png").symlink_to(tmp_path / "private.png")
    done = convert(read_dataset(tmp_path / "data"), "table", tmp_path / "out")
    assert done.pictures == 4
    assert done.left_out == (
        "circle/link.png: a link that leads out of the data set, which is never followed: put the file itself there",
    )
