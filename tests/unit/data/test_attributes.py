"""Attributes from a table beside the data reach the pictures they name, and a table of other pictures is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from photovision.core.errors import DataError
from photovision.core.types import Sample
from photovision.data.attributes import with_attributes
from photovision.data.dataset import Dataset


def some(*names: str) -> Dataset:
    picture = np.zeros((4, 4, 3), np.uint8)
    return Dataset(tuple(Sample(name, picture, ("a",), {"site": "x"}) for name in names), ("a",))


def table(folder: Path, *lines: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rows_are_found_by_path_or_by_name_where_it_is_the_only_one(tmp_path: Path) -> None:
    data = some("one/1.jpg", "one/2.jpg", "two/2.jpg", "3.jpg")
    lines = ("file_name,camera,hour", "1.jpg,old,7", "2.jpg,never,1", "one\\2.jpg,new,", "other.jpg,odd,3")
    groups = [sample.groups for sample in with_attributes(data, table(tmp_path, *lines)).samples]
    assert groups[0] == {"site": "x", "camera": "old", "hour": "7"}
    assert groups[1] == {"site": "x", "camera": "new"}
    assert groups[2] == groups[3] == {"site": "x"}


def test_the_most_telling_of_several_columns_names_the_pictures(tmp_path: Path) -> None:
    found = with_attributes(some("1.jpg"), table(tmp_path, "id,Image Path,site", "77,1.jpg,none"))
    assert found.samples[0].groups == {"id": "77", "site": "none"}


def test_what_a_table_says_replaces_what_was_known(tmp_path: Path) -> None:
    found = with_attributes(some("1.jpg"), table(tmp_path, "path;site", "1.jpg;north"))
    assert found.samples[0].groups == {"site": "north"}
    lines = ('{"file": "1.jpg", "site": 3.0, "night": true}',)
    found = with_attributes(some("1.jpg"), table(tmp_path, *lines, name="table.jsonl"))
    assert found.samples[0].groups == {"site": "3", "night": "true"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("slide,camera", "1.jpg,old"), "should have a column 'file_name'"),
        (("file_name", "1.jpg"), "columns of attributes"),
        (("file_name,camera", "7.jpg,old"), "names none of the pictures"),
        (("file_name,camera", "1.jpg,old,extra"), "line 2"),
    ],
)
def test_tables_that_say_nothing_are_refused(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        with_attributes(some("1.jpg"), table(tmp_path, *lines))


def test_no_table_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError, match="should be a table"):
            with_attributes(some("1.jpg"), path)
