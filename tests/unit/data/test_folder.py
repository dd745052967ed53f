"""Class folders: what becomes a class, a split, a problem or an error."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from pictures import make_folder, make_picture

from photovision.core.errors import DataError
from photovision.data.formats import folder
from photovision.data.read import read_dataset


def touch(root: Path, *names: str) -> Path:
    """Empty files: reading a dataset opens no picture."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


def test_a_folder_per_class(tmp_path: Path) -> None:
    data = read_dataset(make_folder(tmp_path, per_class=2))
    assert data.classes == ("circle", "square")
    assert [sample.id for sample in data.samples] == [
        "circle/000.png",
        "circle/001.png",
        "square/000.png",
        "square/001.png",
    ]
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert data.splits == {}
    assert data.source == "folder"


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "val", "test"), {"train", "val", "test"}),
        (("Training", "VALIDATION", "testing"), {"train", "val", "test"}),
        (("train", "dev"), {"train", "val"}),
        (("TRAIN", "valid"), {"train", "val"}),
        (("test",), {"test"}),
    ],
)
def test_split_folders_go_by_many_names(tmp_path: Path, names: tuple[str, ...], splits: set[str]) -> None:
    for name in names:
        touch(tmp_path / name, "cat/1.jpg", "dog/1.jpg", "dog/2.jpg")
    data = read_dataset(tmp_path)
    assert set(data.splits) == splits
    assert data.classes == ("cat", "dog")
    for positions in data.splits.values():
        assert [data.samples[i].label for i in positions] == ["cat", "dog", "dog"]


def test_classes_may_be_nested_below_splits(tmp_path: Path) -> None:
    touch(tmp_path, "train/Fruit/Apple/1.jpg", "train/Fruit/2.jpg", "train/Milk/3.jpg", "val/Fruit/Apple/4.jpg")
    data = read_dataset(tmp_path)
    assert data.classes == ("Fruit", "Fruit/Apple", "Milk")
    assert data.split("val").samples[0].label == "Fruit/Apple"


def test_a_train_is_a_vehicle_where_its_folder_holds_pictures_beside_other_classes(tmp_path: Path) -> None:
    data = read_dataset(touch(tmp_path, "train/1.jpg", "bus/2.jpg", "car/3.jpg"))
    assert data.classes == ("bus", "car", "train")
    assert data.splits == {}


def test_an_unlabelled_test_folder_is_left_out_and_named(tmp_path: Path) -> None:
    data = read_dataset(touch(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg", "train/dog/3.jpg", "test/4.jpg"))
    assert len(data) == 3
    assert [(problem.id, problem.kind) for problem in data.problems] == [("test/4.jpg", "unlabelled")]


def test_folders_that_only_wrap_are_passed_through(tmp_path: Path) -> None:
    data = read_dataset(
        touch(tmp_path, "data/set/train/cat/1.jpg", "data/set/train/dog/2.jpg", "data/set/val/cat/3.jpg")
    )
    assert data.classes == ("cat", "dog")
    assert set(data.splits) == {"train", "val"}
    assert data.samples[0].id == "data/set/train/cat/1.jpg"


def test_junk_is_ignored(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "cat/1.jpg",
        "dog/1.jpg",
        "cat/Thumbs.db",
        "cat/.DS_Store",
        "cat/._1.jpg",
        "cat/notes.txt",
        "cat/.ipynb_checkpoints/1-checkpoint.jpg",
        "__MACOSX/cat/._1.jpg",
        "__MACOSX/cat/1.jpg",
        ".cache/x/1.jpg",
        "docs/readme.md",
    )
    data = read_dataset(tmp_path)
    assert [sample.id for sample in data.samples] == ["cat/1.jpg", "dog/1.jpg"]
    assert data.problems == ()
    assert [(note.id, note.kind) for note in data.notes] == [("cat/notes.txt", "not used")]
    assert "1 .txt, 1 .md" in data.notes[0].message


def test_link_loops_end_and_no_folder_is_read_twice(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg")
    (tmp_path / "cat" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "again").symlink_to(tmp_path / "dog", target_is_directory=True)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert [sample.id for sample in read_dataset(tmp_path).samples] == ["cat/1.jpg", "dog/1.jpg"]


def test_links_are_followed_within_the_data_set_only(tmp_path: Path) -> None:
    touch(tmp_path / "data", "store/a/1.jpg", "b/2.jpg")
    touch(tmp_path / "other", "secret.jpg")
    (tmp_path / "data" / "c").symlink_to(tmp_path / "data" / "store" / "a", target_is_directory=True)
    (tmp_path / "data" / "b" / "3.jpg").symlink_to(tmp_path / "data" / "store" / "a" / "1.jpg")
    (tmp_path / "data" / "b" / "4.jpg").symlink_to(tmp_path / "other" / "secret.jpg")
    (tmp_path / "data" / "d").symlink_to(tmp_path / "other", target_is_directory=True)
    (tmp_path / "data" / "b" / "5.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "data", target_is_directory=True)
    for root in ("data", "link"):
        data = read_dataset(tmp_path / root)
        assert [sample.id for sample in data.samples] == ["b/2.jpg", "b/3.jpg", "store/a/1.jpg"]
        kinds = {problem.id: problem.kind for problem in data.problems}
        assert kinds == {"b/4.jpg": "link", "d": "link", "b/5.jpg": "broken link"}


def test_a_folder_of_links_that_lead_out_says_so(tmp_path: Path) -> None:
    touch(tmp_path / "store", "a/1.jpg", "b/2.jpg")
    (tmp_path / "data").mkdir()
    for name in "ab":
        (tmp_path / "data" / name).symlink_to(tmp_path / "store" / name, target_is_directory=True)
    with pytest.raises(DataError, match=r"links that lead out of it \(2\), which are never followed"):
        read_dataset(tmp_path / "data")


def test_pipes_are_never_opened(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    os.mkfifo(tmp_path / "a" / "0.jpg")
    os.mkfifo(tmp_path / "a" / "noname")
    data = read_dataset(tmp_path)
    assert [(problem.id, problem.kind) for problem in data.problems] == [
        ("a/0.jpg", "no file"),
        ("a/noname", "no file"),
    ]


def test_very_deep_folders_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    here = os.open(tmp_path / "b", os.O_RDONLY)
    for _ in range(60):  # longer than any path may be
        os.mkdir("x" * 100, dir_fd=here)
        there = os.open("x" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(here)
    data = read_dataset(tmp_path)
    assert [sample.id for sample in data.samples] == ["a/1.jpg", "b/2.jpg"]
    assert [problem.kind for problem in data.problems] == ["unreadable"]
    subprocess.run(["rm", "-rf", str(tmp_path / "b")], check=True)


def test_class_names_in_any_script_and_one_unicode_form(tmp_path: Path) -> None:
    names = ["сова", "猫", "a b'c\"&<>", "Äpfel"]
    touch(tmp_path, *(f"{unicodedata.normalize('NFD', name)}/1.jpg" for name in names))
    data = read_dataset(tmp_path)
    assert set(data.classes) == {unicodedata.normalize("NFC", name) for name in names}
    assert all(isinstance(sample.image, Path) and sample.image.exists() for sample in data.samples)


def test_file_names_that_are_not_utf8_still_open_and_print(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg")
    try:
        with open(os.fsencode(tmp_path) + b"/a/\xff.jpg", "wb"):
            pass
    except OSError:
        pytest.skip("this file system has no such names")
    sample = read_dataset(tmp_path).samples[1]
    assert sample.id.encode("utf-8") == b"a/?.jpg"
    assert isinstance(sample.image, Path)
    assert sample.image.exists()


def test_numbers_are_in_the_order_of_their_values(tmp_path: Path) -> None:
    assert read_dataset(touch(tmp_path, "10/1.jpg", "9/1.jpg", "1/1.jpg")).classes == ("1", "9", "10")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "no pictures were found in .*expected a folder per class"),
        (("notes.txt", "cat/notes.txt"), "no pictures were found"),
        (("1.jpg", "2.jpg"), "2 pictures that are in no class folder"),
        (("1.jpg", "2.jpg", "cat/3.jpg"), "2 pictures that are in no class folder"),
        (("train/cat/1.jpg", "train/dog/1.jpg", "cat/1.jpg"), r"mixes split folders \(train\) .*\(cat\)"),
    ],
    ids=["empty", "no pictures", "no classes", "mostly loose", "splits beside classes"],
)
def test_folders_that_cannot_be_understood_give_one_line(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(touch(tmp_path, *files))
    assert "\n" not in str(caught.value)


def test_a_few_loose_pictures_are_problems_not_errors(tmp_path: Path) -> None:
    data = read_dataset(touch(tmp_path, "overview.png", "cat/1.jpg", "dog/1.jpg"))
    assert len(data) == 2
    assert [problem.id for problem in data.problems] == ["overview.png"]


def test_several_labels_need_a_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"metadata\.csv"):
        read_dataset(touch(tmp_path, "cat/1.jpg", "dog/1.jpg"), multilabel=True)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    for split in ("train", "test"):
        make_folder(tmp_path / "one" / split, ("ring", "a/cross"), per_class=2, seed=len(split))
    data = read_dataset(tmp_path / "one")
    folder.write(data, tmp_path / "two")
    again = read_dataset(tmp_path / "two")
    assert again.classes == data.classes
    assert again.splits.keys() == data.splits.keys()
    for name in data.splits:
        pixels = [
            [s.image.read_bytes() for s in d.split(name).samples if isinstance(s.image, Path)] for d in (data, again)
        ]
        assert sorted(pixels[0]) == sorted(pixels[1])
        assert len(pixels[0]) == 4


def test_a_class_name_that_leaves_the_folder_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    make_picture(0).save(tmp_path / "t" / "1.png")
    (tmp_path / "t" / "metadata.csv").write_text("file_name,label\n1.png,../../x\n")
    with pytest.raises(DataError, match="cannot be a folder's name"):
        folder.write(read_dataset(tmp_path / "t"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_more_costs_the_same_among_few_and_among_many(tmp_path: Path) -> None:
    calls = Counter[int]()

    def listed(count: int) -> int:
        """How many calls listing two classes of `count` files takes: the same on every machine, however busy."""
        for name in ("a", "b"):
            (tmp_path / str(count) / name).mkdir(parents=True)
            for number in range(count):
                os.close(os.open(tmp_path / str(count) / name / f"{number}.jpg", os.O_CREAT))
        sys.setprofile(lambda _, event, __: calls.update({count: event in ("call", "c_call")}))
        try:
            found = len(read_dataset(tmp_path / str(count)))
        finally:
            sys.setprofile(None)
        assert found == 2 * count
        return calls[count]

    listed(1)  # what is imported or cached at first is not counted below
    few, some, many = listed(100), listed(200), listed(400)
    assert many - some < 2.2 * (some - few)
    assert many - some < 300 * 400, "calls for 400 files more"
