"""Labels from the names of files, by a rule or a simple pattern, only where they are asked for."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest

from photovision.core.errors import DataError, UsageError
from photovision.data.read import read_dataset


def pictures(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("names", "pattern", "classes"),
    [
        (["cat.0.jpg", "dog.1.jpg", "cat.12.jpg"], "name", ("cat", "dog")),
        (["Abyssinian_12.jpg", "great_pyrenees_3.jpg"], "name", ("Abyssinian", "great_pyrenees")),
        (["dog (1).jpg", "cat (2).jpg", "cat3.png", "dog-04.jpg"], "name", ("cat", "dog")),
        (["Ruhe 1.jpg", "Größe_2.jpg"], "name", ("Größe", "Ruhe")),
        (["0042-rose-front.jpg", "7-tulip-back.jpg"], "#-{label}-*", ("rose", "tulip")),
        (["s1_happy.jpg", "s2_sad.jpg"], "*_{label}", ("happy", "sad")),
        (["a/cat_1.jpg", "b/dog_2.jpg"], "*/{label}_#", ("cat", "dog")),
        (["a.(x)+1.jpg", "b.(x)+2.jpg"], "{label}.(x)+#", ("a", "b")),
    ],
)
def test_names_tell_labels(tmp_path: Path, names: list[str], pattern: str, classes: tuple[str, ...]) -> None:
    data = read_dataset(pictures(tmp_path, *names), label_from=pattern)
    assert data.classes == classes
    assert len(data) == len(names)
    assert any(f"from the names of the files, by '{pattern}'" in note.message for note in data.notes)


def test_folders_of_splits_are_splits(tmp_path: Path) -> None:
    data = read_dataset(pictures(tmp_path, "train/cat.0.jpg", "train/dog.1.jpg", "test/cat.2.jpg"), label_from="name")
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 2, "test": 1}


def test_names_that_do_not_fit_are_problems_and_most_of_them_an_error(tmp_path: Path) -> None:
    data = read_dataset(pictures(tmp_path, "cat.0.jpg", "dog.1.jpg", "cover.jpg"), label_from="name")
    assert [(problem.id, problem.kind) for problem in data.problems] == [("cover.jpg", "unlabelled")]
    with pytest.raises(DataError, match=r"3 of 3 names .* do not fit '\{label\}-#', first 'cat.0.jpg'"):
        read_dataset(tmp_path, label_from="{label}-#")


@pytest.mark.parametrize("pattern", ["(.+?)_", "*", "{label}{label}", "{label}***", "{label}" + "x" * 300, ""])
def test_patterns_that_are_none_are_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(UsageError, match=r"label_from should be 'name', or a pattern with one \{label\}"):
        read_dataset(pictures(tmp_path, "cat.0.jpg"), label_from=pattern)


@pytest.mark.parametrize("pattern", ["name", "*{label}*#", "{label}_#_*_#x"])
def test_no_name_keeps_a_pattern_busy(tmp_path: Path, pattern: str) -> None:
    names = [c * 120 + d * 120 + ".jpg" for c in "a1_" for d in "b2-"]
    begin = time.process_time()
    with suppress(DataError):  # most of the names do not fit
        read_dataset(pictures(tmp_path, *names), label_from=pattern)
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("folder", ["", "train/"])
def test_a_flat_folder_is_refused_with_the_flag_that_reads_it(tmp_path: Path, folder: str) -> None:
    pictures(tmp_path, *(f"{folder}{kind}.{i}.jpg" for kind in ("cat", "dog") for i in range(6)))
    with pytest.raises(DataError, match=r"names look like labels \('cat', 'dog'\).*--label-from name"):
        read_dataset(tmp_path)


def test_nothing_is_suggested_where_names_are_no_labels(tmp_path: Path) -> None:
    pictures(tmp_path / "a", *(f"IMG_{i:04d}.jpg" for i in range(12)))
    pictures(tmp_path / "b", *(f"photo{chr(97 + i)}-{i}.jpg" for i in range(12)))
    for name in ("a", "b"):
        pictures(tmp_path / name, "x/one.txt")
        with pytest.raises(DataError) as caught:
            read_dataset(tmp_path / name)
        assert "--label-from" not in str(caught.value)
