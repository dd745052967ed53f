"""YOLO in all its layouts, and rows whose meaning is one for the whole data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from annotated import picture

from photovision.core.errors import DataError
from photovision.core.regions import Detections
from photovision.core.shapes import Polygons
from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset

ROW = "1 0.5 0.5 0.2 0.5\n"
BOX = [24, 10, 36, 30]
NAMES = "cat\ndog\n"
YAML = "train: images\nval: images\nnames: [cat, dog]\n"


def found(data: Dataset, row: int = 0) -> Detections:
    regions = data.samples[row].annotations
    assert isinstance(regions, Detections)
    return regions


def put(folder: Path, **texts: str) -> Path:
    """Pictures under keys that end in _jpg, texts under others; "__" stands for "/", the last "_" for "."."""
    for key, text in texts.items():
        file = folder / ".".join(key.replace("__", "/").rsplit("_", 1))
        if file.suffix == ".jpg":
            picture(file)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    return folder


def sizes(data: Dataset) -> dict[str, int]:
    return {name: len(rows) for name, rows in data.splits.items()}


def one_box(data: Dataset, name: str = "dog") -> None:
    assert (data.source, data.annotation_type) == ("yolo", "boxes")
    for row in range(len(data)):
        assert np.allclose(found(data, row).boxes, [BOX])
        assert found(data, row).names == (name,)


def test_label_studio_exports_yolo(tmp_path: Path) -> None:
    put(tmp_path, images__a_jpg="", labels__a_txt=ROW, classes_txt=NAMES, notes_json='{"categories": [], "info": {}}')
    data = read_dataset(tmp_path)
    one_box(data)
    assert data.classes == ("cat", "dog")
    assert not data.notes
    assert not data.problems


def test_labelimg_in_one_folder(tmp_path: Path) -> None:
    put(tmp_path, a_jpg="", a_txt=ROW, b_jpg="", b_txt=ROW, c_jpg="", classes_txt=NAMES)
    data = read_dataset(tmp_path)
    assert [len(found(data, row)) for row in range(3)] == [1, 1, 0]
    assert data.classes == ("cat", "dog")
    assert [note.kind for note in data.notes] == ["no label file"]


@pytest.mark.parametrize("prefix", ["data/", "", "/home/me/export/", "C:\\Users\\me\\"])
def test_cvat_exports_yolo(tmp_path: Path, prefix: str) -> None:
    put(
        tmp_path,
        obj_train_data__a_jpg="",
        obj_train_data__a_txt=ROW,
        obj_valid_data__b_jpg="",
        obj_valid_data__b_txt=ROW,
        obj_names=NAMES,
        obj_data="classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\nbackup = b/\n",
        train_txt=f"{prefix}obj_train_data/a.jpg\n",
        valid_txt=f"{prefix}obj_valid_data/b.jpg\n",
    )
    for source in (tmp_path, tmp_path / "obj.data"):
        data = read_dataset(source)
        one_box(data)
        assert sizes(data) == {"train": 1, "val": 1}
        assert not data.problems


def test_cvat_exports_ultralytics(tmp_path: Path) -> None:
    put(
        tmp_path,
        images__train__a_jpg="",
        labels__train__a_txt=ROW,
        data_yaml="names:\n  0: cat\n  1: dog\npath: .\ntrain: train.txt\n",
        train_txt="data/images/train/a.jpg\n",
    )
    data = read_dataset(tmp_path)
    one_box(data)
    assert sizes(data) == {"train": 1}


def test_darknet_of_roboflow(tmp_path: Path) -> None:
    texts = {
        f"{split}__{split}_{kind}": ROW if kind == "txt" else ""
        for split in ("train", "valid")
        for kind in ("jpg", "txt")
    }
    put(tmp_path, **texts)
    for split in ("train", "valid"):
        (tmp_path / split / "_darknet.labels").write_text(NAMES)
    data = read_dataset(tmp_path)
    one_box(data)
    assert sizes(data) == {"train": 1, "val": 1}


def test_lists_with_absolute_names(tmp_path: Path) -> None:
    put(
        tmp_path,
        images__a_jpg="",
        labels__a_txt=ROW,
        data_yaml=YAML.replace("images\nval", "train.txt\nval").replace("val: images\n", ""),
    )
    for start in (tmp_path.resolve(), Path("/content/datasets/mine")):
        (tmp_path / "train.txt").write_text(f"{start}/images/a.jpg\n")
        data = read_dataset(tmp_path)
        one_box(data)
        assert not data.problems


def test_folders_without_names(tmp_path: Path) -> None:
    put(
        tmp_path,
        images__train__a_jpg="",
        labels__train__a_txt=ROW,
        images__val__b_jpg="",
        labels__val__b_txt="7 .5 .5 .1 .1\n",
    )
    data = read_dataset(tmp_path)
    assert data.classes == ("1", "7")
    assert sizes(data) == {"train": 1, "val": 1}
    assert [note.kind for note in data.notes] == ["class names"]


@pytest.mark.parametrize("base", ["", "path: /content/datasets/mine\n", "path: ../datasets/mine\n"])
@pytest.mark.parametrize("start", ["", "../", "./", "/content/datasets/mine/"])
def test_paths_of_other_machines_in_the_yaml(tmp_path: Path, base: str, start: str) -> None:
    text = f"{base}train: {start}train/images\nval: {start}valid/images\nnames: [cat, dog]\n"
    put(
        tmp_path,
        train__images__a_jpg="",
        train__labels__a_txt=ROW,
        valid__images__b_jpg="",
        valid__labels__b_txt=ROW,
        coco128_yaml=text,
    )
    data = read_dataset(tmp_path)
    one_box(data)
    assert sizes(data) == {"train": 1, "val": 1}


@pytest.mark.parametrize("listed", [True, False])
def test_names_stay_as_they_are_written(tmp_path: Path, listed: bool) -> None:
    names = [
        "01",
        "1_000",
        "no",
        "yes",
        "off",
        "null",
        "1e3",
        "0x10",
        "~",
        "2024-01-31",
        "1.0",
        "true",
        ".inf",
        "12:30:45",
    ]
    text = "".join(f"- {name}\n" if listed else f"  {i}: {name}\n" for i, name in enumerate(names))
    put(
        tmp_path,
        images__a_jpg="",
        labels__a_txt=ROW,
        data_yaml=f"train: images\ntest:  # there is none\nnames:\n{text}",
    )
    assert read_dataset(tmp_path).classes == tuple(names)


def test_key_points_by_their_shape(tmp_path: Path) -> None:
    points = " .8 .8 2" * 17
    put(
        tmp_path,
        images__a_jpg="",
        labels__a_txt=f"{ROW.strip()}{points}\n{ROW}",
        data_yaml=f"{YAML}kpt_shape: [17, 3]\n",
    )
    data = read_dataset(tmp_path)
    assert np.allclose(found(data).boxes, [BOX, BOX])
    assert found(data).masks is None
    assert [note.kind for note in data.notes] == ["key points"]


@pytest.mark.parametrize("shape", ["[2, 2]", "[2,2]"])
def test_key_points_that_look_like_a_polygon(tmp_path: Path, shape: str) -> None:
    put(
        tmp_path,
        images__a_jpg="",
        labels__a_txt=f"{ROW.strip()} .5 .5 .6 .6\n",
        data_yaml=f"{YAML}kpt_shape: {shape}\n",
    )
    data = read_dataset(tmp_path)
    assert np.allclose(found(data).boxes, [BOX])
    assert found(data).masks is None


def test_key_points_without_a_word(tmp_path: Path) -> None:
    rows = "".join(f"1 0.5 0.5 0.2 0.5 0.45 0.4 {seen} 0.55 0.6 2 0 0 0\n" for seen in (1, 2))
    put(tmp_path, images__a_jpg="", labels__a_txt=rows, data_yaml=YAML)
    data = read_dataset(tmp_path)
    assert np.allclose(found(data).boxes, [BOX, BOX])
    assert {note.kind for note in data.notes} == {"key points"}


def test_key_points_of_another_shape_than_they_say(tmp_path: Path) -> None:
    rows = f"{ROW}{ROW.strip()} .5 .5 2 .6\n"
    put(tmp_path, images__a_jpg="", labels__a_txt=rows, data_yaml=f"{YAML}kpt_shape: [2, 3]\n")
    data = read_dataset(tmp_path)
    assert len(found(data)) == 1
    assert "and 6 of key points" in data.notes[0].message


def test_corners_of_turned_boxes_and_polygons(tmp_path: Path) -> None:
    rows = "0 .5 .25 .75 .5 .5 .75 .25 .5\n1 .1 .1 .9 .1 .5 .9\n" + ROW
    put(tmp_path, images__a_jpg="", labels__a_txt=rows, data_yaml=YAML)
    regions = found(read_dataset(tmp_path))
    assert np.allclose(regions.boxes, [[15, 10, 45, 30], [6, 4, 54, 36], BOX])
    first, second, third = regions.masks or ()
    assert isinstance(first, Polygons)
    assert isinstance(second, Polygons)
    assert third is None


@pytest.mark.parametrize("sixth", ["0.91", "1", "37"])
def test_confidences_and_tracks_are_left_out(tmp_path: Path, sixth: str) -> None:
    put(tmp_path, images__a_jpg="", labels__a_txt=f"{ROW.strip()} {sixth}\n", data_yaml=YAML)
    data = read_dataset(tmp_path)
    one_box(data)
    assert [note.kind for note in data.notes] == ["a sixth number"]


def test_polygons_with_confidences(tmp_path: Path) -> None:
    put(tmp_path, images__a_jpg="", labels__a_txt="1 .1 .1 .9 .1 .5 .9 .77\n", data_yaml=YAML)
    assert np.allclose(found(read_dataset(tmp_path)).boxes, [[6, 4, 54, 36]])


@pytest.mark.parametrize(
    ("row", "says"),
    [("0 30 20 10 10\n", "hold pixels"), ("0 .5 .5 .2 .1 -1.57\n", "angle is not known")],
)
def test_rows_of_another_meaning_are_refused(tmp_path: Path, row: str, says: str) -> None:
    put(tmp_path, images__a_jpg="", labels__a_txt=row * 3, data_yaml=YAML)
    with pytest.raises(DataError, match=says):
        read_dataset(tmp_path)


def test_pictures_without_any_label_file(tmp_path: Path) -> None:
    put(tmp_path, images__a_jpg="", data_yaml=YAML)
    with pytest.raises(DataError, match="none of 1 pictures has a label file"):
        read_dataset(tmp_path)


def test_files_of_names_that_disagree(tmp_path: Path) -> None:
    put(tmp_path, train__a_jpg="", train__a_txt=ROW, valid__b_jpg="", valid__b_txt=ROW)
    put(tmp_path, train__classes_txt=NAMES, valid__classes_txt="dog\ncat\n")
    with pytest.raises(DataError, match="name other classes"):
        read_dataset(tmp_path)


def test_captions_beside_pictures_are_no_rows(tmp_path: Path) -> None:
    put(tmp_path, one__a_jpg="", one__a_txt="a cat on a mat\n", two__b_jpg="", two__b_txt="2 dogs in the rain\n")
    with pytest.raises(DataError, match=r"2 of 2 pictures have a \.txt file of their name"):
        read_dataset(tmp_path)
