"""What folders mean: splits in any spelling at any level, classes, or nothing that can be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from photovision.core.errors import DataError
from photovision.data.read import read_dataset


def touch(root: Path, *names: str) -> Path:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


SPLIT = [
    "seg_train/seg_train/{c}/1.jpg  seg_test/seg_test/{c}/2.jpg",
    "training_set/{c}/1.jpg  test_set/{c}/2.jpg",
    "training_set/training_set/{c}/1.jpg  test_set/test_set/{c}/2.jpg",
    "train2017/{c}/1.jpg  val2017/{c}/2.jpg",
    "TRAIN-1/{c}/1.jpg  VAL-1/{c}/2.jpg",
    "xray_train/{c}/1.jpg  xray_test/{c}/2.jpg",
    "X_train/{c}/1.jpg  X_test/{c}/2.jpg",
    "train_images/{c}/1.jpg  imgs_valid/{c}/2.jpg",
    "set/Training/{c}/1.jpg  set/Holdout/{c}/2.jpg",
    "train/images/{c}/1.jpg  test/images/{c}/2.jpg",
    "images/train/{c}/1.jpg  images/test/{c}/2.jpg",
    "{c}/train/1.jpg  {c}/test/2.jpg",
    "{c}/Train Images/1.jpg  {c}/Test Images/2.jpg",
    "{c}_train/1.jpg  {c}_test/2.jpg",
    "train-{c}/1.jpg  test-{c}/2.jpg",
]


@pytest.mark.parametrize("pattern", SPLIT)
def test_splits_in_any_spelling_at_any_level(pattern: str, tmp_path: Path) -> None:
    for name in ("cat", "dog", "owl"):
        touch(tmp_path, *pattern.format(c=name).split("  "))
    data = read_dataset(tmp_path)
    assert data.classes == ("cat", "dog", "owl")
    assert len(data.splits) == 2
    assert all(len(positions) == 3 for positions in data.splits.values())
    assert not data.problems
    assert not data.notes


def test_pictures_for_predictions_beside_splits_are_unlabelled(tmp_path: Path) -> None:
    for split in ("train", "test"):
        touch(tmp_path / f"seg_{split}" / f"seg_{split}", "sea/1.jpg", "street/2.jpg")
    data = read_dataset(touch(tmp_path, "seg_pred/seg_pred/3.jpg"))
    assert data.classes == ("sea", "street")
    assert [(problem.id, problem.kind) for problem in data.problems] == [("seg_pred/seg_pred/3.jpg", "unlabelled")]


@pytest.mark.parametrize(
    "names",
    [
        ("training shoes", "test tube"),
        ("train", "bus", "car"),
        ("trainer", "valley"),
        ("valid", "invalid"),
        ("dev", "ops"),
    ],
)
def test_classes_that_sound_like_splits_stay_classes(names: tuple[str, ...], tmp_path: Path) -> None:
    data = read_dataset(touch(tmp_path, *(f"{name}/1.jpg" for name in names)))
    assert data.classes == tuple(sorted(names))
    assert data.splits == {}


def test_equal_classes_below_other_folders_are_noted(tmp_path: Path) -> None:
    data = read_dataset(touch(tmp_path, "amazon/mug/1.jpg", "amazon/pen/1.jpg", "webcam/mug/2.jpg", "webcam/pen/2.jpg"))
    assert len(data.classes) == 4
    assert [note.kind for note in data.notes] == ["equal class names"]
    assert "'amazon/mug' and 'webcam/mug'" in data.notes[0].message


DOUBTFUL = {
    "train/1.jpg valid/2.jpg test/3.jpg": "splits that hold pictures only, so where are their labels",
    "Training/1.jpg Training/2.jpg": "split that holds pictures only",
    "train/images/1.jpg valid/images/2.jpg": "where are their labels",
    "train/1.jpg valid/2.jpg train/_annotations.abc.json": r"train/_annotations.abc.json is damaged \(",
    "obj_train_data/1.jpg obj_train_data/2.jpg": "names no class",
    "JPEGImages/1.jpg": "names no class",
    "images/1.jpg images/2.jpg labels.mat": r"labels.mat is of no known format",
    "cat/1.jpg cat/1.mat dog/2.jpg dog/2.mat": r"2 of 2 pictures have a \.mat file of their name",
    "cat/1.jpg dog/2.jpg points/1.pts points/2.pts": r"2 of 2 pictures have a \.pts file of their name",
    "cat/1.jpg dog/2.jpg cat/annotations.pkl": "lies among the pictures",
    "train/cat/1.jpg train/dog/2.jpg train/bboxes.npy": "lies among the pictures",
    "cat/train/1.jpg cat/test/2.jpg dog/3.jpg": "mixes split folders",
    "train/cat/1.jpg train_extra/2.jpg test/cat/3.jpg test_extra/4.jpg": "mixes split folders",
}


@pytest.mark.parametrize("files", DOUBTFUL)
def test_what_speaks_against_classes_is_said_with_a_way_out(files: str, tmp_path: Path) -> None:
    touch(tmp_path, *files.split())
    with pytest.raises(DataError, match=DOUBTFUL[files]) as caught:
        read_dataset(tmp_path)
    assert "\n" not in str(caught.value)
    if "mixes" not in DOUBTFUL[files]:
        assert "--format folder" in str(caught.value)
        if len({name.split("/")[0] for name in files.split() if name.endswith(".jpg")}) > 1 and "/images/" not in files:
            assert len(read_dataset(tmp_path, format="folder").classes) > 1


@pytest.mark.parametrize(
    "file", ["labels.txt", "README.md", "classes.txt", "cat/notes.txt", "patients.csv", "clip.mp4"]
)
def test_other_files_are_counted_and_no_reason_to_refuse(file: str, tmp_path: Path) -> None:
    data = read_dataset(touch(tmp_path, "cat/1.jpg", "dog/2.jpg", file))
    assert data.classes == ("cat", "dog")
    assert [(note.id, note.kind) for note in data.notes] == [(file, "not used")]


def test_a_folder_with_a_table_of_another_name_says_to_name_the_table(tmp_path: Path) -> None:
    for name in ("train/1.jpg", "train/2.jpg", "test/3.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "train.csv").write_text("id,label\n1,a\n2,b\n")
    with pytest.raises(DataError, match=r"in the table train.csv, give that file in place of the folder"):
        read_dataset(tmp_path)
    assert read_dataset(tmp_path / "train.csv").classes == ("a", "b")
