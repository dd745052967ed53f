"""Annotation files as programs and people leave them: names of other machines, odd parts, labels of whole pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from annotated import coco, picture

from photovision.core.errors import DataError
from photovision.core.regions import Detections
from photovision.core.shapes import Polygons
from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset

IMAGE = {"id": 1, "file_name": "a.jpg", "height": 40, "width": 60}
BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 10]}
DIAMOND = [20, 5, 30, 10, 20, 15, 10, 10]


def found(data: Dataset, row: int = 0) -> Detections:
    regions = data.samples[row].annotations
    assert isinstance(regions, Detections)
    return regions


def kinds(data: Dataset) -> list[str]:
    """Kinds of the notes, but for those on how names were found."""
    return [note.kind for note in data.notes if not note.kind.startswith("found by")]


# COCO


@pytest.mark.parametrize(("image", "category"), [("1", 1), (1.0, "1"), (" 1", 1.0), (1, 1)])
def test_ids_as_text_and_as_numbers_are_the_same(tmp_path: Path, image: Any, category: Any) -> None:
    data = read_dataset(coco(tmp_path, [{**BOX, "image_id": image, "category_id": category}]))
    assert found(data).boxes.tolist() == [[10, 5, 30, 15]]
    assert not data.notes


def test_coco_of_via(tmp_path: Path) -> None:
    data = read_dataset(coco(tmp_path, [{**BOX, "segmentation": DIAMOND}], [{**IMAGE, "width": -1, "height": -1}]))
    (shape,) = found(data).masks or ()
    assert isinstance(shape, Polygons)
    assert shape.parts[0].ravel().tolist() == DIAMOND
    assert not data.notes


def test_boxes_come_from_outlines_where_there_are_none(tmp_path: Path) -> None:
    drawn = {key: value for key, value in BOX.items() if key != "bbox"} | {"segmentation": [DIAMOND]}
    data = read_dataset(coco(tmp_path, [drawn, {**drawn, "id": 2, "bbox": [1, float("nan"), 2, 2]}]))
    assert found(data).boxes.tolist() == [[10, 5, 30, 15]] * 2
    assert kinds(data) == ["no box"]


def test_good_parts_of_an_outline_are_kept(tmp_path: Path) -> None:
    data = read_dataset(coco(tmp_path, [{**BOX, "segmentation": [DIAMOND, [1, 1, 5, 5]]}]))
    (shape,) = found(data).masks or ()
    assert isinstance(shape, Polygons)
    assert len(shape.parts) == 1
    assert kinds(data) == ["bad part"]


def test_boxes_that_cvat_turned(tmp_path: Path) -> None:
    data = read_dataset(
        coco(tmp_path, [{**BOX, "attributes": {"rotation": 90.0}}, {**BOX, "id": 2, "attributes": {"rotation": 0}}])
    )
    assert np.allclose(found(data).boxes, [[15, 0, 25, 20], [10, 5, 30, 15]])
    turned, straight = found(data).masks or ()
    assert isinstance(turned, Polygons)
    assert straight is None


@pytest.mark.parametrize(
    "name",
    [
        "..\\..\\label-studio\\media\\upload\\4\\a.jpg",
        "images\\a.jpg",
        "https://host.example/files/a.jpg?token=1",
        "/home/me/project/images/a.jpg",
        "C:\\Users\\me\\a.jpg",
        "data/images/a.jpg",
        "a",
        "A.JPG",
    ],
)
def test_names_of_other_machines_are_found_by_their_end(tmp_path: Path, name: str) -> None:
    data = read_dataset(coco(tmp_path, [BOX], [{**IMAGE, "file_name": name}]))
    assert [sample.id for sample in data.samples] == ["images/a.jpg"]
    assert len(found(data)) == 1


def test_names_that_two_files_end_with_are_not_guessed(tmp_path: Path) -> None:
    coco(tmp_path, [BOX], [{**IMAGE, "id": 2, "file_name": "/elsewhere/b.jpg"}, IMAGE])
    for folder in ("one", "two"):
        picture(tmp_path / folder / "b.jpg")
    data = read_dataset(tmp_path)
    assert len(data) == 1
    assert next(problem.kind for problem in data.problems) in ("ambiguous", "missing")


def test_splits_in_files_and_in_folders(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        folder = tmp_path / "folders" / split
        picture(folder / f"{split}.jpg")
        document = {
            "images": [{**IMAGE, "file_name": f"{split}.jpg"}],
            "categories": [{"id": 1, "name": "bolt"}],
            "annotations": [BOX],
        }
        (folder / "_annotations.coco.json").write_text(json.dumps(document))
        picture(tmp_path / "files" / f"{split}2017" / f"{split}.jpg")
        (tmp_path / "files" / "annotations").mkdir(exist_ok=True)
        (tmp_path / "files" / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(document))
        captions = {**document, "annotations": [{"id": 1, "image_id": 1, "caption": "a bolt"}]}
        del captions["categories"]
        (tmp_path / "files" / "annotations" / f"captions_{split}2017.json").write_text(json.dumps(captions))
    for name in ("folders", "files"):
        data = read_dataset(tmp_path / name)
        assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 1, "val": 1, "test": 1}
        assert not data.problems
        assert kinds(data) == ([] if name == "folders" else ["not read"] * 3)


def test_captions_alone_are_named(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    document = {"images": [IMAGE], "annotations": [{"id": 1, "image_id": 1, "caption": "a bolt"}]}
    (tmp_path / "captions_val.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"captions_val\.json holds captions"):
        read_dataset(tmp_path)


def test_key_points_are_left_out_and_counted(tmp_path: Path) -> None:
    points = {"keypoints": [12, 7, 2], "num_keypoints": 1}
    data = read_dataset(coco(tmp_path, [{**BOX, **points}, {**BOX, **points, "id": 2}]))
    assert len(found(data)) == 2
    assert kinds(data) == ["key points"]
    assert "2 such in all" in data.notes[0].message


def test_one_bad_file_of_coco_does_not_cost_the_others(tmp_path: Path) -> None:
    coco(tmp_path / "data", [BOX])
    (tmp_path / "data" / "annotations").mkdir()
    good = (tmp_path / "data" / "annotations.json").rename(tmp_path / "data" / "annotations" / "instances_train.json")
    document = json.loads(good.read_text())
    picture(tmp_path / "data" / "images" / "b.jpg")
    document["images"][0]["file_name"] = "b.jpg"
    (good.parent / "instances_val.json").write_text(json.dumps(document)[:-10])
    data = read_dataset(tmp_path / "data")
    assert [sample.id for sample in data.samples] == ["images/a.jpg"]
    assert data.splits == {"train": (0,), "val": ()}
    assert [(problem.id, problem.kind) for problem in data.problems] == [
        ("annotations/instances_val.json", "bad file"),
        ("images/b.jpg", "unlabelled"),
    ]


# CVAT


def cvat(folder: Path, *images: str) -> Path:
    """An export with pictures 0.jpg, 1.jpg ... that hold these elements."""
    text = ""
    for number, inner in enumerate(images):
        picture(folder / "images" / f"{number}.jpg")
        text += f'<image id="{number}" name="{number}.jpg" width="60" height="40">{inner}</image>'
    (folder / "annotations.xml").write_text(f"<annotations>{text}</annotations>")
    return folder


def test_tags_of_whole_pictures_are_classes(tmp_path: Path) -> None:
    data = read_dataset(cvat(tmp_path, '<tag label="sick"></tag>', '<tag label="well"/>', ""))
    assert (data.annotation_type, data.multilabel, data.classes) == ("labels", False, ("sick", "well"))
    assert data.labels.tolist() == [0, 1]
    assert [problem.kind for problem in data.problems] == ["unlabelled"]


def test_several_tags_are_several_labels(tmp_path: Path) -> None:
    data = read_dataset(cvat(tmp_path, '<tag label="a"/><tag label="b"/>', '<tag label="b"/>'))
    assert data.multilabel
    assert data.label_matrix.tolist() == [[1, 1], [0, 1]]


def test_tags_beside_boxes_are_attributes(tmp_path: Path) -> None:
    box = '<box label="car" xtl="1" ytl="1" xbr="5" ybr="5"><attribute name="colour">red</attribute></box>'
    data = read_dataset(cvat(tmp_path, f'{box}<tag label="night"/>', box))
    assert (data.annotation_type, data.classes) == ("boxes", ("car",))
    assert [sample.groups for sample in data.samples] == [{"tag": "night"}, {}]
    assert kinds(data) == ["labels of whole pictures", "attributes"]


def test_ellipses_are_outlines(tmp_path: Path) -> None:
    data = read_dataset(cvat(tmp_path, '<ellipse label="a" cx="20" cy="20" rx="5" ry="10" rotation="90"/>'))
    assert np.allclose(found(data).boxes, [[10, 15, 30, 25]], atol=0.01)


# Label Studio


def studio(folder: Path, *tasks: Any) -> Path:
    for name in ("a", "b", "c"):
        picture(folder / "images" / f"{name}.jpg")
    (folder / "export.json").write_text(json.dumps(tasks))
    return folder


def task(name: str, *results: Any, **rest: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "data": {"image": f"/data/upload/1/1a2b3c4d-{name}.jpg"},
        "annotations": [{"result": results}],
        **rest,
    }


def choice(*names: str, question: str = "state") -> dict[str, Any]:
    return {"type": "choices", "from_name": question, "to_name": "image", "value": {"choices": list(names)}}


DRAWN = {
    "id": "x",
    "type": "rectanglelabels",
    "original_width": 60,
    "original_height": 40,
    "value": {"x": 50, "y": 50, "width": 10, "height": 10, "rectanglelabels": ["car"]},
}


def test_choices_are_classes(tmp_path: Path) -> None:
    data = read_dataset(studio(tmp_path, task("a", choice("sick")), task("b", choice("well")), task("c")))
    assert (data.source, data.annotation_type, data.multilabel, data.classes) == (
        "labelstudio", "labels", False, ("sick", "well"),
    )  # fmt: skip
    assert data.labels.tolist() == [0, 1]
    assert [problem.kind for problem in data.problems] == ["unlabelled"]


def test_several_choices_are_several_labels(tmp_path: Path) -> None:
    data = read_dataset(studio(tmp_path, task("a", choice("rust", "scab")), task("b", choice("rust")), task("c")))
    assert data.multilabel
    assert data.label_matrix.tolist() == [[1, 1], [1, 0], [0, 0]]
    assert kinds(data) == ["no labels"]


def test_a_taxonomy_is_paths(tmp_path: Path) -> None:
    value = {"type": "taxonomy", "from_name": "t", "value": {"taxonomy": [["animal", "cat"]]}}
    data = read_dataset(studio(tmp_path, task("a", value), task("b", choice("plant", question="t"))))
    assert data.classes == ("animal/cat", "plant")


def test_one_question_gives_the_classes_and_can_be_chosen(tmp_path: Path) -> None:
    night, sick = choice("night", question="light"), choice("sick")
    data = read_dataset(
        studio(tmp_path, task("a", night), task("b", night, sick), task("c", choice("day", question="light")))
    )
    assert data.classes == ("day", "night")
    assert data.samples[1].groups == {"state": "sick"}
    chosen = read_dataset(tmp_path, label_column="state")
    assert chosen.classes == ("sick",)
    assert chosen.samples[0].groups == {"light": "night"}
    with pytest.raises(DataError, match="it has: light, state"):
        read_dataset(tmp_path, label_column="colour")


def test_choices_beside_boxes_are_attributes(tmp_path: Path) -> None:
    data = read_dataset(studio(tmp_path, task("a", DRAWN, choice("night")), task("b", DRAWN)))
    assert (data.annotation_type, data.classes) == ("boxes", ("car",))
    assert [sample.groups for sample in data.samples] == [{"state": "night"}, {}]
    assert kinds(data) == ["labels of whole pictures"]


def test_labels_of_regions_in_results_of_their_own(tmp_path: Path) -> None:
    place = {key: DRAWN["value"][key] for key in ("x", "y", "width", "height")}  # type: ignore[index]
    bare = {**DRAWN, "type": "rectangle", "value": place}
    named = {**DRAWN, "type": "labels", "value": {**place, "labels": ["bus"]}}
    data = read_dataset(studio(tmp_path, task("a", bare, named), task("b", bare, {**choice("van"), "id": "x"})))
    assert [found(data, row).names for row in (0, 1)] == [("bus",), ("van",)]
    assert not kinds(data)


def test_whose_annotation_counts(tmp_path: Path) -> None:
    people = [
        {"result": [choice("first")], "ground_truth": True},
        {"result": [choice("last")]},
        {"result": [choice("cancelled")], "was_cancelled": True},
    ]
    guess = {"result": [choice("guess")]}
    data = read_dataset(
        studio(
            tmp_path,
            task("a", annotations=people),
            task("b", annotations=people[1:]),
            task("c", annotations=[], predictions=[guess]),
        )
    )
    assert [sample.target for sample in data.samples] == [("first",), ("last",)]
    assert [problem.id for problem in data.problems] == ["images/c.jpg"]
    assert sorted(kinds(data)) == ["predictions", "several people"]


@pytest.mark.parametrize(
    "name",
    [
        "/data/local-files/?d=cells%5Cimages%5Cmy%20cell.jpg",
        "/data/local-files/?d=cells/images/my%20cell.jpg",
        "/data/upload/3/" + quote("0a1b2c3d-my cell.jpg"),
        "s3://bucket/images/my%20cell.jpg",
        "images\\my cell.jpg",
    ],
)
def test_addresses_of_label_studio(tmp_path: Path, name: str) -> None:
    studio(tmp_path, {"data": {"image": name}, "annotations": [{"result": [choice("sick")]}]})
    picture(tmp_path / "images" / "my cell.jpg")
    assert [sample.id for sample in read_dataset(tmp_path).samples] == ["images/my cell.jpg"]


def test_the_small_json_of_label_studio(tmp_path: Path) -> None:
    facts = {
        "annotator": 1,
        "annotation_id": 7,
        "created_at": "2024-01-01",
        "updated_at": "2024-01-01",
        "lead_time": 3.1,
    }
    studio(
        tmp_path / "choices",
        {"image": "/data/upload/1/1a2b3c4d-a.jpg", "patient": "7", "id": 1, "verdict": "sick", **facts},
        {
            "image": "/data/upload/1/1a2b3c4d-b.jpg",
            "patient": "8",
            "id": 2,
            "verdict": {"choices": ["sick", "old"]},
            **facts,
        },
    )
    data = read_dataset(tmp_path / "choices")
    assert [sample.target for sample in data.samples] == [("sick",), ("old", "sick")]
    assert data.samples[0].groups["patient"] == "7"
    region = {**DRAWN["value"], "original_width": 60, "original_height": 40}  # type: ignore[dict-item]
    studio(tmp_path / "boxes", {"image": "a.jpg", "id": 1, "label": [region], **facts})
    assert np.allclose(found(read_dataset(tmp_path / "boxes")).boxes, [[30, 20, 36, 24]])


# Pascal VOC


def voc(folder: Path, *names: str, text: str = "", encoding: str = "utf-8", head: str = "") -> Path:
    edges = "<xmin>1</xmin><ymin>1.5</ymin><xmax>30.5</xmax><ymax>20</ymax>"
    thing = f"<object><name>{text or 'x'}</name><bndbox>{edges}</bndbox></object>"
    for name in names:
        picture(folder / "JPEGImages" / f"{name}.jpg")
        (folder / "Annotations").mkdir(exist_ok=True)
        document = (
            f"{head}<annotation verified='yes'><filename>C:\\Users\\me\\{name}.jpg</filename>{thing}</annotation>"
        )
        (folder / "Annotations" / f"{name}.xml").write_bytes(document.encode(encoding))
    return folder


def test_one_damaged_file_of_voc_does_not_cost_the_others(tmp_path: Path) -> None:
    voc(tmp_path, *"abcde")
    for name, content in (("a", b"<annotation><fil"), ("b", b"<annotation>\xff\xfe\x80</annotation>"), ("c", b"")):
        (tmp_path / "Annotations" / f"{name}.xml").write_bytes(content)
    data = read_dataset(tmp_path)
    assert [sample.id for sample in data.samples] == ["JPEGImages/d.jpg", "JPEGImages/e.jpg"]
    assert sorted(problem.kind for problem in data.problems) == ["bad file"] * 3 + ["unlabelled"] * 3


@pytest.mark.parametrize(
    ("encoding", "declared", "text"),
    [
        ("gbk", "gbk", "猫"),
        ("gbk", "GB2312", "狗镕"),
        ("shift_jis", "Shift_JIS", "ねこ"),
        ("big5", "Big5", "貓"),
        ("euc-kr", "EUC-KR", "고양이"),
        ("euc-jp", "euc-jp", "犬"),
        ("latin-1", "ISO-8859-1", "Käfer"),
        ("cp1252", "windows-1252", "Käfer"),
        ("utf-16", "utf-16", "猫"),
    ],
)
def test_encodings_of_the_world(tmp_path: Path, encoding: str, declared: str, text: str) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>'
    data = read_dataset(voc(tmp_path, "a", text=text, encoding=encoding, head=head), format="voc")
    assert data.classes == (text,)


def test_an_encoding_that_is_not_what_it_declares(tmp_path: Path) -> None:
    voc(tmp_path, "a", "b")
    text = b'<?xml version="1.0" encoding="gbk"?><annotation><filename>a.jpg</filename></annotation>'
    (tmp_path / "Annotations" / "a.xml").write_bytes(text + b"<!-- \xff\xff -->")
    data = read_dataset(tmp_path)
    assert len(data) == 1
    assert "as it declares" in data.problems[0].message


@pytest.mark.parametrize("layout", ["split/Annotations", "VOCdevkit/VOC2012/Annotations", "split"])
def test_folders_of_voc(tmp_path: Path, layout: str) -> None:
    for split in ("train", "valid"):
        inner = tmp_path / layout.replace("split", split)
        picture((inner.parent / "JPEGImages" if layout.endswith("Annotations") else inner) / f"{split}.jpg")
        inner.mkdir(parents=True, exist_ok=True)
        thing = (
            "<object><name>x</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
        )
        (inner / f"{split}.xml").write_text(f"<annotation><filename>{split}.jpg</filename>{thing}</annotation>")
    if "VOC2012" in layout:
        sets = tmp_path / "VOCdevkit" / "VOC2012" / "ImageSets" / "Main"
        sets.mkdir(parents=True)
        for split in ("train", "valid"):
            (sets / f"{split}.txt").write_text(f"{split}\n")
    data = read_dataset(tmp_path)
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 1, "val": 1}
    assert not data.problems


def test_xml_in_utf_16_is_found(tmp_path: Path) -> None:
    voc(tmp_path, "a", text="Käfer", encoding="utf-16", head='<?xml version="1.0" encoding="utf-16"?>')
    assert read_dataset(tmp_path).classes == ("Käfer",)


def test_turned_boxes_of_voc(tmp_path: Path) -> None:
    voc(tmp_path, "a")
    edges = "<cx>31</cx><cy>21</cy><w>20</w><h>10</h><angle>1.5707963</angle>"
    text = f"<annotation><object><name>x</name><robndbox>{edges}</robndbox></object></annotation>"
    (tmp_path / "Annotations" / "a.xml").write_text(text)
    regions = found(read_dataset(tmp_path))
    assert regions.masks is not None
    assert np.allclose(regions.boxes, [[25, 10, 36, 31]], atol=1)


def test_one_bad_file_of_cvat_does_not_cost_the_others(tmp_path: Path) -> None:
    box = '<box label="car" xtl="1" ytl="1" xbr="5" ybr="5"/>'
    cvat(tmp_path, box, box)
    (tmp_path / "annotations.xml").write_text(f'<annotations><image name="0.jpg">{box}</image></annotations>')
    (tmp_path / "job_2.xml").write_text(f'<annotations><image name="1.jpg">{box}</image><image na')
    data = read_dataset(tmp_path)
    assert [sample.id for sample in data.samples] == ["images/0.jpg"]
    assert [problem.kind for problem in data.problems] == ["bad file", "unlabelled"]


@pytest.mark.parametrize("name", ["train.csv", "train_annotations.coco.json"])
def test_a_file_that_is_alone_is_about_all_pictures(tmp_path: Path, name: str) -> None:
    coco(tmp_path, [BOX])
    file = (tmp_path / "annotations.json").rename(tmp_path / name)
    if name.endswith("csv"):
        file.write_text("filename,xmin,ymin,xmax,ymax,class\na.jpg,10,5,30,15,x\n")
    data = read_dataset(tmp_path)
    assert len(found(data)) == 1
    assert not data.splits


@pytest.mark.parametrize(
    ("text", "says"),
    [('{"project": {}, "view": {}}', "x.json is whole, but of no known"), ('{"a": [', "x.json is damaged")],
)
def test_unknown_files_beside_pictures_are_named(tmp_path: Path, text: str, says: str) -> None:
    for folder in ("", "images/"):
        for name in ("a", "b"):
            picture(tmp_path / "one" / f"{folder}{name}.jpg")
        (tmp_path / "one" / "x.json").write_text(text)
        with pytest.raises(DataError, match=says):
            read_dataset(tmp_path / "one")


@pytest.mark.parametrize(
    "data", [{"images": ["a.jpg"]}, {"url": "https://host.example/a.jpg?token=1"}, {"x": 5, "img": "a"}]
)
def test_fields_of_label_studio_that_hold_the_picture(tmp_path: Path, data: dict[str, Any]) -> None:
    studio(tmp_path, {"id": 1, "data": data, "annotations": [{"result": [choice("sick")]}]})
    assert [sample.id for sample in read_dataset(tmp_path).samples] == ["images/a.jpg"]


def test_the_latest_export_of_label_studio_counts(tmp_path: Path) -> None:
    studio(tmp_path, task("a", choice("old")))
    (tmp_path / "export.json").rename(tmp_path / "project-1-at-2024-01-01.json")
    (tmp_path / "project-1-at-2025-01-01.json").write_text(json.dumps([task("a", choice("new"))]))
    data = read_dataset(tmp_path)
    assert [sample.target for sample in data.samples] == [("new",)]
    assert "exports" in kinds(data)
