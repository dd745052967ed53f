"""Annotation files from strangers: one clear line each, nothing outside the folder is opened, memory stays flat."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import blob, coco, dataset, objects, picture, ring
from PIL import Image

from photovision.core.errors import DataError, PhotovisionError
from photovision.data.convert import convert
from photovision.data.dataset import Dataset
from photovision.data.formats import streaming_parsers as streams
from photovision.data.formats.streaming_parsers import json_items, xml_elements
from photovision.data.read import read_dataset

FINE = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}


def one_line(path: Path, **rest: Any) -> str:
    """The message of the one DataError that reading raises."""
    with pytest.raises(DataError) as caught:
        read_dataset(path, **rest)
    message = str(caught.value)
    assert "\n" not in message.strip()
    assert len(message) < 500
    return message


def boxes(data: Dataset) -> int:
    return sum(len(sample.annotations) for sample in data.samples if sample.annotations is not None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"bbox": "big"}, "bbox should be 4 finite numbers"),
        ({"bbox": [1, 2, 3]}, "bbox should be 4 finite numbers"),
        ({"bbox": [1, 2, 3, None]}, "bbox should be 4 finite numbers"),
        ({"bbox": [1, 2, float("nan"), 4]}, "bbox should be 4 finite numbers"),
        ({"bbox": [1, 2, float("inf"), 4]}, "bbox should be 4 finite numbers"),
        ({"bbox": [1, 2, 1e300, 4]}, "bbox should be 4 finite numbers"),
        ({"bbox": [1, 2, 10**400, 4]}, "bbox should be 4 finite numbers"),
        ({"bbox": [1, 2, True, 4]}, "bbox should be 4 finite numbers"),
        ({"bbox": [1, 2, -3, 4]}, "x1 <= x2"),
        ({"bbox": None}, "bbox should be 4 finite numbers"),
        ({"image_id": 99}, "image_id 99 is no picture's id"),
        ({"image_id": [1]}, "is no picture's id"),
        ({"image_id": {"a": 1}}, "is no picture's id"),
        ({"category_id": 7}, "category_id 7 is no category's id"),
        ({"category_id": None}, "category_id None is no category's id"),
        ({"id": 1}, "another annotation's"),
    ],
)
def test_one_annotation_that_is_wrong_is_told_with_its_place(tmp_path: Path, wrong: dict[str, Any], says: str) -> None:
    coco(tmp_path, [FINE, {**FINE, "id": 2, **wrong}])
    data = read_dataset(tmp_path)
    assert boxes(data) == 1
    assert [note.kind for note in data.notes] == ["bad annotation"]
    assert "annotations.json, annotations[1]" in data.notes[0].message
    assert says in data.notes[0].message


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"segmentation": [[1, 2, 3]]}, "a polygon should be"),
        ({"segmentation": [1, 2, 3, 4, 5]}, "a polygon should be"),
        ({"segmentation": [[1, 1, 5, 5]]}, "a polygon should be"),
        ({"segmentation": [[1, 1, 5, 5, float("nan"), 7]]}, "a polygon should be"),
        ({"segmentation": {"size": None}}, "run lengths should be"),
        ({"segmentation": "all"}, "a list of polygons"),
        ({"segmentation": {"size": [40, 60], "counts": "~~"}}, "damaged"),
        ({"segmentation": {"size": [40, 60], "counts": [1, 2]}}, "sum to 40 x 60"),
        ({"segmentation": {"size": [10**9, 10**9], "counts": [1]}}, "run lengths should be"),
        ({"segmentation": {"size": [20, 20], "counts": [400]}}, "does not fit its picture"),
    ],
)
def test_a_bad_outline_does_not_cost_the_good_box(tmp_path: Path, wrong: dict[str, Any], says: str) -> None:
    coco(tmp_path, [FINE, {**FINE, "id": 2, **wrong}, {**FINE, "id": 3, **wrong}])
    data = read_dataset(tmp_path)
    assert boxes(data) == 3
    assert data.samples[0].annotations.masks is None  # type: ignore[union-attr]
    assert [note.kind for note in data.notes] == ["bad outline"]
    assert "annotations.json, annotations[1]" in data.notes[0].message
    assert says in data.notes[0].message
    assert "2 such in all" in data.notes[0].message


@pytest.mark.parametrize("entry", [None, 3, "x", [], {}])
def test_an_annotation_that_is_none(tmp_path: Path, entry: Any) -> None:
    data = read_dataset(coco(tmp_path, [FINE, entry]))
    assert boxes(data) == 1
    assert len(data.notes) == 1


def test_mostly_nonsense_is_an_error(tmp_path: Path) -> None:
    assert "most of all" in one_line(coco(tmp_path, [{**FINE, "id": n, "bbox": "x"} for n in range(9)]))


@pytest.mark.parametrize(
    ("images", "categories", "says"),
    [
        ("many", None, "'images' should be a list"),
        ([], None, "names no picture"),
        ([{"id": 1}], None, "names no picture"),
        ([None, 5], None, "names no picture"),
        (None, {}, "'categories' should be a list"),
        (None, [{"id": 1}], "a category should be"),
        (None, ["bolt"], "a category should be"),
        (None, [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}], "is another category's"),
        (None, [{"id": 1, "name": " "}], "different and not empty"),
    ],
)
def test_pictures_and_categories_that_are_none(tmp_path: Path, images: Any, categories: Any, says: str) -> None:
    coco(tmp_path, [], images, categories)
    assert says in one_line(tmp_path, format="coco")


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_missing_lists(tmp_path: Path, key: str) -> None:
    document = json.loads((coco(tmp_path, [FINE]) / "annotations.json").read_text())
    del document[key]
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    assert f"should have a list '{key}'" in one_line(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["../secret.jpg", "/etc/passwd", "a/../../secret.jpg", "C:\\secret.jpg", "..\\secret.jpg", "x\0y.jpg", "z" * 9999],
)
def test_names_that_leave_the_folder_are_never_opened(tmp_path: Path, name: str) -> None:
    picture(tmp_path / "secret.jpg")
    known = [{"id": n, "file_name": file, "height": 40, "width": 60} for n, file in enumerate(("a.jpg", name), 1)]
    data = read_dataset(coco(tmp_path / "in", [FINE, {**FINE, "id": 2, "image_id": 2}], known))
    assert [sample.id for sample in data.samples] == ["images/a.jpg"]
    assert len(data.problems) == 1
    assert data.problems[0].kind in ("outside", "missing")
    assert boxes(data) == 1


def test_links_that_lead_in_a_circle(tmp_path: Path) -> None:
    coco(tmp_path, [FINE], [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "loop.jpg"}])
    (tmp_path / "images" / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "images" / "round").symlink_to(tmp_path / "images")
    assert [problem.kind for problem in read_dataset(tmp_path).problems] == ["missing"]


def test_ids_and_files_that_are_there_twice(tmp_path: Path) -> None:
    known = [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}, {"id": 2, "file_name": "a.jpg"}]
    more = [FINE, {**FINE, "id": 2, "image_id": 2, "bbox": [9, 9, 5, 5]}]
    data = read_dataset(coco(tmp_path, more, known))
    assert [problem.kind for problem in data.problems] == ["repeated"]
    assert [note.kind for note in data.notes] == ["repeated"]  # a.jpg: the objects of both entries are used
    assert boxes(data) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "{",
        '{"images": [',
        '{"images": [1 2]}',
        '{"images": [], "annotations": [], "categories": []',
        '{"images": []} {}',
        '{"images": [],}',
        "{7: []}",
        '{"images": [' + "[" * 100_000,
        '{"images": ' + '{"a":' * 100_000,
        '{"images": [1' + "0" * 10_000 + "]}",
        '{"images": ["' + "x" * 100_000,
        "\ud800",
    ],
    ids=range(14),
)
def test_json_that_is_none(tmp_path: Path, text: str) -> None:
    picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "annotations.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    message = one_line(tmp_path / "annotations.json", format="coco")
    assert "annotations.json" in message
    assert "not readable as JSON" in message


def test_json_is_read_the_same_in_windows_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"info": {"a": [1, {"b": "]},"}]}, "images": [{"n": n, "t": '\\"é' * n} for n in range(30)], "z": 12345}
    (tmp_path / "a.json").write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")
    for chunk in (1, 2, 3, 7, 64, 1 << 18):
        monkeypatch.setattr(streams, "CHUNK", chunk)
        items = list(json_items(tmp_path / "a.json"))
        assert [item.value for item in items if item.key == "images"] == document["images"]
        assert {item.key: item.value for item in items if item.place < 0} == {"info": document["info"], "z": 12345}


def test_one_element_may_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_ELEMENT", 1000)
    monkeypatch.setattr(streams, "CHUNK", 100)
    (tmp_path / "a.json").write_text('[{"a": "' + "x" * 100_000 + '"}]')
    with pytest.raises(DataError, match="more than 1,000 characters"):
        list(json_items(tmp_path / "a.json"))


LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS + "<annotation><filename>&b;</filename></annotation>",
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><annotation></annotation>',
        "<annotation><filename>&xxe;</filename></annotation>",
        "<annotation>",
        "<annotation></annotatio>",
        "<annotation>" + "<a>" * 100_000,
        "<annotation>\0</annotation>",
    ],
    ids=range(7),
)
def test_xml_that_is_hostile_or_none(tmp_path: Path, text: str) -> None:
    picture(tmp_path / "JPEGImages" / "a.jpg")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(text)
    assert "a.xml, line 1" in one_line(tmp_path, format="voc")


def test_a_document_type_is_refused_in_every_encoding(tmp_path: Path) -> None:
    (tmp_path / "annotations.xml").write_bytes((LAUGHS + "<annotations/>").encode("utf-16"))
    with pytest.raises(DataError, match="document type"):
        list(xml_elements(tmp_path / "annotations.xml", "image"))


@pytest.mark.parametrize(
    "thing",
    [
        "<object><name>x</name></object>",
        "<object><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object>",
        "<object><name>x</name><bndbox><xmin>a</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object>",
        "<object><name>x</name><bndbox><xmin>nan</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object>",
        "<object><name>x</name><bndbox><xmin>1e99</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object>",
        "<object><name>x</name><bndbox><xmin>9</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object>",
    ],
)
def test_objects_of_voc_that_are_none(tmp_path: Path, thing: str) -> None:
    picture(tmp_path / "JPEGImages" / "a.jpg")
    (tmp_path / "Annotations").mkdir()
    fine = "<object><name>x</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object>"
    (tmp_path / "Annotations" / "a.xml").write_text(f"<annotation><filename>a.jpg</filename>{fine}{thing}</annotation>")
    data = read_dataset(tmp_path)
    assert boxes(data) == 1
    assert "a.xml, object 2" in data.notes[0].message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("names: [a", "line"),
        ("names: 5", "names should be"),
        ("names: []", "names should be"),
        ("names: {x: y}", "names should be"),
        ("names: {99999999999: y}", "names should be"),
        ("names: [[a]]", "names should be"),
        ("names: [a, a]\ntrain: images", "is there twice"),
        ("- names:", "but is a list"),
        ("names: &a [x]\ntrain: *a", "aliases"),
        ("names: !!python/object/apply:os.system [ls]", "not readable as YAML"),
        ("names: " + "[" * 5000, "not readable as YAML"),
        ("names: [a]\ntrain: {a: 1}", "should name a folder"),
        ("names: [a]\ntrain: ../../../etc", "names no picture"),
        ("names: [a]\ntrain: /etc", "names no picture"),
        ("names: [a]\npath: /etc\ntrain: .", ""),
    ],
)
def test_yaml_that_is_hostile_or_none(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "data.yaml").write_text(text)
    assert says in one_line(tmp_path / "in", format="yolo")


def test_laughs_in_yaml(tmp_path: Path) -> None:
    rows = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    rows += [f"{n}: &{n} [{', '.join([f'*{m}'] * 9)}]" for m, n in zip("abcdefgh", "bcdefghi", strict=True)]
    (tmp_path / "data.yaml").write_text("\n".join([*rows, "names: *i"]))
    assert "aliases" in one_line(tmp_path, format="yolo")


@pytest.mark.parametrize(
    "line",
    [
        "0 1 1",
        "0 a b c d",
        "0 nan 0.5 0.1 0.1",
        "5 .5 .5 .1 .1",
        "-1 .5 .5 .1 .1",
        "0.5 .5 .5 .1 .1",
        "0 .5 .5 -1 .1",
        "0 1e300 0 0 0",
    ],
)
def test_lines_of_yolo_that_are_none(tmp_path: Path, line: str) -> None:
    picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text(f"0 .5 .5 .1 .1\n{line}\n")
    (tmp_path / "labels" / "b.txt").write_text("")
    (tmp_path / "data.yaml").write_text("names: [a]\ntrain: images\nval: images\n")
    data = read_dataset(tmp_path)
    assert boxes(data) == 1
    assert "a.txt, line 2" in data.notes[0].message
    assert [(problem.id, problem.kind) for problem in data.problems] == [("labels/b.txt", "no picture")]


@pytest.mark.parametrize("task", [None, 5, {}, {"data": 5}, {"data": {}, "annotations": [{"result": []}]}])
def test_tasks_that_are_none(tmp_path: Path, task: Any) -> None:
    picture(tmp_path / "a.jpg")
    fine = {"data": {"image": "a.jpg"}, "annotations": [{"result": []}]}
    (tmp_path / "export.json").write_text(json.dumps([fine, task]))
    data = read_dataset(tmp_path, format="labelstudio")
    assert len(data) == 1
    assert len(data.problems) == 1


@pytest.mark.parametrize(
    "result",
    [
        {"type": "rectanglelabels"},
        {"type": "rectanglelabels", "value": 5},
        {"type": "rectanglelabels", "value": {"rectanglelabels": ["a"], "x": "b"}},
        {"type": "polygonlabels", "value": {"polygonlabels": ["a"], "points": [[1, 2], [3]]}},
        {"type": "polygonlabels", "value": {"polygonlabels": ["a"], "points": 7}},
        {"type": "brushlabels", "value": {"brushlabels": ["a"], "rle": [1, 2, 3]}},
        {"type": "brushlabels", "value": {"brushlabels": ["a"], "rle": [999]}},
        {"type": "brushlabels", "value": {"brushlabels": ["a"], "rle": [255] * 40}},
        {"type": "ellipselabels", "value": {}},
    ],
)
def test_results_that_are_none(tmp_path: Path, result: Any) -> None:
    picture(tmp_path / "a.jpg")
    facts = {"original_width": 60, "original_height": 40}
    value = {"rectanglelabels": ["a"], "x": 1, "y": 1, "width": 9, "height": 9}
    results = [{**facts, "type": "rectanglelabels", "value": value}, {**facts, **result}]
    task = {"data": {"image": "a.jpg"}, "annotations": [{"result": results}]}
    (tmp_path / "export.json").write_text(json.dumps([task]))
    data = read_dataset(tmp_path)
    assert boxes(data) == 1
    assert "export.json, task 1, result 2" in data.notes[0].message


@pytest.mark.parametrize(
    "thing",
    [
        '<box label="a"/>',
        '<box label="a" xtl="nan" ytl="1" xbr="2" ybr="2"/>',
        '<box xtl="1" ytl="1" xbr="2" ybr="2"/>',
        '<polygon label="a" points="1,2;3"/>',
        '<mask label="a" rle="9" left="0" top="0" width="2" height="2"/>',
        '<mask label="a" rle="1" left="0" top="0" width="1e6" height="1e6"/>',
        '<mask label="a" rle="-5,9" left="0" top="0" width="2" height="2"/>',
    ],
)
def test_objects_of_cvat_that_are_none(tmp_path: Path, thing: str) -> None:
    picture(tmp_path / "a.jpg")
    fine = '<box label="a" xtl="1" ytl="1" xbr="2" ybr="2"/>'
    image = f'<image id="0" name="a.jpg" width="60" height="40">{fine}{thing}</image>'
    (tmp_path / "annotations.xml").write_text(f"<annotations>{image}</annotations>")
    data = read_dataset(tmp_path)
    assert boxes(data) == 1
    assert "annotations.xml, image 1, " in data.notes[0].message


def test_masks_that_are_none(tmp_path: Path) -> None:
    for name in "abcd":
        picture(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "masks" / "a.png")
    Image.fromarray(np.zeros((7, 7), np.uint8)).save(tmp_path / "masks" / "b.png")
    Image.fromarray(np.zeros((40, 60), np.float32)).save(tmp_path / "masks" / "c.tif")
    (tmp_path / "masks" / "d.png").write_bytes(b"no picture")
    (tmp_path / "masks" / "e.png").write_bytes(b"")
    data = read_dataset(tmp_path)
    assert len(data) == 1
    assert sorted(problem.kind for problem in data.problems) == ["bad mask"] * 3 + ["no picture"]


def test_a_million_annotations_take_little_memory(tmp_path: Path) -> None:
    """A part of it here: what is kept of each is some 30 bytes, and nothing is held of the text."""
    count = 15_000
    coco(tmp_path, [])
    rows = (f'{{"id":{n},"image_id":1,"category_id":1,"bbox":[1,1,5,5],"iscrowd":0}}' for n in range(count))
    head = '{"images":[{"id":1,"file_name":"a.jpg","height":40,"width":60}],"categories":[{"id":1,"name":"x"}],'
    (tmp_path / "annotations.json").write_text(head + '"annotations":[' + ",\n".join(rows) + "]}")
    size = (tmp_path / "annotations.json").stat().st_size
    tracemalloc.start()
    data = read_dataset(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert boxes(data) == count
    assert peak < 4 * size


def test_many_faults_are_counted_and_few_are_kept(tmp_path: Path) -> None:
    good = [{**FINE, "id": n} for n in range(2500)]
    bad = [{**FINE, "id": n, "bbox": "x"} for n in range(3000, 5400)]
    data = read_dataset(coco(tmp_path, good + bad))
    assert len(data.notes) == 1001
    assert data.notes[-1].message == "and 1,400 more of this kind"


FILES = {
    "coco": "annotations/instances.json",
    "yolo": "labels/part0.txt",
    "voc": "Annotations/part0.xml",
    "labelstudio": "export.json",
    "cvat": "annotations.xml",
    "masks": "SegmentationObject/part0.png",
    "labelme": "part0.json",
    "via": "via_project.json",
    "createml": "_annotations.createml.json",
    "boxcsv": "_annotations.csv",
}
BITS = b"null [] {} -1 1e999 NaN true \xff \0 < > , ../ &x; *a".split(b" ")


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_raise_nothing_but_our_errors(tmp_path: Path, name: str) -> None:
    box = (3, 4, 20, 30)
    found = [objects([box, (30, 5, 50, 25)], [0, 1], [ring(box), blob((40, 60), (30, 5, 50, 25))]), objects([box], [1])]
    convert(dataset(tmp_path / "data", found), name, tmp_path / "out", lossy=True)
    file = tmp_path / "out" / FILES[name]
    whole, dice, read, told = file.read_bytes(), random.Random(7), 0, ""
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(dice.randint(1, 3)):
            place = dice.randrange(len(content))
            content[place : place + dice.randint(0, 9)] = dice.choice(BITS)
        file.write_bytes(content)
        try:
            data = read_dataset(tmp_path / "out", format=name)
            assert len(list(data.samples)) == len(data)
            read += 1
        except PhotovisionError as error:
            told += str(error).strip()
    assert read
    assert "\n" not in told
