"""The doctor finds each planted fault, and nothing in sound data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pictures import make_folder, make_picture
from PIL import Image

from photovision.core.image import decode
from photovision.core.report import Report
from photovision.data.check.images import check
from photovision.data.read import dataset_from_arrays, read_dataset
from photovision.data.scan import scan
from photovision.data.split import make_splits


def examined(root: Path) -> Report:
    data = read_dataset(root)
    found = scan(data)
    return check(data, found, make_splits(data, found))


def warned(report: Report, *words: str) -> bool:
    return any(all(word in warning for word in words) for warning in report.warnings)


def test_sound_data_has_no_warnings(tmp_path: Path) -> None:
    report = examined(make_folder(tmp_path, per_class=30))
    assert report.kind == "check"
    assert report.warnings == []
    assert "60 pictures of 2 classes: 42 in train, 9 in val, 9 in test." in report.summary
    assert "Every picture can be read." in report.summary
    assert "No picture occurs twice." in report.summary
    assert not report.figures


def test_the_report_is_json_and_markdown(tmp_path: Path) -> None:
    report = examined(make_folder(tmp_path, per_class=5))
    value = json.loads(json.dumps(report.to_json()))
    assert value["classes"]["circle"] == {"train": 3, "val": 1, "test": 1}
    assert "| circle | 3 | 1 | 1 | 5 |" in report.to_markdown()


def test_broken_files_are_counted_and_named(tmp_path: Path) -> None:
    make_folder(tmp_path, per_class=20)
    for number in range(30):
        (tmp_path / "circle" / f"bad{number:02d}.jpg").write_text("no picture")
    report = examined(tmp_path)
    assert warned(report, "30 files", "circle/bad00.jpg", "unreadable")
    table = next(table for table in report.tables if table.title == "Files left out")
    assert len(table.rows) == 20
    assert len(report.data["problems"]) == 30


def test_one_picture_with_two_labels_is_shown(tmp_path: Path) -> None:
    make_folder(tmp_path, per_class=20)
    Image.open(tmp_path / "circle" / "003.png").save(tmp_path / "square" / "copy.jpg", quality=80)
    report = examined(tmp_path)
    assert warned(report, "1 picture ", "copy that has another label", "circle/003.png")
    (figure,) = report.figures
    ((content, caption),) = figure.pictures
    assert "circle/003.png (circle" in caption
    assert "square/copy.jpg (square" in caption
    assert decode(content).size[0] > 300
    assert report.data["exact_copies"] == 0


def test_a_copy_across_published_splits_is_a_leak(tmp_path: Path) -> None:
    make_folder(tmp_path / "train", per_class=20)
    make_folder(tmp_path / "test", per_class=20, seed=1)
    (tmp_path / "test" / "circle" / "x.png").write_bytes((tmp_path / "train" / "circle" / "000.png").read_bytes())
    report = examined(tmp_path)
    assert warned(report, "copy in another split")
    assert report.data["leaked"] == ["test/circle/x.png"]
    assert report.data["exact_copies"] == 1
    assert [figure.title for figure in report.figures] == ["The same picture in different splits"]


def test_copies_on_one_side_are_mentioned_without_alarm(tmp_path: Path) -> None:
    make_folder(tmp_path, per_class=30)
    (tmp_path / "circle" / "again.png").write_bytes((tmp_path / "circle" / "000.png").read_bytes())
    report = examined(tmp_path)
    assert report.warnings == []
    assert report.data["duplicate_groups"] == [["circle/000.png", "circle/again.png"]]


def test_skew_and_tiny_classes(tmp_path: Path) -> None:
    make_folder(tmp_path, ("circle",), per_class=60)
    make_folder(tmp_path, ("other", "square"), per_class=4)
    report = examined(tmp_path)
    assert warned(report, "skewed", "'circle' has 60", "(15 to 1)")
    assert warned(report, "2 classes (other, square)", "fewer than 10")


def test_classes_missing_from_the_published_test(tmp_path: Path) -> None:
    make_folder(tmp_path / "train", per_class=20)
    make_folder(tmp_path / "test", ("circle",), per_class=20, seed=1)
    assert warned(examined(tmp_path), "1 class (square)", "without a picture in test")


def test_names_that_differ_only_in_case(tmp_path: Path) -> None:
    make_folder(tmp_path, ("Big cat", "big_cat", "dog"), per_class=20)
    report = examined(tmp_path)
    assert warned(report, "'Big cat', 'big_cat'", "differ only in case or spacing")
    assert not warned(report, "'dog'")


def test_odd_sizes_and_blank_pictures(tmp_path: Path) -> None:
    make_folder(tmp_path, per_class=20)
    make_picture(0, 200).resize((200, 40)).save(tmp_path / "circle" / "long.png")
    make_picture(0, 20).save(tmp_path / "circle" / "small.png")
    Image.new("RGB", (48, 48), "white").save(tmp_path / "square" / "white.png")
    report = examined(tmp_path)
    assert warned(report, "1 picture (circle/long.png)", "3 times as long as wide")
    assert warned(report, "1 picture (circle/small.png)", "below 32 pixels")
    assert warned(report, "1 picture (square/white.png)", "almost blank")


def test_pictures_turned_by_exif_are_counted(tmp_path: Path) -> None:
    make_folder(tmp_path, per_class=20)
    exif = Image.Exif()
    exif[0x0112] = 6
    make_picture(0, 64, 99).save(tmp_path / "circle" / "turned.jpg", exif=exif)
    report = examined(tmp_path)
    assert report.data["rotated"] == 1
    assert any("EXIF" in line for line in report.summary)


def test_several_labels() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 40, 40, 3), dtype=np.uint8)
    data = dataset_from_arrays(noise, [["a", "b"], ["b"], []] * 20)
    found = scan(data)
    report = check(data, found, make_splits(data, found))
    assert report.data["classes"]["a"] == {"train": 14, "val": 3, "test": 3}
    assert sum(report.data["classes"]["b"].values()) == 40
    assert report.warnings == []


def test_real_groceries(shared_data: Path) -> None:
    data = read_dataset(shared_data / "grocery").subset(range(0, 2936, 12))
    found = scan(data)
    report = check(data, found, make_splits(data, found))
    assert "Every picture can be read." in report.summary
    assert report.data["conflicts"] == []
