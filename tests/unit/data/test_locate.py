"""Pictures found by the names that tables and annotation files of other machines give them, and by no others."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest

from photovision.core.errors import DataError
from photovision.data.formats import locate
from photovision.data.formats.locate import ImageLocator, Located


def tree(root: Path, *files: str) -> ImageLocator:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return ImageLocator(root)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("images/a.jpg", "images/a.jpg"),
        ("images/a.jpg", " images/a.jpg "),
        ("images/a.jpg", "./images//a.jpg"),
        ("images/a.jpg", "images\\a.jpg"),
        ("images/x/a.jpg", "images/x\\a.jpg"),
        ("images/a.jpg", "other/../images/a.jpg"),
        ("images/my cell é.jpg", "images/my%20cell%20%C3%A9.jpg"),
        ("images/100%25.jpg", "images/100%25.jpg"),
        ("images/ä.jpg", unicodedata.normalize("NFD", "images/ä.jpg")),
        ("images\\a.jpg", "images\\a.jpg"),
        ("raw", "raw"),
    ],
)
def test_a_name_that_says_where_the_file_lies(tmp_path: Path, file: str, name: str) -> None:
    assert tree(tmp_path, file, "other/b.jpg").find(name) == Located(file)


def test_absolute_names_that_lead_inside_are_inside(tmp_path: Path) -> None:
    tree(tmp_path / "data", "images/a b.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for root in (tmp_path / "data", tmp_path / "link"):
        found = ImageLocator(root)
        inside = root / "images" / "a b.jpg"
        assert found.find(str(inside)).file == "images/a b.jpg"
        assert found.find(str(inside.resolve())).file == "images/a b.jpg"
        assert found.find(inside.as_uri()).file == "images/a b.jpg"
        assert found.find(f"{root}/images/../images/a b.jpg").file == "images/a b.jpg"


@pytest.mark.parametrize(
    ("file", "name", "how"),
    [
        ("images/0a1b.jpg", "0a1b", "suffix"),
        ("images/scan.07.png", "scan.07", "suffix"),
        ("train/images/7.JPG", "images/7.jpg", "case"),
        ("Images/A.JPG", "images/a.jpg", "case"),
        ("images/0007.jpg", "7", "zeros"),
        ("images/0007.jpg", "IMAGES/0007.JPEG", "suffix"),
        ("images/0007.jpg", "IMAGES/0007.JPG", "case"),
        ("images/0007.jpg", "images/7.jpg", "zeros"),
        ("images/a.png.jpg", "a.png", "suffix"),
        ("x/patient1/series/0001.jpg", "/dicom/patient1/series/0001", "end"),
        ("images/a.jpeg", "images/a.jpg", "suffix"),
        ("train/images/a.jpg", "images/a.jpg", "folder"),
        ("train/cats/a.jpg", "a.jpg", "folder"),
        ("a.jpg", "dataset/images/a.jpg", "end"),
        ("images/a.jpg", "/home/ann/set/images/a.jpg", "end"),
        ("images/a.jpg", "C:\\Users\\ann\\set\\images\\a.jpg", "end"),
        ("images/a.jpg", "file:///C:/Users/ann/images/a.jpg", "end"),
        ("images/a.jpg", "https://host/bucket/a.jpg?raw=1", "end"),
        ("images/a.jpg", "s3://bucket/a.jpg", "end"),
        ("images/a.png", "..\\..\\label-studio\\media\\upload\\4\\a.png", "end"),
        ("images/x.jpg", "/data/upload/1/1a2b3c4d-x.jpg", "end"),
        ("images/1a2b3c4d-x.jpg", "/data/upload/1/1a2b3c4d-x.jpg", "end"),
        ("images/my cell é.jpg", "/data/upload/3/" + quote("0a1b2c3d-my cell é.jpg"), "end"),
        ("cells/images/x.jpg", "/data/local-files/?d=cells%5Cimages%5Cx.jpg", ""),
        ("images/x.jpg", "/data/local-files/?d=cells%5Cimages%5Cx.jpg", "end"),
    ],
)
def test_a_name_that_has_to_be_searched(tmp_path: Path, file: str, name: str, how: str) -> None:
    assert tree(tmp_path, file, "other/b.jpg").find(name) == Located(file, how)
    assert not how or how in locate.SEARCHED


@pytest.mark.parametrize("name", ["a", "a.jpg", "A.JPG"])
def test_what_could_be_two_files_is_neither(tmp_path: Path, name: str) -> None:
    found = tree(tmp_path, "cats/a.jpg", "dogs/a.jpg").find(name)
    assert (found.file, found.kind) == ("", "ambiguous")
    assert "'cats/a.jpg' or 'dogs/a.jpg'" in found.message


def test_the_folder_of_the_table_and_the_letter_case_decide_between_two(tmp_path: Path) -> None:
    found = tree(tmp_path, "train/a.jpg", "test/a.jpg", "x/B.jpg", "x/b.jpg")
    assert found.find("a", "train").file == "train/a.jpg"
    assert found.find("B", "").file == "x/B.jpg"
    assert found.find("train/a").file == "train/a.jpg"


def test_another_folder_is_another_picture(tmp_path: Path) -> None:
    found = tree(tmp_path, "cats/1.jpg", "cats/2.jpg", "dogs/2.jpg")
    for name in ("dogs/1.jpg", "/home/ann/dogs/1.jpg", "C:/set/dogs/1"):
        assert (found.find(name).file, found.find(name).kind) == ("", "missing")
        assert "'cats/1.jpg' is: correct the folder" in found.find(name).message
    assert found.find("/home/ann/dogs/2.jpg").file == "dogs/2.jpg"


def test_two_names_that_a_search_leads_to_one_file_are_both_refused(tmp_path: Path) -> None:
    found = tree(tmp_path, "1.jpg").find_all(["/a/1.jpg", "/b/1.jpg"])
    assert [one.kind for one in found.values()] == ["ambiguous", "ambiguous"]
    found = tree(tmp_path, "1.jpg").find_all(["/b/1.jpg", "1.jpg", "./1.jpg"])
    assert [one.file for one in found.values()] == ["", "1.jpg", "1.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        "../secret.jpg",
        "a/../../secret.jpg",
        "..\\secret.jpg",
        "/etc/passwd",
        "C:\\secret.jpg",
        "\\\\server\\share\\secret.jpg",
        "file:///etc/passwd",
        "%2e%2e/secret.jpg",
        "..%5csecret.jpg",
        "~/secret.jpg",
    ],
)
def test_no_name_leads_outside(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.jpg").touch()
    found = tree(tmp_path / "data", "a/b.jpg").find(name)
    assert (found.file, found.kind) == ("", "outside")
    assert str(tmp_path / "secret.jpg") not in found.message


def test_the_own_absolute_name_of_a_file_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data-2").mkdir()
    (tmp_path / "data-2" / "secret.jpg").touch()
    found = tree(tmp_path / "data", "a/b.jpg")
    assert found.find(str(tmp_path / "data-2" / "secret.jpg")).kind == "outside"


def test_links_that_leave_are_never_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret.jpg").touch()
    tree(tmp_path / "data", "images/a.jpg")
    (tmp_path / "data" / "file.jpg").symlink_to(tmp_path / "out" / "secret.jpg")
    (tmp_path / "data" / "folder").symlink_to(tmp_path / "out")
    (tmp_path / "data" / "inside.jpg").symlink_to(tmp_path / "data" / "images" / "a.jpg")
    found = ImageLocator(tmp_path / "data")
    for name in ("file.jpg", "folder/secret.jpg", "file", "secret.jpg", "/x/secret.jpg"):
        assert found.find(name).file == ""
        assert found.find(name).kind in ("outside", "missing")
    assert "a link that leads out of" in found.find("file.jpg").message
    assert found.find("inside.jpg").file == "inside.jpg"


@pytest.mark.parametrize(
    "name", ["", "  ", "a\0.jpg", "x" * 5000, ".", "..", "/", "\\", "images", "images/", "http://[", "%00"]
)
def test_odd_names_find_nothing(tmp_path: Path, name: str) -> None:
    found = tree(tmp_path, "images/a.jpg").find(name)
    assert found.file == ""
    assert found.kind in ("missing", "outside")
    assert len(found.message) < 400


def test_pipes_are_no_pictures(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert ImageLocator(tmp_path).find("a.jpg").file == ""


def test_the_true_cause_is_named(tmp_path: Path) -> None:
    found = tree(tmp_path, "images/a.png", "images/b.jpg")
    assert "'images/a.png' is: correct the suffix" in found.find("images/a.jpg").message
    assert "no picture of that name" in found.find("gone").message
    bad = found.find("bad\x1b[2J\n" + "x" * 1000 + ".jpg")
    assert "\x1b" not in bad.message


def test_a_search_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locate, "MAX_ENTRIES", 3)
    found = tree(tmp_path, *(f"images/{i}.jpg" for i in range(5)))
    assert found.find("images/1.jpg").file
    with pytest.raises(DataError, match=r"more than 3 files.*--root"):
        found.find("1")
    with pytest.raises(DataError, match="is no folder"):
        ImageLocator(tmp_path / "nowhere")


def test_the_zeros_of_a_number_count_where_two_files_differ_by_them(tmp_path: Path) -> None:
    found = tree(tmp_path, "7.jpg", "07.jpg", "8.jpg")
    assert (found.find("7").file, found.find("07").file, found.find("007").kind) == ("7.jpg", "07.jpg", "ambiguous")


def test_one_name_in_many_folders_is_found_quickly(tmp_path: Path) -> None:
    videos = [f"frames/{i:04d}" for i in range(600)]
    found = tree(tmp_path, *(f"{video}/0001.jpg" for video in videos))
    located = found.find_all(f"/home/ann/{video}/0001" for video in videos)
    assert [one.file for one in located.values()] == [f"{video}/0001.jpg" for video in videos]
