"""`check` shows that it understood the data: classes with counts, formats, sizes, balance, objects, twins by name."""

from __future__ import annotations

from pathlib import Path

from annotated import CLASSES, dataset, objects
from pictures import make_folder
from PIL import Image

from photovision.app.check import check
from photovision.data.check.contents import classes_text, duplicates_text


def test_a_folder_is_described_in_sentences(tmp_path: Path) -> None:
    make_folder(tmp_path / "data", per_class=12)
    first = tmp_path / "data" / "circle" / "000.png"
    with Image.open(first) as picture:
        width, height = picture.size
        picture.convert("RGB").save(tmp_path / "data" / "circle" / "twin.jpg", quality=95)
    text = " ".join(check(tmp_path / "data").summary)
    assert "Pictures of each class: circle 13, square 12; about as many of each." in text
    assert f"PNG (24) and JPEG (1), all {width} x {height} pixels." in text
    assert "One pair of pictures is nearly identical (no exact copies): " in text
    assert "circle/000.png" in text
    assert "circle/twin.jpg" in text


def test_objects_are_described_by_class_and_size(tmp_path: Path) -> None:
    found = [objects([(2, 2, 12, 12), (20, 5, 40, 25)], [0, 1]) for _ in range(6)]
    text = " ".join(check(dataset(tmp_path, found)).summary)
    small, large = CLASSES
    assert f"Objects of each class: {small} 6, {large} 6; the same number of each." in text
    assert f"Typical side of an object in pixels: {large} 20, {small} 10." in text
    assert "12 objects, 2.0 a picture; every picture has some." in text


def test_many_classes_are_named_at_both_ends() -> None:
    text = classes_text({f"c{number}": 10 * number for number in range(1, 31)})
    assert text == (
        "Pictures of each class: from c30 300, c29 290, c28 280 down to c3 30, c2 20, c1 10 (30 classes); the largest"
        " has 30.0 times as many as the smallest."
    )


def test_groups_of_twins_are_counted_in_plain_words() -> None:
    assert duplicates_text([], 0) == "No picture occurs twice."
    assert duplicates_text([["a", "b", "c", "d"]], 1) == (
        "4 pictures are nearly identical (1 exact copy): a, b, c and 1 more."
    )
    assert duplicates_text([["a", "b"], ["c", "d"]], 2) == (
        "4 pictures in 2 groups are nearly identical (2 exact copies), such as a, b."
    )


def test_a_class_of_good_pieces_hints_at_anomaly_detection(tmp_path: Path) -> None:
    good = check(make_folder(tmp_path / "parts", ("good", "scratch"), per_class=4)).summary
    assert any(line.startswith("If 'good' are good pieces") and "--task anomaly" in line for line in good)
    other = check(make_folder(tmp_path / "shapes", per_class=4)).summary
    assert not any("anomaly" in line for line in other)


def test_the_first_screen_shows_the_classes_and_pictures_of_each(tmp_path: Path) -> None:
    first = [
        figure for figure in check(make_folder(tmp_path, ("circle", "square", "cross"), 4)).figures if figure.first
    ]
    assert [figure.title for figure in first] == ["Pictures of each class", "Some of the pictures"]
    assert [caption for _, caption in first[1].pictures] == ["circle", "cross", "square"] * 2 + ["circle", "cross"]
