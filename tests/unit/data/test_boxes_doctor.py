"""The doctor finds planted faults of boxes, and none where there is none; videos stay on one side of a split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from annotated import CLASSES, dataset, objects
from pictures import make_picture
from PIL import Image

from photovision.app.check import check
from photovision.core.overlap import overlap
from photovision.core.page import to_html
from photovision.core.regions import Detections
from photovision.core.report import Report
from photovision.core.types import Sample
from photovision.data.check.boxes import examine
from photovision.data.dataset import Dataset
from photovision.data.scan import scan
from photovision.data.split import make_splits

GOOD = objects([(3, 4, 20, 30), (25, 4, 50, 30)], [0, 1])


def checked(data: Dataset) -> Report:
    return check(data)


def planted(tmp_path: Path, wrong: Detections) -> Report:
    return checked(dataset(tmp_path / "data", [*[GOOD] * 7, wrong]))


def test_sound_boxes_are_not_complained_of(tmp_path: Path) -> None:
    report = planted(tmp_path, GOOD)
    assert report.data["faults"] == {}
    assert report.data["objects"] == 16
    assert not [warning for warning in report.warnings if "Objects" in warning]


def test_boxes_outside_the_picture(tmp_path: Path) -> None:
    report = planted(tmp_path, objects([(3, 4, 20, 30), (50, 4, 70, 30), (-9, 4, 20, 30)], [0, 1, 0]))
    assert report.data["faults"] == {"outside": 2}
    assert any("Objects that reach outside their picture: 2, in part7.png." in text for text in report.warnings)


def test_a_pixel_beyond_the_edge_is_rounding(tmp_path: Path) -> None:
    assert planted(tmp_path, objects([(-0.6, 0, 60.6, 40.5)], [0])).data["faults"] == {}


def test_boxes_without_area(tmp_path: Path) -> None:
    report = planted(tmp_path, objects([(3, 4, 3, 30), (5, 5, 5, 5), (5, 5, 6, 6)], [0, 1, 0]))
    assert report.data["faults"] == {"nothing": 2}


def test_boxes_that_are_there_twice(tmp_path: Path) -> None:
    boxes = [(3, 4, 20, 30), (3, 4, 20, 30), (3.1, 4, 20, 30.1), (3, 4, 20, 30), (3, 4, 20, 15)]
    report = planted(tmp_path, objects(boxes, [0, 0, 0, 1, 0]))
    assert report.data["faults"] == {"twice": 2}  # another class or another size is another object


def test_an_object_that_is_missing_in_a_copy(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [GOOD] * 8)
    picture = make_picture(0, 64)
    samples = list(data.samples)
    for position, regions in ((2, GOOD), (5, objects([(3, 4, 20, 30)], [0]))):
        file = tmp_path / f"copy{position}.png"
        picture.resize((128, 128) if position == 5 else (64, 64)).save(file)
        boxes = regions.boxes * (2 if position == 5 else 1)
        samples[position] = Sample(file.name, file, ("bolt",), {}, replace(regions, boxes=boxes.astype(np.float32)))
    report = checked(replace(data, samples=tuple(samples)))
    assert report.data["faults"] == {"unlabelled copy": 1}
    rows = next(table.rows for table in report.tables if table.title == "Objects to look at")
    assert rows[0][0] == "copy5.png"
    assert "nut, which is in copy2.png" in rows[0][2]


def test_class_names_that_differ_by_case_only(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [GOOD] * 8)
    names = ("Bolt", "bolt")
    samples = tuple(
        replace(s, target=names, annotations=replace(s.annotations, classes=names))  # type: ignore[type-var]
        for s in data.samples
    )
    report = checked(replace(data, samples=samples, classes=names))
    assert any("differ only in case" in warning for warning in report.warnings)


def test_the_page_shows_what_is_drawn(tmp_path: Path) -> None:
    report = planted(tmp_path, objects([(50, 4, 70, 30)], [1]))
    (shown,) = [figure for figure in report.figures if figure.title == "What is drawn on the pictures"]
    assert shown.first
    assert 2 <= len(shown.pictures) <= 8
    caption = shown.pictures[0][1]  # what is wrong comes first
    assert caption.endswith("part7.png")
    assert "reach outside" in caption
    assert "What is drawn on the pictures" in to_html(report)


def frames(root: Path, names: list[str]) -> Dataset:
    root.mkdir()
    samples = []
    for number, name in enumerate(names):
        noise = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / name)
        groups = {"video": name.partition("_")[0]}
        samples.append(Sample(name, root / name, CLASSES, groups, GOOD))
    return Dataset(tuple(samples), CLASSES, multilabel=True, annotation_type="boxes")


def test_a_split_keeps_a_video_on_one_side(tmp_path: Path) -> None:
    data = frames(tmp_path / "data", [f"clip{video}_{n:03d}.png" for video in range(10) for n in range(4)])
    splits = make_splits(data, scan(data))
    sides = [{data.samples[int(i)].groups["video"] for i in part} for part in (splits.train, splits.val, splits.test)]
    assert all(sides)
    assert sum(map(len, sides)) == len(set.union(*sides))


def test_a_video_on_both_sides_of_a_published_split_is_told(tmp_path: Path) -> None:
    data = frames(tmp_path / "data", [f"clip{video}_{n:03d}.png" for video in range(4) for n in range(4)])
    mixed = replace(data, splits={"train": tuple(range(0, 14)), "test": (14, 15)})
    report = checked(mixed)
    assert any(
        "Videos or scenes with frames in several splits: 1 (first video 'clip3')" in text for text in report.warnings
    )
    apart = replace(data, splits={"train": tuple(range(0, 8)), "val": (8, 9, 10, 11), "test": (12, 13, 14, 15)})
    assert not any("Videos or scenes" in text for text in checked(apart).warnings)
    assert make_splits(mixed, scan(mixed)).leaked.tolist() == [14, 15]


def test_a_kind_of_scene_is_no_group(tmp_path: Path) -> None:
    data = frames(tmp_path / "data", [f"x{n}_{n:03d}.png" for n in range(20)])
    for scenes, alone in ((["indoor", "outdoor"] * 10, True), ([f"room {n // 2}" for n in range(20)], False)):
        samples = tuple(replace(s, groups={"scene": scene}) for s, scene in zip(data.samples, scenes, strict=True))
        one = replace(data, samples=samples)
        splits = make_splits(one, scan(one))
        together = all(
            len({i // 2 for i in part.tolist()}) * 2 == len(part) for part in (splits.train, splits.val, splits.test)
        )
        assert together != alone


def test_overlaps_of_boxes() -> None:
    boxes = np.float32([[0, 0, 4, 4], [2, 2, 6, 6], [1, 1, 1, 1]])
    found = overlap(boxes, boxes)
    assert np.allclose(np.diag(found), [1, 1, 0])
    assert np.isclose(found[0, 1], 4 / 28)


def test_what_is_examined_needs_no_pictures_but_those_shown(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [GOOD] * 8)
    seen = scan(data)
    splits = make_splits(data, seen)
    for sample in data.samples:
        sample.image.unlink()  # type: ignore[union-attr]
    found = examine(data, seen, splits)
    assert found.data["objects"] == 16
    assert not found.figures
