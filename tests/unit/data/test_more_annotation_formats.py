"""labelme, VGG Image Annotator, CreateML and tables of boxes, as their programs write them."""

from __future__ import annotations

import base64
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import picture
from PIL import Image

from photovision.core.errors import DataError
from photovision.core.regions import Detections
from photovision.core.shapes import Polygons, Rle
from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset

DIAMOND = [[20, 5], [30, 10], [20, 15], [10, 10]]


def found(data: Dataset, row: int = 0) -> Detections:
    regions = data.samples[row].annotations
    assert isinstance(regions, Detections)
    return regions


def kinds(data: Dataset) -> list[str]:
    return [note.kind for note in data.notes]


def left_out(data: Dataset) -> list[tuple[str, str]]:
    return [(problem.id, problem.kind) for problem in data.problems]


def splits(data: Dataset) -> dict[str, int]:
    return {name: len(rows) for name, rows in data.splits.items()}


# labelme


def shape(label: str, kind: str, points: Any, **rest: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **rest}


def labelme(file: Path, *shapes: Any, **rest: Any) -> Path:
    """A JSON file beside its picture."""
    picture(file.with_suffix(".jpg"))
    document = {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": f"{file.stem}.jpg"}
    size = {"imageData": None, "imageHeight": 40, "imageWidth": 60}
    file.write_text(json.dumps({**document, **size, **rest}))
    return file


def test_shapes_of_labelme(tmp_path: Path) -> None:
    labelme(
        tmp_path / "a.json",
        shape("cat", "polygon", DIAMOND),
        shape("dog", "rectangle", [[30, 20], [10, 5]]),
        shape("cat", "circle", [[20, 20], [25, 20]]),
        shape("dog", "point", [[1, 1]]),
        shape("dog", "linestrip", DIAMOND),
    )
    data = read_dataset(tmp_path)
    assert (data.source, data.annotation_type, data.classes) == ("labelme", "boxes", ("cat", "dog"))
    assert np.allclose(found(data).boxes, [[10, 5, 30, 15], [10, 5, 30, 20], [15, 15, 25, 25]])
    assert found(data).names == ("cat", "dog", "cat")
    assert kinds(data) == ["points and lines"]
    assert "2 such in all" in data.notes[0].message


def test_groups_of_labelme_are_one_object(tmp_path: Path) -> None:
    other = [[x + 25, y + 20] for x, y in DIAMOND]
    labelme(tmp_path / "a.json", *(shape("cat", "polygon", points, group_id=1) for points in (DIAMOND, other)))
    (drawn,) = found(read_dataset(tmp_path)).masks or ()
    assert isinstance(drawn, Polygons)
    assert len(drawn.parts) == 2


def test_masks_of_labelme(tmp_path: Path) -> None:
    inside = np.array([[0, 1, 1], [1, 1, 0]], dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(inside).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    bad = shape("cat", "mask", [[1, 1], [2, 2]], mask="~~")
    labelme(tmp_path / "a.json", shape("cat", "mask", [[10, 20], [12, 21]], mask=text), bad)
    data = read_dataset(tmp_path)
    (drawn,) = found(data).masks or ()
    assert isinstance(drawn, Rle)
    whole = np.zeros((40, 60), dtype=bool)
    whole[20:22, 10:13] = inside > 0
    assert (drawn.bitmap() == whole).all()
    assert kinds(data) == ["bad annotation"]


def test_flags_of_labelme_are_classes(tmp_path: Path) -> None:
    for name, flag in (("a", "good"), ("b", "bad"), ("c", "")):
        labelme(tmp_path / f"{name}.json", flags={"good": flag == "good", "bad": flag == "bad"})
    data = read_dataset(tmp_path)
    assert (data.annotation_type, data.multilabel, data.classes) == ("labels", False, ("bad", "good"))
    assert data.labels.tolist() == [1, 0]
    assert left_out(data) == [("c.jpg", "unlabelled")]


def test_flags_beside_shapes_are_attributes(tmp_path: Path) -> None:
    labelme(tmp_path / "a.json", shape("cat", "polygon", DIAMOND), flags={"night": True})
    data = read_dataset(tmp_path)
    assert data.annotation_type == "boxes"
    assert data.samples[0].groups == {"flags": "night"}


@pytest.mark.parametrize("name", ["..\\images\\a.jpg", "../images/a.jpg", "C:\\Users\\me\\a.jpg", "gone.jpg"])
def test_json_files_in_a_folder_of_their_own(tmp_path: Path, name: str) -> None:
    file = labelme(tmp_path / "images" / "a.json", shape("cat", "polygon", DIAMOND), imagePath=name)
    (tmp_path / "json").mkdir()
    file.rename(tmp_path / "json" / "a.json")
    assert [sample.id for sample in read_dataset(tmp_path).samples] == ["images/a.jpg"]


def test_a_picture_that_is_only_inside_its_json_is_named(tmp_path: Path) -> None:
    labelme(tmp_path / "a.json", shape("cat", "polygon", DIAMOND))
    labelme(tmp_path / "b.json", shape("cat", "polygon", DIAMOND), imageData="/9j/4AAQ" * 9)
    (tmp_path / "b.jpg").unlink()
    data = read_dataset(tmp_path)
    assert left_out(data) == [("b.json", "missing")]
    assert "imageData" in data.problems[0].message


def test_splits_and_bad_files_of_labelme(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        labelme(tmp_path / split / f"{split}.json", shape("cat", "polygon", DIAMOND))
    (tmp_path / "train" / "x.json").write_text('{"shapes": [')
    (tmp_path / "train" / "y.json").write_text('{"name": "settings"}')
    picture(tmp_path / "train" / "z.jpg")
    data = read_dataset(tmp_path)
    assert splits(data) == {"train": 1, "val": 1}
    assert left_out(data) == [("train/x.json", "bad file"), ("train/y.json", "bad file"), ("train/z.jpg", "unlabelled")]


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        5,
        {},
        shape("cat", "polygon", [[1, 2], [3, 4]]),
        shape("cat", "polygon", [[1, 2], [3, float("nan")], [5, 6]]),
        shape("cat", "polygon", "x"),
        shape("", "polygon", DIAMOND),
        shape("cat", "rectangle", [[1, 2]]),
        shape("cat", "circle", [[1, 2], [1, 2]]),
        shape("cat", "cuboid", DIAMOND),
        shape("cat", "rectangle", [[1, 1e300], [2, 2]]),
    ],
)
def test_shapes_of_labelme_that_are_none(tmp_path: Path, wrong: Any) -> None:
    labelme(tmp_path / "a.json", shape("cat", "polygon", DIAMOND), wrong)
    data = read_dataset(tmp_path)
    assert len(found(data)) == 1
    assert kinds(data) == ["bad annotation"]
    assert "a.json, shapes[1]" in data.notes[0].message


# VGG Image Annotator

RECT = {"name": "rect", "x": 10, "y": 5, "width": 20, "height": 10}
POLYGON = {"name": "polygon", "all_points_x": [20, 30, 20, 10], "all_points_y": [5, 10, 15, 10]}


def region(shape_: Any, **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape_, "region_attributes": attributes}


def via(folder: Path, *regions: Any, project: bool = True, attributes: Any = None, **file_attributes: Any) -> Path:
    """A project, or an export as JSON, of one picture."""
    picture(folder / "a.jpg")
    entry = {"filename": "a.jpg", "size": 7, "regions": list(regions), "file_attributes": file_attributes}
    document: dict[str, Any] = {"a.jpg7": entry}
    if project:
        document = {"_via_settings": {}, "_via_img_metadata": document, "_via_attributes": attributes or {}}
    (folder / "via.json").write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize("project", [True, False])
def test_regions_of_via(tmp_path: Path, project: bool) -> None:
    circle = {"name": "circle", "cx": 20, "cy": 20, "r": 5}
    ellipse = {"name": "ellipse", "cx": 20, "cy": 20, "rx": 10, "ry": 5, "theta": np.pi / 2}
    regions = [
        region(one, **{"class": "cat"}) for one in (RECT, POLYGON, circle, ellipse, {"name": "point", "cx": 1, "cy": 1})
    ]
    data = read_dataset(via(tmp_path, *regions, project=project))
    assert (data.source, data.annotation_type, data.classes) == ("via", "boxes", ("cat",))
    expected = [[10, 5, 30, 15], [10, 5, 30, 15], [15, 15, 25, 25], [15, 10, 25, 30]]
    assert np.allclose(found(data).boxes, expected, atol=0.01)
    assert kinds(data) == ["points and lines"]


def test_regions_of_the_first_version_of_via(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    entry = {
        "fileref": "",
        "size": 7,
        "filename": "a.jpg",
        "file_attributes": {},
        "regions": {"0": region(RECT), "1": region(POLYGON)},
    }
    (tmp_path / "via_region_data.json").write_text(json.dumps({"a.jpg7": entry}))
    data = read_dataset(tmp_path)
    assert found(data).names == ("object", "object")
    assert kinds(data) == ["class names"]


def test_a_table_of_via(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    head = "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    cells = [json.dumps(cell).replace('"', '""') for cell in (RECT, {"class": "cat"}, POLYGON, {"class": "dog"})]
    rows = [
        head,
        f'a.jpg,7,"{{}}",2,0,"{cells[0]}","{cells[1]}"',
        f'a.jpg,7,"{{}}",2,1,"{cells[2]}","{cells[3]}"',
        'a.jpg,7,"{}",2,1,"{","{}"',
        'b.jpg,7,"{}",0,0,"{}","{}"',
    ]
    (tmp_path / "via.csv").write_text("\n".join(rows))
    for source in (tmp_path, tmp_path / "via.csv"):
        data = read_dataset(source)
        assert found(data).names == ("cat", "dog")
        assert len(found(data, 1)) == 0
        assert kinds(data) == ["bad annotation"]
        assert "via.csv, line 4" in data.notes[0].message


def test_which_attribute_of_via_is_the_class(tmp_path: Path) -> None:
    via(tmp_path, region(RECT, colour="red", type="car"), region(RECT, colour="blue", type={"bus": True, "van": False}))
    data = read_dataset(tmp_path)
    assert found(data).names == ("car", "bus")
    assert "left out: colour" in data.notes[0].message
    assert read_dataset(tmp_path, label_column="colour").classes == ("blue", "red")
    with pytest.raises(DataError, match="it has: colour, type"):
        read_dataset(tmp_path, label_column="size")


def test_numbers_that_stand_for_classes_in_via(tmp_path: Path) -> None:
    attribute = {"type": "dropdown", "options": {"1": "cat", "2": "dog"}}
    via(tmp_path, region(RECT, kind="2"), attributes={"region": {"kind": attribute}})
    assert read_dataset(tmp_path).classes == ("dog",)


def test_attributes_of_via_that_are_the_classes_themselves(tmp_path: Path) -> None:
    data = read_dataset(via(tmp_path, region(RECT, cat=""), region(POLYGON, dog="")))
    assert found(data).names == ("cat", "dog")
    assert kinds(data) == ["class names"]


def test_pictures_of_via_without_regions_are_classified(tmp_path: Path) -> None:
    data = read_dataset(via(tmp_path, state="sick", caption="a long text"))
    assert (data.annotation_type, data.classes) == ("labels", ("sick",))
    assert data.samples[0].groups == {"caption": "a long text"}


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        5,
        {},
        region(None),
        region({"name": "rect", "x": "a"}, kind="cat"),
        region({**RECT, "width": -5}, kind="cat"),
        region({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]}, kind="cat"),
        region({"name": "polygon", "all_points_x": [1, 2, float("inf")], "all_points_y": [1, 2, 3]}, kind="cat"),
        region({"name": "circle", "cx": 1, "cy": 1, "r": 0}, kind="cat"),
        region({"name": "star"}, kind="cat"),
        region(RECT),
    ],
)
def test_regions_of_via_that_are_none(tmp_path: Path, wrong: Any) -> None:
    data = read_dataset(via(tmp_path, region(RECT, kind="cat"), wrong))
    assert len(found(data)) == 1
    assert kinds(data) == ["bad annotation"]
    assert "via.json, picture 1, region 2" in data.notes[0].message


# CreateML


def createml(file: Path, *entries: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(entries))


def boxed(name: str, *labels: str) -> dict[str, Any]:
    sides = {"x": 20, "y": 10, "width": 20, "height": 10}
    return {"image": name, "annotations": [{"label": label, "coordinates": sides} for label in labels]}


def test_createml_of_roboflow(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        picture(tmp_path / split / f"{split}.jpg")
        picture(tmp_path / split / f"{split}2.jpg")
        createml(tmp_path / split / "_annotations.createml.json", boxed(f"{split}.jpg", "cat"), boxed(f"{split}2.jpg"))
    data = read_dataset(tmp_path)
    assert (data.source, data.classes) == ("createml", ("cat",))
    assert splits(data) == {"train": 2, "val": 2, "test": 2}
    assert found(data).boxes.tolist() == [[10, 5, 30, 15]]
    assert sum(len(found(data, row)) for row in range(6)) == 3
    assert not data.problems
    assert not data.notes


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": "cat"},
        {"label": "cat", "coordinates": {"x": 1, "y": 2, "width": 3}},
        {"label": "cat", "coordinates": {"x": 1, "y": 2, "width": 3, "height": "x"}},
        {"label": "cat", "coordinates": {"x": 1, "y": 2, "width": -3, "height": 4}},
        {"coordinates": {"x": 1, "y": 2, "width": 3, "height": 4}},
        None,
        [1],
    ],
)
def test_entries_of_createml_that_are_none(tmp_path: Path, wrong: Any) -> None:
    picture(tmp_path / "a.jpg")
    entry = boxed("a.jpg", "cat")
    entry["annotations"].append(wrong)
    createml(tmp_path / "boxes.json", entry, None, {"image": 5}, boxed("../a.jpg", "cat"))
    data = read_dataset(tmp_path)
    assert len(found(data)) == 1
    assert "boxes.json, entry 1, annotation 2" in data.notes[0].message
    assert [kind for _, kind in left_out(data)] == ["bad entry", "bad entry", "repeated"]


# Tables of boxes

HEAD = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


def test_tables_of_roboflow(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        picture(tmp_path / split / f"{split}.jpg")
        picture(tmp_path / split / "empty.jpg")
        picture(tmp_path / split / "unknown.jpg")
        rows = f"{split}.jpg,60,40,cat,10,5,30,15\n{split}.jpg,60,40,dog,0,0,60,40\nempty.jpg,60,40,,,,,\n"
        (tmp_path / split / "_annotations.csv").write_text(HEAD + rows)
    data = read_dataset(tmp_path)
    assert (data.source, data.annotation_type, data.classes) == ("boxcsv", "boxes", ("cat", "dog"))
    assert splits(data) == {"train": 2, "val": 2, "test": 2}
    assert found(data).boxes.tolist() == [[10, 5, 30, 15], [0, 0, 60, 40]]
    assert sorted(left_out(data)) == [(f"{split}/unknown.jpg", "unlabelled") for split in ("test", "train", "valid")]
    alone = read_dataset(tmp_path / "train" / "_annotations.csv")
    assert (alone.source, len(alone)) == ("boxcsv", 2)


@pytest.mark.parametrize(
    "text",
    [
        "images/a.jpg,10,5,30,15,cat\nimages/b.jpg,,,,,\n",
        "a.jpg,10,5,30,15,cat,60,40\nb.jpg,,,,,,60,40\n",
        'image_id,bbox,class\na,"[10, 5, 20, 10]",cat\nb,[],\n',
        "image;label;x1;y1;x2;y2\na.jpg;cat;10.0;5.0;30.0;15.0\nb.jpg;;;;;\n",
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsGroupOf\n"
        "a,x,/m/01yrx,1,0.166666666,0.5,0.125,0.375,0,0\nb,x,,,,,,,,\n",
    ],
    ids=["retinanet", "sku110k", "wheat", "semicolons", "open images"],
)
def test_tables_of_others(tmp_path: Path, text: str) -> None:
    for name in ("a", "b"):
        picture(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "train.csv").write_text(text)
    (tmp_path / "class-descriptions-boxable.csv").write_text("/m/01yrx,cat\n")
    for source in (tmp_path, tmp_path / "train.csv"):
        data = read_dataset(source)
        assert data.source == "boxcsv"
        assert np.allclose(found(data).boxes, [[10, 5, 30, 15]], atol=0.01)
        assert len(found(data, 1)) == 0
        assert data.classes == ("cat",)


SMALL = "0.25,0.25,0.5,0.5"


@pytest.mark.parametrize(
    ("unit", "corner", "doubt"),
    [("", (30, 20), ["fractions"]), ("pixels", (0.5, 0.5), ["tiny boxes"]), ("Normalized", (30, 20), [])],
)
def test_the_unit_of_a_table_is_stated_or_said(
    tmp_path: Path, unit: str, corner: tuple[float, float], doubt: list[str]
) -> None:
    picture(tmp_path / "a.jpg")
    column, cell = (",unit", f",{unit}") if unit else ("", "")
    (tmp_path / "_annotations.csv").write_text(f"{HEAD.strip()}{column}\na.jpg,60,40,cat,{SMALL}{cell}\n")
    data = read_dataset(tmp_path)
    assert found(data).boxes[0, 2:].tolist() == list(corner)
    assert kinds(data) == doubt


def test_a_unit_that_is_not_known_or_not_the_same_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    file = tmp_path / "_annotations.csv"
    for units in (("metres",), ("pixels", "fractions")):
        rows = "".join(f"a.jpg,60,40,cat,{SMALL},{unit}\n" for unit in units)
        file.write_text(f"{HEAD.strip()},unit\n{rows}")
        with pytest.raises(DataError, match=f"'pixels' or 'fractions', got .*'{units[0]}'"):
            read_dataset(tmp_path)


def test_fractions_a_little_over_the_edge_stay_fractions(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "_annotations.csv").write_text(f"{HEAD}a.jpg,60,40,cat,0.5,0.5,1.01,1\n")
    assert np.allclose(found(read_dataset(tmp_path)).boxes, [[30, 20, 60.6, 40]])


def test_pixels_that_look_like_fractions_are_said(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    coco = {"images": [{"id": 1, "file_name": "a.jpg", "height": 40, "width": 60}]}
    coco |= {"categories": [{"id": 1, "name": "cat"}]}
    coco |= {"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0.25, 0.25, 0.25, 0.25]}]}
    (tmp_path / "annotations.json").write_text(json.dumps(coco))
    data = read_dataset(tmp_path)
    assert kinds(data) == ["tiny boxes"]
    assert "fractions" in data.notes[0].message


def test_tables_without_classes(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "boxes.csv").write_text('image_id,width,height,bbox,source\na,60,40,"[10.0, 5.0, 20.0, 10.0]",x\n')
    data = read_dataset(tmp_path)
    assert data.classes == ("object",)
    assert kinds(data)[:2] == ["columns", "class names"]


@pytest.mark.parametrize(
    "row",
    [
        "a.jpg,60,40,cat,nan,1,2,3",
        "a.jpg,60,40,cat,9,1,2,3",
        "a.jpg,60,40,cat,1,1",
        "a.jpg,60,40,,1,1,2,2",
        "a.jpg,60,40,cat,1e99,1,2,3",
    ],
)
def test_rows_of_boxes_that_are_none(tmp_path: Path, row: str) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "_annotations.csv").write_text(
        f"{HEAD}a.jpg,60,40,cat,10,5,30,15\n{row}\n/etc/passwd,1,1,cat,0,0,1,1\n"
    )
    data = read_dataset(tmp_path)
    assert len(found(data)) == 1
    assert "_annotations.csv, line 3" in data.notes[0].message
    assert [kind for _, kind in left_out(data)] == ["outside"]


def test_tables_that_are_no_text(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "_annotations.csv").write_bytes(HEAD.encode() + b"a.jpg,60,40,K\xe4fer,10,5,30,15\n")
    with pytest.raises(DataError, match="not a table in UTF-8"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["boxcsv", "createml", "via"])
def test_a_million_objects_take_little_memory(tmp_path: Path, name: str) -> None:
    """A part of it here: what is kept of each is some 30 bytes, and nothing is held of the text."""
    count = 12_000
    picture(tmp_path / "a.jpg")
    for number in range(12):
        picture(tmp_path / f"{number}.jpg")
    if name == "boxcsv":
        text = HEAD + "".join(f"{n % 12}.jpg,60,40,cat,10,5,30,15\n" for n in range(count))
        file = tmp_path / "_annotations.csv"
    elif name == "createml":
        text = json.dumps([boxed(f"{n}.jpg", *["cat"] * (count // 12)) for n in range(12)])
        file = tmp_path / "boxes.json"
    else:
        entries = {
            str(n): {"filename": f"{n}.jpg", "regions": [region(RECT, kind="cat")] * (count // 12)} for n in range(12)
        }
        text, file = json.dumps({"_via_img_metadata": entries}), tmp_path / "via.json"
    file.write_text(text)
    tracemalloc.start()
    data = read_dataset(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(len(found(data, row)) for row in range(len(data))) == count
    assert peak < 6_000_000
