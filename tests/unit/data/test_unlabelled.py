"""Images of a place of use are read without labels, whatever shape they come in."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pictures import make_folder

from photovision.core.errors import DataError, UsageError
from photovision.data.read import read_dataset
from photovision.data.read_options import ReadOptions
from photovision.data.unlabelled import read_unlabelled


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("shop"), per_class=3)


def test_any_folder_is_read_and_its_folders_are_an_attribute(shop: Path) -> None:
    found = read_unlabelled(shop)
    assert found.labelled == 0
    assert [sample.id for sample in found.dataset.samples][:2] == ["circle/000.png", "circle/001.png"]
    assert {sample.groups["folder"] for sample in found.dataset.samples} == {"circle", "square"}
    assert all(sample.target is None for sample in found.dataset.samples)
    flat = read_unlabelled(shop / "circle").dataset
    assert len(flat) == 3
    assert not flat.samples[0].groups


def test_paths_arrays_and_single_files_are_read(shop: Path) -> None:
    paths = sorted(shop.rglob("*.png"))
    assert [sample.image for sample in read_unlabelled(paths).dataset.samples] == paths
    assert len(read_unlabelled(paths[0]).dataset) == 1
    assert len(read_unlabelled([*paths, paths[0]]).dataset) == len(paths)
    arrays = read_unlabelled(np.zeros((2, 8, 8, 3), np.uint8)).dataset
    assert [sample.id for sample in arrays.samples] == ["0", "1"]


@pytest.mark.parametrize("label", ["", ",label"])
def test_a_table_needs_no_labels_and_those_that_it_has_are_left_out(shop: Path, tmp_path: Path, label: str) -> None:
    table = tmp_path / "pictures.csv"
    names = ["circle/000.png", "square/001.png"]
    rows = [f"{name},A{',' + ('circle' if number == 0 else '') if label else ''}" for number, name in enumerate(names)]
    table.write_text("\n".join([f"file_name,camera{label}", *rows]) + "\n")
    found = read_unlabelled(table, ReadOptions(root=shop))
    assert [sample.id for sample in found.dataset.samples] == names
    assert found.labelled == (1 if label else 0)
    assert found.dataset.classes == ()
    assert [dict(sample.groups) for sample in found.dataset.samples] == [{"camera": "A"}] * 2
    assert not found.dataset.problems


def test_a_data_set_and_annotations_lose_what_is_known_of_their_images(shop: Path, tmp_path: Path) -> None:
    found = read_unlabelled(read_dataset(shop))
    assert found.labelled == 6
    assert found.dataset.classes == ()
    images = [{"id": 0, "file_name": "circle/000.png", "height": 48, "width": 48}]
    boxes = [{"id": 1, "image_id": 0, "category_id": 0, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}]
    told = {"images": images, "annotations": boxes, "categories": [{"id": 0, "name": "circle"}]}
    folder = make_folder(tmp_path / "boxed", per_class=1)
    (folder / "annotations.json").write_text(json.dumps(told))
    boxed = read_unlabelled(folder)
    assert boxed.labelled == 1
    assert boxed.dataset.samples[0].annotations is None


def test_an_archive_is_read_as_the_folder_in_it(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        for file in shop.rglob("*.png"):
            archive.write(file, file.relative_to(shop))
    assert len(read_unlabelled(tmp_path / "shop.zip").dataset) == 6


def test_what_is_not_there_is_named(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_unlabelled(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no images"):
        read_unlabelled(tmp_path)
    with pytest.raises(UsageError, match="does not accept root"):
        read_unlabelled(shop, ReadOptions(root=shop))
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match=r"notes\.txt"):
        read_unlabelled(tmp_path / "notes.txt")
