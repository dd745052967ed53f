"""Well-known sets and exports, laid out as they are downloaded: each is read as its makers meant, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import make_picture
from PIL import Image

from photovision.core.errors import DataError
from photovision.core.regions import Detections, Segmentation
from photovision.data.formats.json_kinds import json_kind
from photovision.data.formats.mask_files import MaskFile
from photovision.data.read import read_dataset


def pictures(root: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        make_picture(seed, 48, seed=seed).save(root / name)
    return root


def masks(root: Path, *names: str) -> Path:
    values = np.zeros((48, 48), np.uint8)
    values[8:20, 4:30] = 255
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(root / name)
    return root


def table(root: Path, name: str, *lines: str) -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root / name


def boxes(path: Path) -> list[list[list[float]]]:
    regions = [sample.annotations for sample in read_dataset(path).samples]
    return [one.boxes.tolist() for one in regions if isinstance(one, Detections)]


# Masks.


@pytest.mark.parametrize("top", ["", "Dataset_BUSI_with_GT/", "my_segmentation_data/"])
def test_a_folder_above_all_pictures_makes_masks_of_none(tmp_path: Path, top: str) -> None:
    names = [f"{top}{kind}/{kind} ({i})" for kind in ("benign", "malignant") for i in range(3)]
    pictures(tmp_path, *(f"{name}.png" for name in names))
    masks(tmp_path, *(f"{name}_mask.png" for name in names))
    data = read_dataset(tmp_path)
    assert (data.source, len(data), data.classes) == ("folder", 6, ("benign", "malignant"))
    assert any("6 masks of pictures are left out" in note.message for note in data.notes)


def test_folders_of_patients_with_masks_are_no_classes(tmp_path: Path) -> None:
    names = [f"TCGA_{patient}/TCGA_{patient}_{i}" for patient in ("CS_41", "HT_73") for i in range(3)]
    pictures(tmp_path, *(f"{name}.tif" for name in names))
    masks(tmp_path, *(f"{name}_mask.tif" for name in names))
    data = read_dataset(tmp_path)
    assert (data.source, data.annotation_type, len(data)) == ("masks", "masks", 6)


def test_of_what_a_person_drew_and_the_field_of_view_the_drawing_counts(tmp_path: Path) -> None:
    for split, first in (("training", 21), ("test", 1)):
        for i in range(first, first + 2):
            pictures(tmp_path, f"{split}/images/{i:02d}_{split}.tif")
            masks(tmp_path, f"{split}/1st_manual/{i:02d}_manual1.gif", f"{split}/mask/{i:02d}_{split}_mask.gif")
    data = read_dataset(tmp_path)
    assert not data.problems
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 2, "test": 2}
    for sample in data.samples:
        assert isinstance(sample.annotations, Segmentation)
        assert isinstance(sample.annotations.source, MaskFile)
        assert sample.annotations.source.files[0].parent.name == "1st_manual"


def test_one_product_with_masks_of_its_defects_is_good_images_and_defects(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"bottle/train/good/{i}.png" for i in range(4)))
    pictures(tmp_path, *(f"bottle/test/{kind}/{i}.png" for kind in ("good", "crack") for i in range(2)))
    masks(tmp_path, *(f"bottle/ground_truth/crack/{i}_mask.png" for i in range(2)))
    data = read_dataset(tmp_path)
    assert (data.source, data.annotation_type, data.classes, len(data)) == ("mvtec", "defects", ("crack", "good"), 8)


def test_values_of_masks_in_a_table_called_like_classes_leave_the_masks_masks(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        pictures(tmp_path, *(f"{split}/{split}{i}.jpg" for i in range(2)))
        masks(tmp_path, *(f"{split}/{split}{i}_mask.png" for i in range(2)))
        table(tmp_path, f"{split}/_classes.csv", "Pixel Value, Class", "0, background", "255, cell")
    data = read_dataset(tmp_path)
    assert (data.source, len(data), set(data.splits)) == ("masks", 4, {"train", "val"})


def test_the_values_of_masks_have_the_names_of_that_table(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"train/{i}.jpg" for i in range(2)))
    masks(tmp_path, *(f"train/{i}_mask.png" for i in range(2)))
    for i in range(2):
        values = np.asarray(Image.open(tmp_path / f"train/{i}_mask.png")) // 255 * (i + 1)
        Image.fromarray(values).save(tmp_path / f"train/{i}_mask.png")
    table(tmp_path, "train/_classes.csv", "Pixel Value, Class", "0, background", "1, cell", "2, dirt")
    assert read_dataset(tmp_path).classes == ("background", "cell", "dirt")


# Tables.


def test_a_column_of_files_goes_before_numbers_that_are_names_of_files_too(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"images/{i}.jpg" for i in range(6)))
    rows = (f"{5 - i},images/{i}.jpg,{'ab'[i % 2]}" for i in range(6))
    data = read_dataset(table(tmp_path, "t.csv", "id,photo_path,label", *rows))
    assert {sample.id: sample.label for sample in data.samples} == {f"images/{i}.jpg": "ab"[i % 2] for i in range(6)}


@pytest.mark.parametrize("column", ["label", "labels"])
def test_boxes_as_text_in_a_cell_are_no_labels(tmp_path: Path, column: str) -> None:
    pictures(tmp_path, *(f"{i}.jpg" for i in range(4)))
    cell = json.dumps([{"x": 10, "y": 10, "width": 20, "rectanglelabels": ["a"]}])
    rows = (f"{i}.jpg\t{cell}" for i in range(4))
    with pytest.raises(DataError, match="holds objects, not labels"):
        read_dataset(table(tmp_path, "export.tsv", f"image\t{column}", *rows))


@pytest.mark.parametrize("header", ["ImageId,EncodedPixels", "id,segmentation", "image,rle"])
def test_masks_as_run_lengths_are_refused(tmp_path: Path, header: str) -> None:
    pictures(tmp_path, *(f"{i}.jpg" for i in range(4)))
    rows = (f"{i}.jpg,{i + 1} 5 300 4" for i in range(4))
    with pytest.raises(DataError, match="run lengths"):
        read_dataset(table(tmp_path, "train.csv", header, *rows))


def test_boxes_by_corner_width_and_height_are_boxes(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    path = table(tmp_path, "t.csv", "patientId,x,y,width,height,Target", "a,1.0,2.0,30.0,40.0,1", "b,,,,,0")
    assert boxes(path) == [[[1, 2, 31, 42]], []]


def test_a_class_without_any_box_is_no_object_and_one_box_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png", "c.png")
    header = "class_name,image_id,x_min,y_min,x_max,y_max"
    path = table(tmp_path, "t.csv", header, "nodule,a,1,2,30,40", "No finding,b,,,,", "nodule,c,,,,")
    data = read_dataset(path)
    assert data.classes == ("nodule",)
    assert [(note.kind, note.id) for note in data.notes if note.kind in ("no box", "bad annotation")] == [
        ("bad annotation", "c.png"),
        ("no box", "t.csv"),
    ]


# Folders and other exports.


@pytest.mark.parametrize("name", ["HAM10000_images_part_{}", "batch{}", "photos ({})"])
def test_parts_of_a_download_are_no_classes(tmp_path: Path, name: str) -> None:
    pictures(tmp_path, *(f"{name.format(part)}/{part}{i}.jpg" for part in (1, 2) for i in range(3)))
    table(tmp_path, "HAM10000_metadata.csv", "image_id,dx", "10,nv")
    with pytest.raises(DataError, match=r"names no class.*the table HAM10000_metadata\.csv"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["digit{}", "class_{}", "n0144353{}"])
def test_classes_with_numbers_stay_classes(tmp_path: Path, name: str) -> None:
    pictures(tmp_path, *(f"{name.format(part)}/{i}.jpg" for part in (1, 2) for i in range(3)))
    assert len(read_dataset(tmp_path).classes) == 2


@pytest.mark.parametrize("name", ["annotation_train.odgt", "export.ndjson", "output.manifest"])
def test_annotations_of_other_kinds_are_named(tmp_path: Path, name: str) -> None:
    pictures(tmp_path, *(f"images/{i}.jpg" for i in range(3)))
    table(tmp_path, name, "{}")
    with pytest.raises(DataError, match=name):
        read_dataset(tmp_path)


def test_datumaro_is_whole_but_not_known(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"images/default/{i}.jpg" for i in range(3)))
    items = [{"id": str(i), "annotations": []} for i in range(3)]
    (tmp_path / "annotations").mkdir()
    file = tmp_path / "annotations" / "default.json"
    file.write_text(json.dumps({"info": {}, "categories": {"label": {}}, "items": items}), encoding="utf-8")
    assert json_kind(file) == ""
    with pytest.raises(DataError, match="is whole, but of no known format"):
        read_dataset(tmp_path)


def test_sorted_fields_of_a_flat_export_leave_the_picture_a_picture(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"images/p{i}.jpg" for i in range(3)))
    region = {"x": 10, "y": 10, "width": 20, "height": 20, "rectanglelabels": ["a"]}
    region |= {"original_width": 48, "original_height": 48}
    tasks = [
        {"annotation_id": i, "id": i, "image": f"/data/upload/1/1a2b3c4{i}-p{i}.jpg", "label": [region]}
        for i in range(3)
    ]
    (tmp_path / "min.json").write_text(json.dumps(tasks), encoding="utf-8")
    assert [len(found) for found in boxes(tmp_path)] == [1, 1, 1]


def test_a_table_in_the_one_folder_of_a_folder_counts(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"set/images/{i}.jpg" for i in range(4)))
    table(tmp_path, "set/metadata.csv", "file_name,label", *(f"images/{i}.jpg,{'ab'[i % 2]}" for i in range(4)))
    data = read_dataset(tmp_path)
    assert (data.source, data.classes, len(data)) == ("table", ("a", "b"), 4)


def test_names_that_look_like_labels_are_seen_beside_a_test_of_numbers(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"train/{kind}.{i}.jpg" for kind in ("cat", "dog") for i in range(3)))
    pictures(tmp_path, *(f"test1/{i}.jpg" for i in range(4)))
    with pytest.raises(DataError, match="add --label-from name"):
        read_dataset(tmp_path)


def test_a_folder_of_pictures_in_each_class_of_a_split_is_no_part_of_the_class(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"train/{kind}/images/{i}.jpg" for kind in ("n01", "n02") for i in range(3)))
    pictures(tmp_path, *(f"val/images/{i}.jpg" for i in range(3)))
    data = read_dataset(tmp_path)
    assert (data.classes, len(data)) == (("n01", "n02"), 6)
    assert [problem.kind for problem in data.problems] == ["unlabelled"] * 3


def test_annotations_called_like_the_whole_name_of_a_picture_are_not_passed_over(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{kind}/img/{i}.jpg" for kind in ("cats", "dogs") for i in range(3)))
    for kind in ("cats", "dogs"):
        for i in range(3):
            table(tmp_path, f"{kind}/ann/{i}.jpg.json", "{}")
    with pytest.raises(DataError, match=r"6 of 6 pictures have a \.json file of their name"):
        read_dataset(tmp_path)


def test_numbered_folders_below_classes_are_noted(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{kind}/patient{i}/1.jpg" for kind in ("ill", "well") for i in range(3)))
    assert "numbered folders" in {note.kind for note in read_dataset(tmp_path).notes}


def test_pictures_of_coco_may_have_only_an_address(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"train2017/{i:012d}.jpg" for i in range(2)))
    images = [{"id": i, "coco_url": f"http://images.example.org/train2017/{i:012d}.jpg"} for i in range(2)]
    found = [{"id": i, "image_id": i, "category_id": 1, "bbox": [1, 2, 3, 4]} for i in range(2)]
    text = {"images": images, "annotations": found, "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "lvis.json").write_text(json.dumps(text), encoding="utf-8")
    assert boxes(tmp_path) == [[[1, 2, 4, 6]], [[1, 2, 4, 6]]]


@pytest.mark.parametrize("extra", ["x,y", "width,height", "mask_path,height"])
def test_places_sizes_and_masks_beside_labels_are_attributes(tmp_path: Path, extra: str) -> None:
    pictures(tmp_path, *(f"images/{i}.png" for i in range(6)))
    masks(tmp_path, *(f"m/{i}_m.png" for i in range(6)))
    second = "m/{}_m.png" if "mask" in extra else "4{}"
    rows = (f"{i},{second.format(i)},30,{'ab'[i % 2]}" for i in range(6))
    data = read_dataset(table(tmp_path, "t.csv", f"name,{extra},label", *rows))
    assert {sample.id: sample.label for sample in data.samples} == {f"images/{i}.png": "ab"[i % 2] for i in range(6)}
    assert set(data.samples[0].groups) == set(extra.split(","))


def test_masks_beside_boxes_are_no_unlabelled_pictures(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"JPEGImages/{i}.jpg" for i in range(3)))
    masks(tmp_path, *(f"SegmentationClass/{i}.png" for i in range(3)))
    box = "<bndbox><xmin>3</xmin><ymin>3</ymin><xmax>20</xmax><ymax>20</ymax></bndbox>"
    text = f"<annotation><filename>{{}}.jpg</filename><object><name>cat</name>{box}</object></annotation>"
    for i in range(2):
        table(tmp_path, f"Annotations/{i}.xml", text.format(i))
    data = read_dataset(tmp_path)
    assert (data.source, len(data)) == ("voc", 2)
    assert [problem.id for problem in data.problems] == ["JPEGImages/2.jpg"]
    assert any("3 masks of pictures are left out" in note.message for note in data.notes)
