"""Formats of boxes and masks: written and read again nothing is changed, and real data of others are understood."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import CLASSES, blob, coco, dataset, objects, picture, ring, same
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some
from PIL import Image

from photovision.core.errors import DataError
from photovision.core.regions import Detections, Segmentation
from photovision.core.shapes import Polygons, Rle
from photovision.data.convert import convert, missing
from photovision.data.dataset import Dataset
from photovision.data.formats import FORMATS
from photovision.data.read import read_dataset

BOXED = ("coco", "yolo", "voc", "labelstudio", "cvat", "labelme", "via", "createml", "boxcsv")
OUTLINED = ("coco", "yolo", "labelstudio", "cvat", "labelme", "via")
MASKED = ("coco", "labelstudio", "cvat", "masks")
BOXES = objects([(3, 4, 20, 30), (10.25, 2.5, 59.75, 39)], [0, 1])
EMPTY = objects([], [])


def matches(one: Dataset, other: Dataset, within: float = 0.002) -> bool:
    """Whether both have the same pictures with the same objects and splits, in any order."""
    stems = [[Path(sample.id).stem for sample in data.samples] for data in (one, other)]
    place = {stem: number for number, stem in enumerate(stems[1])}
    assert sorted(stems[0]) == sorted(stems[1])
    splits = [
        {name: {stems[i][p] for p in positions} for name, positions in data.splits.items() if positions}
        for i, data in enumerate((one, other))
    ]
    assert splits[0] == splits[1]
    for sample, stem in zip(one.samples, stems[0], strict=True):
        found = other.samples[place[stem]].annotations
        assert isinstance(sample.annotations, Detections)
        assert isinstance(found, Detections)
        assert same(sample.annotations, found, within), (stem, sample.annotations, found)
        assert set(sample.target or ()) == set(other.samples[place[stem]].target or ())
    return True


@pytest.mark.parametrize("name", BOXED)
def test_boxes_come_back(name: str, tmp_path: Path) -> None:
    splits = {"train": (0,), "val": (1,), "test": (2,)}
    data = dataset(tmp_path / "data", [BOXES, EMPTY, objects([(0, 0, 60, 40)], [1])], splits=splits)
    assert not missing(data, FORMATS.load(name))
    convert(data, name, tmp_path / "out")
    again = read_dataset(tmp_path / "out")
    assert (again.source, again.annotation_type, again.multilabel) == (name, "boxes", True)
    assert matches(data, again)
    assert set(again.classes) == set(CLASSES)


@pytest.mark.parametrize("name", BOXED)
def test_data_without_splits_have_none_afterwards(name: str, tmp_path: Path) -> None:
    convert(dataset(tmp_path / "data", [BOXES, BOXES]), name, tmp_path / "out")
    assert not read_dataset(tmp_path / "out").splits


@pytest.mark.parametrize("name", OUTLINED)
def test_outlines_come_back(name: str, tmp_path: Path) -> None:
    box = (3, 4, 20, 30)
    data = dataset(tmp_path / "data", [objects([box, (30, 5, 50, 25)], [0, 1], [ring(box), None])])
    convert(data, name, tmp_path / "out", lossy=True)
    assert matches(data, read_dataset(tmp_path / "out"))


@pytest.mark.parametrize("name", MASKED)
def test_masks_come_back_to_the_pixel(name: str, tmp_path: Path) -> None:
    boxes = [(3, 4, 20, 30), (30, 5, 50, 25)]
    masks = [blob((40, 60), box) for box in boxes]
    data = dataset(tmp_path / "data", [objects([mask.box for mask in masks], [0, 1], masks)])
    convert(data, name, tmp_path / "out")
    assert matches(data, read_dataset(tmp_path / "out"), 0)


def test_coco_holds_all_that_there_is(tmp_path: Path) -> None:
    box = (3, 4, 20, 30)
    parts = Polygons((*ring(box).parts, *ring((25, 5, 40, 20)).parts))
    full = replace(
        objects([(3, 4, 40, 30), (1, 1, 9, 9)], [0, 1], [parts, None]),
        crowd=np.array([False, True]),
        track_ids=np.array([7, -1]),
    )
    data = dataset(tmp_path / "data", [full])
    data = replace(data, samples=tuple(replace(sample, groups={"camera": "B"}) for sample in data.samples))
    convert(data, "coco", tmp_path / "out")
    again = read_dataset(tmp_path / "out")
    assert matches(data, again)
    found = again.samples[0].annotations
    assert isinstance(found, Detections)
    assert found.crowd is not None
    assert found.crowd.tolist() == [False, True]
    assert found.track_ids is not None
    assert found.track_ids.tolist() == [7, -1]
    assert again.samples[0].groups == {"camera": "B"}


def test_a_way_through_all_formats(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [BOXES, objects([(5, 6, 7, 8)], [0])], splits={"train": (0,), "test": (1,)})
    latest = data
    for name in (*BOXED, *BOXED[::-1]):
        convert(latest, name, tmp_path / f"{len(list(tmp_path.iterdir()))}{name}")
        latest = read_dataset(max(tmp_path.iterdir(), key=lambda path: path.stat().st_ctime_ns))
        assert latest.source == name
    assert matches(data, latest, 0.02)


EDGES = some.floats(0, 1, allow_nan=False, width=32)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.lists(some.tuples(EDGES, EDGES, EDGES, EDGES, some.integers(0, 1)), min_size=1, max_size=6))
@example([(0.0, 0.0, 0.010416667, 0.010416667, 0)])
@pytest.mark.parametrize("name", BOXED)
def test_any_boxes_come_back(name: str, tmp_path: Path, cells: list[tuple[float, ...]]) -> None:
    boxes = [(60 * min(a, c), 40 * min(b, d), 60 * max(a, c), 40 * max(b, d)) for a, b, c, d, _ in cells]
    found = objects(boxes, [int(cell[4]) for cell in cells])
    root = tmp_path / str(len(list(tmp_path.iterdir())))
    data = dataset(root / "data", [found])
    FORMATS.load(name).write(data, root / "out")
    assert matches(data, FORMATS.load(name).read(root / "out"))


def test_pixels_with_classes_come_back(tmp_path: Path) -> None:
    labels = np.zeros((40, 60), dtype=np.int32)
    labels[5:20, 5:30], labels[30:] = 1, 255
    data = dataset(tmp_path / "data", [None])
    regions = Segmentation(labels, ("background", "bolt", "nut"))
    sample = replace(data.samples[0], annotations=regions, target=("bolt",))
    data = replace(data, samples=(sample,), classes=regions.classes, annotation_type="masks", splits={"val": (0,)})
    convert(data, "masks", tmp_path / "out")
    again = read_dataset(tmp_path / "out")
    assert (again.annotation_type, again.classes, again.splits) == ("masks", regions.classes, {"val": (0,)})
    found = again.samples[0].annotations
    assert isinstance(found, Segmentation)
    assert (found.labels == labels).all()
    assert again.samples[0].target == ("bolt",)


def test_the_fingerprint_follows_boxes_and_masks(tmp_path: Path) -> None:
    for name, move in (("a", 0), ("b", 1)):
        coco(tmp_path / name, [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1 + move, 1, 5, 5]}])
    assert read_dataset(tmp_path / "a").fingerprint != read_dataset(tmp_path / "b").fingerprint
    for value in (1, 2):
        folder = tmp_path / f"m{value}"
        picture(folder / "images" / "a.jpg")
        (folder / "masks").mkdir()
        Image.fromarray(np.full((40, 60), value, dtype=np.uint8)).save(folder / "masks" / "a.png")
        (folder / "classes.txt").write_text("ground\nroad\nsky\n")
    assert read_dataset(tmp_path / "m1").fingerprint != read_dataset(tmp_path / "m2").fingerprint


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_on_stored_pixels_are_turned_and_told(tmp_path: Path, orientation: int) -> None:
    picture(tmp_path / "images" / "a.jpg", (40, 60), orientation)
    coco_, sideways = tmp_path / "annotations.json", orientation > 4
    image = {"id": 1, "file_name": "a.jpg", "height": 40, "width": 60}
    thing = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 5]}
    coco_.write_text(json.dumps({"images": [image], "categories": [{"id": 1, "name": "x"}], "annotations": [thing]}))
    data = read_dataset(tmp_path)
    kinds = [note.kind for note in data.notes]
    assert kinds == (["turned"] if sideways else ["maybe turned"] if orientation > 1 else [])
    found = data.samples[0].annotations
    assert isinstance(found, Detections)
    expected = {5: [0, 0, 5, 10], 6: [35, 0, 40, 10], 7: [35, 50, 40, 60], 8: [0, 50, 5, 60]}
    assert found.boxes[0].tolist() == expected.get(orientation, [0, 0, 10, 5])


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_on_the_upright_picture_stay(tmp_path: Path, orientation: int) -> None:
    picture(tmp_path / "images" / "a.jpg", (40, 60), orientation)
    coco_ = tmp_path / "annotations.json"
    image = {"id": 1, "file_name": "a.jpg", "height": 60, "width": 40}
    thing = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 5]}
    coco_.write_text(json.dumps({"images": [image], "categories": [{"id": 1, "name": "x"}], "annotations": [thing]}))
    data = read_dataset(tmp_path)
    assert not data.notes
    assert data.samples[0].annotations.boxes[0].tolist() == [0, 0, 10, 5]  # type: ignore[union-attr]


def test_a_mask_on_stored_pixels_is_turned(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg", (40, 60), 6)
    stored = np.zeros((40, 60), dtype=np.uint8)
    stored[:5, :10] = 1
    (tmp_path / "masks").mkdir()
    Image.fromarray(stored).save(tmp_path / "masks" / "a.png")
    regions = read_dataset(tmp_path).samples[0].annotations
    assert isinstance(regions, Segmentation)
    assert Rle.of(regions.labels == 1).box == (35, 0, 40, 10)


def test_a_file_for_every_object(tmp_path: Path) -> None:
    picture(tmp_path / "one" / "images" / "one.jpg")
    (tmp_path / "one" / "masks").mkdir()
    for number in range(3):
        mask = np.zeros((40, 60), dtype=np.uint8)
        mask[10 * number : 10 * number + 5, 7:20] = 255
        Image.fromarray(mask).save(tmp_path / "one" / "masks" / f"{number}.png")
    data = read_dataset(tmp_path)
    assert data.annotation_type == "boxes"
    found = data.samples[0].annotations
    assert isinstance(found, Detections)
    assert found.boxes.tolist() == [[7, 10 * n, 20, 10 * n + 5] for n in range(3)]
    assert found.masks is not None


def test_voc_counts_from_one_unless_it_does_not(tmp_path: Path) -> None:
    for name, first in (("one", 1), ("zero", 0)):
        folder = tmp_path / name
        picture(folder / "JPEGImages" / "a.jpg")
        (folder / "Annotations").mkdir()
        edges = f"<xmin>{first}</xmin><ymin>{first}</ymin><xmax>60</xmax><ymax>40</ymax>"
        thing = f"<object><name>x</name><bndbox>{edges}</bndbox></object>"
        text = f"<annotation><filename>a.jpg</filename>{thing}</annotation>"
        (folder / "Annotations" / "a.xml").write_text(text)
        found = read_dataset(folder).samples[0].annotations
        assert isinstance(found, Detections)
        assert found.boxes.tolist() == [[0, 0, 60, 40]]


def test_label_studio_as_it_is_exported(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    facts = {"original_width": 60, "original_height": 40, "image_rotation": 0, "type": "rectanglelabels"}

    def drawn(**value: Any) -> dict[str, Any]:
        return {**facts, "value": {"x": 50, "y": 50, "width": 10, "height": 10, **value}}

    task = {
        "id": 1,
        "data": {"image": "/data/upload/3/0a1b2c3d-a.jpg"},
        "annotations": [
            {"was_cancelled": True, "result": []},
            {"result": [drawn(rotation=0, rectanglelabels=["car"]), drawn(rotation=90, rectanglelabels=["bus"])]},
        ],
    }
    (tmp_path / "project-1.json").write_text(
        json.dumps([task, {"id": 2, "data": {"image": "b.jpg"}, "annotations": []}])
    )
    data = read_dataset(tmp_path)
    found = data.samples[0].annotations
    assert isinstance(found, Detections)
    assert found.names == ("car", "bus")
    assert np.allclose(found.boxes, [[30, 20, 36, 24], [26, 20, 30, 26]])  # turned about its upper left corner
    assert [problem.kind for problem in data.problems] == ["unlabelled"]


def test_yolo_as_it_is_exported(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        picture(tmp_path / split / "images" / f"{split}.jpg")
        (tmp_path / split / "labels").mkdir()
        (tmp_path / split / "labels" / f"{split}.txt").write_text("1 0.5 0.5 0.1 0.5\n")
    (tmp_path / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 2\nnames: ['a', 'b']\n"
    )
    data = read_dataset(tmp_path)
    assert {name: len(positions) for name, positions in data.splits.items()} == {"train": 1, "val": 1}
    found = data.samples[0].annotations
    assert isinstance(found, Detections)
    assert np.allclose(found.boxes, [[27, 10, 33, 30]])
    assert data.samples[0].target == ("b",)


def test_cvat_as_it_is_exported(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "annotations.xml").write_text(
        '<?xml version="1.0"?><annotations><meta><job><labels><label><name>car</name></label></labels></job></meta>'
        '<image id="0" name="a.jpg" subset="Train" width="60" height="40">'
        '<box label="car" xtl="10" ytl="10" xbr="20" ybr="30" rotation="90"/>'
        '<mask label="car" rle="1, 2, 3" left="4" top="5" width="3" height="2"/>'
        '<polyline label="car" points="1,2;3,4"/></image></annotations>'
    )
    data = read_dataset(tmp_path)
    found = data.samples[0].annotations
    assert isinstance(found, Detections)
    assert np.allclose(found.boxes[0], [5, 15, 25, 25])
    assert found.masks is not None
    mask = found.masks[1]
    assert isinstance(mask, Rle)
    assert sorted(zip(*(axis.tolist() for axis in np.nonzero(mask.bitmap())), strict=True)) == [(5, 5), (5, 6)]
    assert data.splits == {"train": (0,)}
    assert "polyline" in data.notes[0].message


def test_what_a_format_cannot_hold_is_refused_and_told(tmp_path: Path) -> None:
    from photovision.core.errors import UsageError

    box = (3, 4, 20, 30)
    data = dataset(tmp_path / "data", [objects([box], [0], [ring(box)])])
    with pytest.raises(UsageError, match="voc cannot hold 1 polygons"):
        convert(data, "voc", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    done = convert(data, "voc", tmp_path / "out", lossy=True)
    assert any("polygons" in sentence for sentence in done.lost)
    assert same(objects([box], [0]), read_dataset(tmp_path / "out").samples[0].annotations)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is not empty, and data sets are never replaced"):
        convert(data, "coco", tmp_path / "out")


def test_a_picture_that_is_gone_leaves_nothing_behind(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [BOXES, BOXES])
    (tmp_path / "data" / "part1.png").unlink()
    for name in BOXED:
        with pytest.raises(DataError, match="does not exist any more"):
            convert(data, name, tmp_path / name)
        assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_classification_gets_the_classes_of_the_boxes(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [objects([(3, 4, 20, 30)], [0]), objects([(3, 4, 20, 30)], [1])])
    convert(data, "folder", tmp_path / "folder", lossy=True)
    convert(data, "table", tmp_path / "table", lossy=True)
    assert read_dataset(tmp_path / "folder").labels.tolist() == [0, 1]
    assert read_dataset(tmp_path / "table").label_matrix.tolist() == [[1, 0], [0, 1]]


def test_real_boxes_of_blood_cells(shared_data: Path, tmp_path: Path) -> None:
    data = read_dataset(shared_data / "bccd")
    assert (data.source, len(data), data.classes) == ("voc", 364, ("Platelets", "RBC", "WBC"))
    assert {name: len(positions) for name, positions in data.splits.items()} == {"train": 205, "val": 87, "test": 72}
    assert sum(len(sample.annotations) for sample in data.samples) == 4888  # type: ignore[arg-type]
    some_ = replace(data, samples=tuple(data.samples[:20]), splits={})
    for name in ("yolo", "coco"):
        convert(some_, name, tmp_path / name)
        assert matches(some_, read_dataset(tmp_path / name))


def test_real_photographs_with_boxes_and_masks(shared_data: Path) -> None:
    boxed = read_dataset(shared_data / "coco-sample")
    assert (boxed.source, len(boxed), len(boxed.classes)) == ("yolo", 64, 80)
    assert not boxed.splits
    drawn = read_dataset(shared_data / "coco-sample", format="masks")
    assert (drawn.annotation_type, len(drawn)) == ("masks", 64)
    labels = drawn.samples[0].annotations.labels  # type: ignore[union-attr]
    assert labels.shape == (480, 640)


def test_real_nuclei_go_round(shared_data: Path, tmp_path: Path) -> None:
    data = read_dataset(shared_data / "nuclei")
    assert (data.annotation_type, len(data), data.classes) == ("boxes", 100, ("object",))
    some_ = replace(data, samples=tuple(data.samples[:6]))
    for source, target in (("start", "coco"), ("coco", "labelstudio"), ("labelstudio", "cvat"), ("cvat", "masks")):
        convert(some_ if source == "start" else read_dataset(tmp_path / source), target, tmp_path / target)
    assert matches(some_, read_dataset(tmp_path / "masks"), 0)


def test_yolo_lists_of_pictures(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        picture(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "train.txt").write_text("./images/a.jpg\nimages/b.jpg\n\n")
    (tmp_path / "val.txt").write_text("images/c.jpg\n../d.jpg\n")
    (tmp_path / "data.yaml").write_text("train: train.txt\nval: [val.txt]\nnames: {0: a}\n")
    (tmp_path / "images" / "a.txt").write_text("0 .5 .5 .1 .1\n")
    data = read_dataset(tmp_path)
    assert {name: len(positions) for name, positions in data.splits.items()} == {"train": 2, "val": 1}
    assert [problem.kind for problem in data.problems] == ["outside"]
    assert {note.kind for note in data.notes} == {"no label file"}


def test_frames_of_videos_are_grouped(tmp_path: Path) -> None:
    files = [f"{clip}_{number:04d}.jpg" for clip in ("walk", "run") for number in range(4)]
    known = [{"id": n, "file_name": name, "height": 40, "width": 60} for n, name in enumerate(files, 1)]
    for name in files:
        picture(tmp_path / "images" / name)
    coco(tmp_path, [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}], known)
    data = read_dataset(tmp_path)
    assert [sample.groups["video"] for sample in data.samples] == ["walk"] * 4 + ["run"] * 4
    assert [note.kind for note in data.notes] == ["video"]
