"""Tables beside pictures: columns, splits, several labels, attributes, and tables that are wrong or hostile."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from pictures import make_folder

from photovision.core.errors import DataError, MissingExtra
from photovision.data.formats import table
from photovision.data.read import read_dataset

Rows = list[dict[str, object]]


def put(folder: Path, rows: Rows, kind: str = "csv", name: str = "metadata", files: bool = True) -> Path:
    """Write a table and empty files for the pictures that it names; returns the table's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{kind}"
    if kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    for row in rows if files else []:
        file = folder / str(next(iter(row.values())))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return path


ROWS: Rows = [
    {"file_name": "images/1.jpg", "label": "cat", "split": "train", "group": "g1", "camera": "B"},
    {"file_name": "images/2.jpg", "label": "dog", "split": "Validation", "group": "g1", "camera": ""},
    {"file_name": "images/3.jpg", "label": "dog", "split": "test", "group": "", "camera": "A"},
    {"file_name": "images/4.jpg", "label": "cat", "split": "", "group": "", "camera": "A"},
]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("directly", [True, False])
def test_a_table_in_every_form(tmp_path: Path, kind: str, directly: bool) -> None:
    path = put(tmp_path, ROWS, kind)
    data = read_dataset(path if directly else tmp_path)
    assert data.source == "table"
    assert data.classes == ("cat", "dog")
    assert [sample.id for sample in data.samples] == [f"images/{i}.jpg" for i in (1, 2, 3, 4)]
    assert data.splits == {"train": (0,), "val": (1,), "test": (2,)}
    assert data.samples[0].groups == {"group": "g1", "camera": "B"}
    assert data.samples[1].groups == {"group": "g1"}


@pytest.mark.parametrize("column", ["file", "path", "image", "filename", "image_path", "File_Name"])
@pytest.mark.parametrize("label", ["label", "class", "category", "target"])
def test_columns_go_by_many_names(tmp_path: Path, column: str, label: str) -> None:
    put(tmp_path, [{column: "1.jpg", label: "a"}, {column: "2.jpg", label: "b"}])
    assert read_dataset(tmp_path).labels.tolist() == [0, 1]


def test_another_label_column_can_be_chosen(tmp_path: Path) -> None:
    put(
        tmp_path,
        [
            {"file_name": "1.jpg", "label": "Gala", "coarse": "Apple"},
            {"file_name": "2.jpg", "label": "Milk", "coarse": "Dairy"},
        ],
    )
    assert read_dataset(tmp_path).classes == ("Gala", "Milk")
    data = read_dataset(tmp_path, label_column="coarse")
    assert data.classes == ("Apple", "Dairy")
    assert data.samples[0].groups == {"label": "Gala"}


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("csv", ["red|round", "round", ""]),
        ("csv", ["red; round", "round ", ""]),
        ("jsonl", [["red", "round"], ["round"], []]),
        ("parquet", [["red", "round"], ["round"], []]),
    ],
)
def test_several_labels(tmp_path: Path, kind: str, values: list[object]) -> None:
    put(tmp_path, [{"file_name": f"{i}.jpg", "labels": value} for i, value in enumerate(values)], kind)
    data = read_dataset(tmp_path)
    assert data.multilabel
    assert data.classes == ("red", "round")
    assert data.label_matrix.tolist() == [[1, 1], [0, 1], [0, 0]]


def test_columns_of_0_and_1_are_labels_only_when_asked(tmp_path: Path) -> None:
    put(
        tmp_path,
        [
            {"file_name": "1.jpg", "red": 1, "round": 0, "age": 7},
            {"file_name": "2.jpg", "red": 1, "round": 1, "age": 3},
        ],
    )
    data = read_dataset(tmp_path, multilabel=True)
    assert data.classes == ("red", "round")
    assert data.label_matrix.tolist() == [[1, 0], [1, 1]]
    assert data.samples[0].groups == {"age": "7"}
    with pytest.raises(DataError, match=r"red, round are columns of 0 and 1, but 1 of 2 rows .*: --multilabel"):
        read_dataset(tmp_path)


def test_numbers_are_the_same_classes_in_every_form(tmp_path: Path) -> None:
    rows: Rows = [{"file_name": f"{i}.jpg", "label": value} for i, value in enumerate((10, 9, 1))]
    classes = {read_dataset(put(tmp_path / kind, rows, kind)).classes for kind in ("csv", "jsonl", "parquet")}
    assert classes == {("1", "9", "10")}


def test_a_table_in_each_split_folder(tmp_path: Path) -> None:
    put(tmp_path / "train", [{"file_name": "1.jpg", "label": "a"}, {"file_name": "2.jpg", "label": "b"}])
    put(tmp_path / "test", [{"file_name": "1.jpg", "label": "b", "camera": "X"}], "jsonl")
    data = read_dataset(tmp_path)
    assert {name: [data.samples[i].id for i in positions] for name, positions in data.splits.items()} == {
        "train": ["train/1.jpg", "train/2.jpg"],
        "test": ["test/1.jpg"],
    }
    assert data.samples[data.splits["test"][0]].groups == {"camera": "X"}


@pytest.mark.parametrize("text", ["\ufefffile_name;label\n1.jpg;ä, b\n", 'file_name,label\n1.jpg,"ä, b"\n'])
def test_spreadsheets_of_other_countries(tmp_path: Path, text: str) -> None:
    (tmp_path / "1.jpg").touch()
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8")
    assert read_dataset(tmp_path).classes == ("ä, b",)


def test_backslashes_and_other_unicode_forms_find_their_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").touch()
    (tmp_path / "a" / "A\u0308.jpg").touch()
    put(tmp_path, [{"file_name": "a\\1.jpg", "label": "x"}, {"file_name": "a/\u00c4.jpg", "label": "y"}], files=False)
    data = read_dataset(tmp_path)
    assert len(data) == 2
    assert all(isinstance(sample.image, Path) and sample.image.exists() for sample in data.samples)


def test_files_that_are_not_there_are_problems(tmp_path: Path) -> None:
    put(tmp_path, [*ROWS, {"file_name": "gone.jpg", "label": "cat"}])
    (tmp_path / "gone.jpg").unlink()
    data = read_dataset(tmp_path)
    assert len(data) == 4
    assert [(problem.id, problem.kind) for problem in data.problems] == [("gone.jpg", "missing")]


def test_mostly_missing_files_are_an_error_that_names_the_first(tmp_path: Path) -> None:
    put(tmp_path, ROWS, files=False)
    with pytest.raises(DataError, match=r"4 of the 4 pictures that .* names are not found, first 'images/1.jpg'"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "a/../../secret.jpg", "/etc/passwd", "C:\\secret.jpg", "..\\secret.jpg"]
)
def test_a_table_cannot_name_files_outside_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.jpg").touch()
    inner = tmp_path / "data"
    put(inner, ROWS)
    with (inner / "metadata.csv").open("a", newline="") as file:
        csv.writer(file).writerow([name, "cat", "train", "", ""])
    data = read_dataset(inner)
    assert len(data) == 4
    assert [problem.kind for problem in data.problems] == ["outside"]


def test_rows_without_label_are_problems_and_rows_given_twice_count_once(tmp_path: Path) -> None:
    put(tmp_path, [*ROWS, {"file_name": "5.jpg", "label": ""}, {"file_name": "images/1.jpg", "label": "cat"}])
    data = read_dataset(tmp_path)
    assert {problem.kind: problem.id for problem in data.problems} == {"unlabelled": "5.jpg"}
    assert [note.message for note in data.notes] == ["1 row repeats a picture and its label; each counts once"]
    assert (data.samples[0].label, len(data)) == ("cat", 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no rows"),
        ("file_name,label\n", "has no rows"),
        ("what,label\nx,a\n", "needs a column 'file_name'.*its columns are: what, label.*--file-column"),
        ("file_name,kind,size\n1.jpg,a,b\n", "needs a column 'label'.*--label-column"),
        ("file_name,label,label\n1.jpg,a,b\n", "two columns of one name"),
        ("file_name,label\n1.jpg,a,b\n", "line 2: 3 cells, but the header names 2 columns"),
        ('file_name,label\n"1.jpg,a\n', "not readable as CSV"),
        ("file_name,label,split\n1.jpg,a,later\n", "should be train, val or test, got 'later'"),
        ("file_name,label\n1.jpg,\n", "names no labelled pictures"),
    ],
)
def test_tables_that_cannot_be_understood_give_one_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "1.jpg").touch()
    (tmp_path / "metadata.csv").write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(tmp_path)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_tables_give_one_line(tmp_path: Path) -> None:
    for name, content, message in (
        ("a.csv", "file_name,label\n1.jpg,\xff\n".encode("latin-1"), "not a table in UTF-8"),
        ("a.jsonl", b'{"file_name": "1.jpg"\n', "line 1: expected a JSON object|line 1: expected one JSON object"),
        ("b.jsonl", b"[1]\n", "line 1: expected"),
        ("a.parquet", b"no parquet", "not a readable Parquet file"),
        ("a.txt", b"x", "has no rows"),
        ("a.xlsx", b"PK", "is a spreadsheet.*save it as CSV"),
        ("a.pdf", b"x", "neither a folder nor a table"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message) as caught:
            read_dataset(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_two_tables_in_one_folder_are_an_error(tmp_path: Path) -> None:
    put(tmp_path, ROWS)
    put(tmp_path, ROWS, "jsonl")
    with pytest.raises(DataError, match=r"metadata\.csv and metadata\.jsonl: keep one"):
        read_dataset(tmp_path)


def test_parquet_without_its_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, ROWS, "parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"install 'pyarrow>=16'"):
        read_dataset(path)


@pytest.mark.parametrize("several", [False, True])
def test_what_is_written_is_read_again(tmp_path: Path, several: bool) -> None:
    make_folder(tmp_path / "one", per_class=2)
    name, values = ("labels", ["a|b", "b", "", "a"]) if several else ("label", ["a", "b", "b", "a"])
    files = ["circle/000.png", "circle/001.png", "square/000.png", "square/001.png"]
    rows: Rows = [
        {"file_name": file, name: value, "split": split, "camera": "X" if split == "val" else ""}
        for file, value, split in zip(files, values, ("train", "train", "val", ""), strict=True)
    ]
    put(tmp_path / "one", rows, files=False)
    data = read_dataset(tmp_path / "one")
    table.write(data, tmp_path / "two")
    again = read_dataset(tmp_path / "two")
    assert again.classes == data.classes
    assert again.splits == data.splits
    assert again.multilabel == several
    assert [sample.target for sample in again.samples] == [sample.target for sample in data.samples]
    assert [dict(sample.groups) for sample in again.samples] == [dict(sample.groups) for sample in data.samples]


def test_the_grocery_table(shared_data: Path) -> None:
    data = read_dataset(shared_data / "grocery")
    assert (len(data), len(data.classes)) == (2936, 81)
    assert {name: len(positions) for name, positions in data.splits.items()} == {"train": 2640, "val": 296}
    assert len(read_dataset(shared_data / "grocery", label_column="coarse_label").classes) == 43
