"""Finding picture files, lazily and in a fixed order."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from photovision.core.errors import DataError
from photovision.data.image_paths import find_pictures, strangers


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_folders_are_walked_files_first_then_folders_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.jpg", "a/2.PNG", "a/1.webp", "z.gif", "notes.txt", ".x/1.jpg", "__MACOSX/1.jpg", "a/._1.jpg")
    found = [os.path.relpath(path, tmp_path) for path in find_pictures([str(tmp_path)])]
    assert found == ["z.gif", "a/1.webp", "a/2.PNG", "b/1.jpg"]


def test_a_link_back_ends_the_walk(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg")
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    (tmp_path / "beside").symlink_to(tmp_path / "a")
    found = [os.path.relpath(path, tmp_path) for path in find_pictures([str(tmp_path)])]
    assert found == ["a/1.jpg", "beside/1.jpg"]


def test_strangers_are_named_by_the_folder_they_lie_in(tmp_path: Path) -> None:
    touch(tmp_path, "cars/1.jpg", "cars/deep/2.jpg", "boats/1.png", "3.gif")
    found = strangers(tmp_path)
    assert [(s.id, s.label) for s in found.samples] == [
        ("3.gif", tmp_path.name),
        ("boats/1.png", "boats"),
        ("cars/1.jpg", "cars"),
        ("cars/deep/2.jpg", "cars"),
    ]
    with pytest.raises(DataError, match="not a folder"):
        strangers(tmp_path / "3.gif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        strangers(tmp_path / "empty")


def test_only_one_folder_at_a_time_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/1.jpg")
    found = find_pictures([str(tmp_path)])
    next(found)
    touch(tmp_path, "b/2.jpg")  # would be missed if everything had been listed before
    assert [Path(path).name for path in found] == ["1.jpg", "2.jpg"]


def test_endless_lists_of_names_are_taken_as_they_come() -> None:
    def lines() -> Iterator[str]:
        for number in itertools.count():
            yield f"{number}.png\r\n"

    assert list(itertools.islice(find_pictures(["-"], lines()), 3)) == ["0.png", "1.png", "2.png"]


def test_files_are_taken_whatever_they_are_called(tmp_path: Path) -> None:
    touch(tmp_path, "scan", "a[1].png")
    names = [str(tmp_path / name) for name in ("scan", "a[1].png", "absent.jpg")]
    assert list(find_pictures(names)) == names


def test_patterns_find_pictures_only(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "a/1.txt", "b/c/2.jpg")
    found = find_pictures([str(tmp_path / "**" / "*")])
    assert [Path(path).name for path in found] == ["1.jpg", "2.jpg"]


def test_nothing_found_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "a/notes.txt")
    with pytest.raises(DataError, match="holds no pictures"):
        list(find_pictures([str(tmp_path)]))


def test_a_link_that_leads_to_itself_costs_no_other_picture(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg")
    for name in ("a/0.jpg", "loop"):
        (tmp_path / name).symlink_to(Path(name).name)
    assert list(find_pictures([str(tmp_path)])) == [str(tmp_path / "a" / "1.jpg")]
