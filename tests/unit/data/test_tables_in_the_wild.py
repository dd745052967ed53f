"""Tables as contests, spreadsheets, pandas, hospitals and annotation tools write them; no reading is silent."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image as Pillow

from photovision.core.errors import DataError, UsageError
from photovision.data.dataset import Dataset
from photovision.data.formats import table
from photovision.data.read import read_dataset

N = 12


def pictures(root: Path, *names: str) -> Path:
    for name in names or tuple(f"images/{i}.jpg" for i in range(N)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def written(root: Path, header: str, *rows: str, name: str = "table.csv", encoding: str = "utf-8") -> Path:
    path = root / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding=encoding, newline="")
    return path


def told(data: Dataset) -> str:
    return " / ".join(note.message for note in data.notes if note.kind == "reading")


def labels(data: Dataset) -> list[str]:
    return ["+".join(sample.target or ()) for sample in data.samples]


# How pictures are named.


@pytest.mark.parametrize(
    "header",
    ["id,breed", "image_id,label", "Image_Name,label", "IMAGE,level", "id_code,diagnosis", "Image Index,dx", "img,y"],
)
def test_ids_without_suffix_are_found_in_the_folder_and_it_is_said(tmp_path: Path, header: str) -> None:
    pictures(tmp_path, *(f"images/{i:08x}.jpg" for i in range(N)))
    data = read_dataset(written(tmp_path, header, *(f"{i:08x},{'ab'[i % 2]}" for i in range(N))))
    assert [sample.id for sample in data.samples] == [f"images/{i:08x}.jpg" for i in range(N)]
    assert labels(data) == ["a", "b"] * (N // 2)
    assert "12 pictures are named without their suffix" in told(data)
    assert not data.problems


def test_of_several_columns_that_may_name_pictures_the_one_with_files_does(tmp_path: Path) -> None:
    pictures(tmp_path)
    data = read_dataset(written(tmp_path, "id,path,label", *(f"{i + 500},images/{i}.jpg,a{i % 2}" for i in range(N))))
    assert len(data) == N
    assert data.samples[0].groups == {"id": "500"}


def test_a_column_of_any_name_whose_cells_are_files_is_found(tmp_path: Path) -> None:
    pictures(tmp_path)
    data = read_dataset(written(tmp_path, "slide,kind", *(f"images/{i}.jpg,a{i % 2}" for i in range(N))))
    assert data.classes == ("a0", "a1")
    assert "'slide' names the pictures" in told(data)
    assert "'kind' holds the labels" in told(data)


def test_the_file_column_can_be_chosen(tmp_path: Path) -> None:
    pictures(tmp_path)
    path = written(tmp_path, "file_name,other,label", *(f"images/{i}.jpg,{N - 1 - i},a{i % 2}" for i in range(N)))
    assert read_dataset(path).samples[0].id == "images/0.jpg"
    assert read_dataset(path, file_column="other").samples[0].id == "images/11.jpg"
    with pytest.raises(DataError, match=r"no column 'slide' to take file names from; its columns are: file_name"):
        read_dataset(path, file_column="slide")


def test_absolute_names_that_lead_inside_need_no_word(tmp_path: Path) -> None:
    pictures(tmp_path)
    rows = [f"{(tmp_path / f'images/{i}.jpg').resolve()},a{i % 2}" for i in range(N)]
    data = read_dataset(written(tmp_path, "file_name,label", *rows))
    assert (len(data), told(data)) == (N, "")
    assert data.samples[0].id == "images/0.jpg"


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("/home/ann/set/images/{i}.jpg", "by the end of their names"),
        ("C:\\Users\\ann\\set/images\\{i}.jpg", "by the end of their names"),
        ("/data/upload/1/1a2b3c4d-{i}.jpg", "by the end of their names"),
        ("images/{i}.JPG", "in other letter case"),
        ("Images/{i}.jpg", "in other letter case"),
        ("{i}.jpg", "in folders that their names leave out"),
    ],
)
def test_names_of_other_machines_are_found_and_it_is_said(tmp_path: Path, name: str, how: str) -> None:
    pictures(tmp_path)
    data = read_dataset(written(tmp_path, "image,choice", *(f"{name.format(i=i)},a{i % 2}" for i in range(N))))
    assert [sample.id for sample in data.samples] == [f"images/{i}.jpg" for i in range(N)]
    assert f"12 pictures are {how}" in told(data).replace("found ", "").replace("named ", "")


def test_the_folder_of_the_pictures_can_be_given(tmp_path: Path) -> None:
    pictures(tmp_path / "pictures")
    pictures(tmp_path / "other")
    (tmp_path / "tables").mkdir()
    path = written(tmp_path / "tables", "image_id,label", *(f"{i},a{i % 2}" for i in range(N)))
    data = read_dataset(path, root=tmp_path / "pictures")
    assert {sample.image.parent for sample in data.samples} == {tmp_path / "pictures" / "images"}  # type: ignore[union-attr]
    with pytest.raises(DataError, match=r"are not found, first '0'.*--root"):
        read_dataset(path)
    with pytest.raises(DataError, match="is no folder"):
        read_dataset(path, root=tmp_path / "nowhere")
    pictures(tmp_path / "tables")
    above = read_dataset(
        written(tmp_path / "tables", "f,l", *(f"images/{i}.jpg,a{i % 2}" for i in range(N))), root=tmp_path
    )
    assert above.samples[0].id == "tables/images/0.jpg"


def test_what_could_be_two_pictures_is_a_problem_with_its_true_cause(tmp_path: Path) -> None:
    pictures(tmp_path, "a/1.jpg", "b/1.jpg", "a/4.png", *(f"a/{i}.jpg" for i in (2, 3, 7, 8, 9)))
    data = read_dataset(
        written(tmp_path, "id,label", "1,x", "2,x", "3,y", "4.jpg,y", "5,y", "../6,y", "7,y", "8,x", "9,y")
    )
    assert {problem.id: problem.kind for problem in data.problems} == {
        "1": "ambiguous",
        "4.jpg": "missing",
        "5": "missing",
        "../6": "outside",
    }
    messages = {problem.id: problem.message for problem in data.problems}
    assert "'a/1.jpg' or 'b/1.jpg'" in messages["1"]
    assert "'a/4.png' is: correct the suffix" in messages["4.jpg"]


def test_where_most_are_missing_the_message_blames_the_true_cause(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"images/{i}.png" for i in range(N)))
    with pytest.raises(
        DataError, match=r"12 of the 12 pictures.*first 'images/0.jpg'.*'images/0.png' is: correct the suffix"
    ):
        read_dataset(written(tmp_path, "file_name,label", *(f"images/{i}.jpg,a{i % 2}" for i in range(N))))


def test_rows_without_a_name_are_counted_one_by_one(tmp_path: Path) -> None:
    pictures(tmp_path)
    data = read_dataset(
        written(tmp_path, "file_name,label", *(f"images/{i}.jpg,a{i % 2}" for i in range(N)), ",a0", ",a1")
    )
    assert [problem.message for problem in data.problems] == ["the row names no picture"] * 2


# Columns of 0 and 1.


@pytest.mark.parametrize(
    ("one", "zero"),
    [("1", "0"), ("1.0", "0.0"), (" 1", " 0"), ("TRUE", "FALSE"), ("yes", "no"), ("x", ""), ("1", ""), ("1.0", "nan")],
)
def test_one_1_in_each_row_is_one_label(tmp_path: Path, one: str, zero: str) -> None:
    pictures(tmp_path)
    rows = [f"images/{i}.jpg,{(one, zero)[i % 2]},{(zero, one)[i % 2]},{zero}" for i in range(N)]
    path = written(tmp_path, "image, MEL, NV, BCC", *rows)
    data = read_dataset(path)
    assert not data.multilabel
    assert (data.classes, labels(data)) == (("BCC", "MEL", "NV"), ["MEL", "NV"] * (N // 2)) or not zero
    assert "exactly one for each picture: read as single-label" in told(data)
    several = read_dataset(path, multilabel=True)
    assert several.multilabel
    assert labels(several) == labels(data)


def test_a_class_that_no_row_has_is_still_a_class(tmp_path: Path) -> None:
    pictures(tmp_path)
    path = written(tmp_path, "image,a,b,c", *(f"images/{i}.jpg,{i % 2},{1 - i % 2},0" for i in range(N)))
    assert read_dataset(path).classes == ("a", "b", "c")


def test_several_labels_and_none_are_refused_until_they_are_asked_for(tmp_path: Path) -> None:
    pictures(tmp_path)
    path = written(tmp_path, "filename, sick, young", *(f"images/{i}.jpg, {i % 2}, {i % 3 % 2}" for i in range(N)))
    with pytest.raises(DataError, match=r"8 of 12 rows do not have exactly one 1: --multilabel|of 12 rows do not"):
        read_dataset(path)
    data = read_dataset(path, multilabel=True)
    assert data.label_matrix.tolist() == [[i % 2, i % 3 % 2] for i in range(N)]
    single = read_dataset(path, multilabel=False)
    assert not single.multilabel
    assert {problem.kind for problem in single.problems} == {"unlabelled", "contradictory"}
    assert len(single) + len(single.problems) == N


def test_roboflow_classes_in_split_folders(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        pictures(tmp_path / split, "a.jpg", "b.jpg")
        written(tmp_path / split, "filename, sick, young", "a.jpg, 1, 1", "b.jpg, 0, 0", name="_classes.csv")
    data = read_dataset(tmp_path, multilabel=True)
    assert data.label_matrix.tolist() == [[1, 1], [0, 0]] * 3
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 2, "val": 2, "test": 2}


CHEXPERT = ["1.0,,0.0", "-1.0,1.0,", ",,", "0.0,-1.0,1.0"]


def test_uncertain_cells_have_to_be_decided(tmp_path: Path) -> None:
    pictures(tmp_path)
    path = written(tmp_path, "Path,Edema,Pneumonia,No Finding", *(f"images/{i}.jpg,{CHEXPERT[i]}" for i in range(4)))
    with pytest.raises(DataError, match=r"2 cells .* are -1.*--uncertain negative, positive or ignore") as caught:
        read_dataset(path, multilabel=True)
    assert "\n" not in str(caught.value)
    found = {u: read_dataset(path, multilabel=True, uncertain=u) for u in ("negative", "positive", "ignore")}
    assert labels(found["negative"]) == ["Edema", "Pneumonia", "", "No Finding"]
    assert labels(found["positive"]) == ["Edema", "Edema+Pneumonia", "", "No Finding+Pneumonia"]
    assert labels(found["ignore"]) == ["Edema", ""]
    assert [problem.kind for problem in found["ignore"].problems] == ["uncertain"] * 2
    assert "2 cells are -1 (uncertain): taken as 0" in told(found["negative"])
    assert "2 cells are -1 (uncertain): taken as 1" in told(found["positive"])
    assert "2 cells are -1 (uncertain): their pictures are left out" in told(found["ignore"])
    assert "5 empty cells of these columns are taken as 0" in told(found["negative"])
    with pytest.raises(UsageError, match="negative, positive or ignore, got 'maybe'"):
        read_dataset(path, multilabel=True, uncertain="maybe")


def test_uncertain_is_refused_where_it_means_nothing(tmp_path: Path) -> None:
    pictures(tmp_path)
    path = written(tmp_path, "image,label", *(f"images/{i}.jpg,a{i % 2}" for i in range(N)))
    with pytest.raises(DataError, match="--uncertain is about several columns of 0 and 1"):
        read_dataset(path, uncertain="ignore")


def test_columns_of_0_and_1_can_be_chosen_among_others(tmp_path: Path) -> None:
    pictures(tmp_path)
    rows = [f"images/{i}.jpg,{i % 2},{1 - i % 2},{int(i < 5)}" for i in range(N)]
    path = written(tmp_path, "image,a,b,smoker", *rows)
    with pytest.raises(DataError, match="do not have exactly one 1"):
        read_dataset(path)
    data = read_dataset(path, label_column="a,b")
    assert (data.classes, data.multilabel) == (("a", "b"), False)
    assert data.samples[0].groups == {"smoker": "1"}


def test_one_column_of_0_and_1_is_two_classes(tmp_path: Path) -> None:
    pictures(tmp_path)
    data = read_dataset(written(tmp_path, "id,has_cactus", *(f"{i},{i % 2}" for i in range(N))))
    assert (data.classes, data.multilabel) == (("0", "1"), False)


# Several labels in a cell.


@pytest.mark.parametrize("column", ["labels", "tags", "Finding Labels"])
@pytest.mark.parametrize("separator", ["|", ";", ",", ", ", " ", "\t", "/"])
def test_labels_in_one_cell_are_parted_where_they_recur(tmp_path: Path, column: str, separator: str) -> None:
    pictures(tmp_path)
    rows = [f'images/{i}.jpg,"{"ab"[i % 2]}{separator}{"cd"[i // 2 % 2]}"' for i in range(N)]
    data = read_dataset(written(tmp_path, f"image,{column}", *rows))
    assert (data.classes, data.multilabel) == (("a", "b", "c", "d"), True)
    assert "hold several labels" in told(data)


def test_eight_tags_are_eight_classes(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"train-jpg/train_{i}.jpg" for i in range(48)))
    more = ("agriculture", "road", "water", "habitation", "cultivation")
    tags = [
        " ".join([("clear", "haze", "cloudy")[i % 3], *(tag for bit, tag in enumerate(more) if i >> bit & 1)])
        for i in range(48)
    ]
    data = read_dataset(written(tmp_path, "image_name,tags", *(f"train_{i},{tags[i]}" for i in range(48))))
    assert data.classes == ("agriculture", "clear", "cloudy", "cultivation", "habitation", "haze", "road", "water")
    few = read_dataset(written(tmp_path, "image_name,tags", *(f"train_{i},{tags[i]}" for i in (1, 3, 6, 12, 25))))
    assert "taken as one class each" in told(few)


@pytest.mark.parametrize("column", ["label", "labels", "class"])
@pytest.mark.parametrize(
    "names",
    [
        ["golden retriever", "labrador retriever", "beagle", "border collie"],
        ["tench, Tinca tinca", "goldfish, Carassius auratus", "great white shark, white shark"],
        ["t-shirt/top", "trouser", "ankle boot"],
        ["None of the above", "NA", "none", "no"],
        ["Smith, John", "Doe, Jane"],
        ["red fox", "red panda", "giant panda"],
        ["C+", "C", "A+"],
    ],
)
def test_names_with_blanks_and_commas_are_not_torn(tmp_path: Path, column: str, names: list[str]) -> None:
    pictures(tmp_path)
    data = read_dataset(
        written(tmp_path, f"file,{column}", *(f'images/{i}.jpg,"{names[i % len(names)]}"' for i in range(N)))
    )
    assert set(data.classes) == set(names)
    assert not data.multilabel


def test_weak_evidence_is_told_and_not_acted_on(tmp_path: Path) -> None:
    pictures(tmp_path)
    names = ["black cat", "white cat", "black dog", "white dog"]
    path = written(tmp_path, "file,label", *(f"images/{i}.jpg,{names[i % 4]}" for i in range(N)))
    data = read_dataset(path)
    assert set(data.classes) == set(names)
    assert "'black cat' are taken as one class each; if they are several labels, add --label-separator ' '" in told(
        data
    )
    several = read_dataset(path, label_separator=" ")
    assert several.classes == ("black", "cat", "dog", "white")
    assert several.multilabel


@pytest.mark.parametrize("separator", ["|", ";"])
def test_signs_that_no_name_has_need_less_evidence(tmp_path: Path, separator: str) -> None:
    pictures(tmp_path)
    rows = [f'images/{i}.jpg,"{"ab"[i % 2]}{separator}{"cd"[i // 2 % 2]}"' for i in range(N)]
    assert read_dataset(written(tmp_path, "image,label", *rows)).classes == ("a", "b", "c", "d")
    rows = [f'images/{i}.jpg,"a{separator}{i % 3}"' for i in range(N)]
    assert read_dataset(written(tmp_path, "image,label", *rows)).classes == tuple(f"a{separator}{i}" for i in range(3))


def test_pictures_in_several_splits_are_said(tmp_path: Path) -> None:
    pictures(tmp_path)
    rows = [f"images/{i}.jpg,a{i % 2},train" for i in range(N)]
    data = read_dataset(written(tmp_path, "file,label,split", *rows, "images/3.jpg,a1,test"))
    assert "1 picture is in several splits, of which the first counts; first: images/3.jpg" in told(data)


def test_the_row_that_spoils_columns_of_0_and_1_is_named(tmp_path: Path) -> None:
    pictures(tmp_path)
    rows = [f"images/{i}.jpg,{i % 2},{1 - i % 2}" for i in range(N)]
    with pytest.raises(DataError, match=r"'a' would be one of 0 and 1, but for '6' in row 13"):
        read_dataset(written(tmp_path, "img,a,b", *rows, "total,6,6"))


def test_a_separator_that_no_cell_has_is_refused(tmp_path: Path) -> None:
    pictures(tmp_path)
    path = written(tmp_path, "file,label", *(f"images/{i}.jpg,a{i % 2}" for i in range(N)))
    with pytest.raises(DataError, match="no cell of the column 'label' has the label separator '#'"):
        read_dataset(path, label_separator="#")


def test_strong_evidence_parts_a_column_with_a_singular_name(tmp_path: Path) -> None:
    pictures(tmp_path)
    names = ["cat", "dog", '"cat,dog"', '"bird,cat"', "bird"]
    data = read_dataset(written(tmp_path, "file,label", *(f"images/{i}.jpg,{names[i % 5]}" for i in range(N))))
    assert (data.classes, data.multilabel) == (("bird", "cat", "dog"), True)


@pytest.mark.parametrize("cell", ["\"['a', 'b']\"", '"[""a"", ""b""]"'])
def test_lists_as_python_and_json_write_them(tmp_path: Path, cell: str) -> None:
    pictures(tmp_path)
    data = read_dataset(
        written(tmp_path, "file,labels", *(f"images/{i}.jpg,{cell if i % 2 else '[]'}" for i in range(N)))
    )
    assert data.label_matrix.tolist() == [[i % 2, i % 2] for i in range(N)]


def test_choices_of_label_studio(tmp_path: Path) -> None:
    pictures(tmp_path)
    cells = ["a", "b", '"{""choices"":[""a"",""c""]}"']
    rows = [f"/data/upload/1/1a2b3c4d-{i}.jpg,{i},{cells[i % 3]}" for i in range(N)]
    data = read_dataset(written(tmp_path, "image,id,choice", *rows))
    assert labels(data) == ["a", "b", "a+c"] * 4


def test_the_user_can_say_that_a_cell_is_one_class(tmp_path: Path) -> None:
    pictures(tmp_path)
    path = written(tmp_path, "file,labels", *(f'images/{i}.jpg,"{"ab"[i % 2]},{"cd"[i // 2 % 2]}"' for i in range(N)))
    assert read_dataset(path, multilabel=False).classes == ("a,c", "a,d", "b,c", "b,d")


def test_one_row_a_label_is_several_labels(tmp_path: Path) -> None:
    pictures(tmp_path)
    rows = [f"images/{i}.jpg,{label}" for i in range(N) for label in ("ab"[i % 2], "c")]
    path = written(tmp_path, "file_name,label", *rows, "images/0.jpg,a")
    data = read_dataset(path)
    assert labels(data) == ["a+c", "b+c"] * (N // 2)
    assert data.multilabel
    assert "12 of 12 pictures have rows with different labels: read as several labels" in told(data)
    assert "1 row repeats" in told(data)
    assert not data.problems
    with pytest.raises(DataError, match="names no labelled pictures"):
        read_dataset(path, multilabel=False)


def test_rows_that_say_what_is_not_there_give_no_label(tmp_path: Path) -> None:
    pictures(tmp_path)
    rows = [f"{i},/m/{label},{int(label != 'no')}" for i in range(N) for label in ("cat", "dog", "no")]
    data = read_dataset(written(tmp_path, "ImageID,LabelName,Confidence", *rows))
    assert labels(data) == ["/m/cat+/m/dog"] * N
    assert "where the column 'Confidence' is 0, the label of the row is not true" in told(data)


def test_a_few_contradictions_are_mistakes_and_left_out(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{i}.jpg" for i in range(100)))
    data = read_dataset(
        written(tmp_path, "file_name,label", *(f"{i}.jpg,{'ab'[i % 2]}" for i in range(100)), "0.jpg,b")
    )
    assert (len(data), data.multilabel) == (99, False)
    assert [(problem.id, problem.kind) for problem in data.problems] == [("0.jpg", "contradictory")]
    assert "different labels: 'a' and 'b'" in data.problems[0].message


# Cells as written.


def test_only_an_empty_cell_is_unlabelled(tmp_path: Path) -> None:
    names = ["none", "NA", "null", "no", "01", "1_000", "TRUE", "nan", "1e3", "-", "?", ""]
    pictures(tmp_path)
    data = read_dataset(
        written(tmp_path, "file_name,label,site", *(f"images/{i}.jpg,{n},none" for i, n in enumerate(names)))
    )
    assert labels(data) == names[:-1]
    assert [problem.kind for problem in data.problems] == ["unlabelled"]
    assert data.samples[0].groups == {"site": "none"}


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("file_name,label,,", "{f},{l},,"),
        ("file_name,label", "{f},{l},"),
        ("file_name,label", "{f},{l},, "),
        (",file_name,label", "{i},{f},{l}"),
        ("Unnamed: 0,file_name,label", "{i},{f},{l}"),
        (" file_name , label ", " {f} , {l} "),
        ('"file_name";"label"', '"{f}";"{l}"'),
        ("sep=;\nfile_name;label", "{f};{l}"),
        ("\n\nfile_name,label", "{f},{l}"),
        ("file_name|label", "{f}|{l}"),
        ("file_name\tlabel", "{f}\t{l}"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_habits_of_spreadsheets(tmp_path: Path, header: str, row: str, end: str) -> None:
    pictures(tmp_path)
    lines = [header, *(row.format(f=f"images/{i}.jpg", l=f"a{i % 2}", i=i) for i in range(N))]
    for name, encoding in (("a.csv", "utf-8"), ("b.csv", "utf-8-sig"), ("c.csv", "utf-16")):
        (tmp_path / name).write_bytes((end.join(lines).replace("\n", end) + end).encode(encoding))
        data = read_dataset(tmp_path / name)
        assert labels(data) == [f"a{i % 2}" for i in range(N)]
        assert (dict(data.samples[0].groups), told(data), data.problems) == ({}, "", ())


@pytest.mark.parametrize("header", [",label", "index,label", "Unnamed: 0,label"])
def test_numbers_of_rows_that_are_the_only_names_count(tmp_path: Path, header: str) -> None:
    pictures(tmp_path)
    data = read_dataset(written(tmp_path, header, *(f"{i},a{i % 2}" for i in range(N))))
    assert labels(data) == [f"a{i % 2}" for i in range(N)]


def test_where_no_picture_is_left_the_reason_is_given(tmp_path: Path) -> None:
    pictures(tmp_path)
    path = written(tmp_path, "image,a,b", *(f"images/{i}.jpg,-1,{i % 2}" for i in range(N)))
    with pytest.raises(DataError, match=r"no labelled pictures.*first: images/0.jpg: the table is uncertain"):
        read_dataset(path, multilabel=True, uncertain="ignore")


def test_a_nameless_column_with_cells_is_not_lost(tmp_path: Path) -> None:
    pictures(tmp_path)
    data = read_dataset(written(tmp_path, "file_name,label,", *(f"images/{i}.jpg,a{i % 2},x{i % 3}" for i in range(N))))
    assert data.samples[1].groups == {"column 3": "x1"}


@pytest.mark.parametrize("header", ["id,kind", "what,kind"])
def test_a_header_that_is_also_a_picture_is_still_a_header(tmp_path: Path, header: str) -> None:
    pictures(tmp_path, *(f"images/{i}.jpg" for i in range(N)), "kind.jpg", "id.jpg")
    data = read_dataset(written(tmp_path, header, *(f"{i},a{i % 2}" for i in range(N))))
    assert (len(data), data.problems) == (N, ())


def test_the_first_row_of_a_list_of_ids_is_not_lost(tmp_path: Path) -> None:
    pictures(tmp_path)
    assert len(read_dataset(written(tmp_path, *(f"{i},a{i % 2}" for i in range(N))))) == N


@pytest.mark.parametrize(("name", "between"), [("train.txt", " "), ("train.txt", "\t"), ("train.csv", ",")])
def test_a_list_without_header(tmp_path: Path, name: str, between: str) -> None:
    pictures(tmp_path)
    rows = [f"images/{i}.jpg{between}{i % 3}" for i in range(N)]
    data = read_dataset(written(tmp_path, *rows, name=name))
    assert labels(data) == [str(i % 3) for i in range(N)]
    assert "is a row, not a header; its columns are file_name, label" in told(data)


@pytest.mark.parametrize(
    ("column", "cells"), [("set", ["train", "valid", "test"]), ("Usage", ["Training", "val", "testing"])]
)
def test_splits_go_by_other_names_where_all_cells_are_splits(tmp_path: Path, column: str, cells: list[str]) -> None:
    pictures(tmp_path)
    data = read_dataset(
        written(tmp_path, f"file,label,{column}", *(f"images/{i}.jpg,a{i % 2},{cells[i % 3]}" for i in range(N)))
    )
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 4, "val": 4, "test": 4}
    other = written(tmp_path, f"file,label,{column}", *(f"images/{i}.jpg,a{i % 2},{'AB'[i % 2]}" for i in range(N)))
    assert read_dataset(other).samples[0].groups == {column: "A"}


@pytest.mark.parametrize(
    ("column", "one", "splits"),
    [
        ("is_valid", "True", {"val": 3, "train": 9}),
        ("is_test", "1", {"test": 3, "train": 9}),
        ("is_training_image", "1.0", {"train": 3, "test": 9}),
    ],
)
def test_flags_that_tell_the_split(tmp_path: Path, column: str, one: str, splits: dict[str, int]) -> None:
    pictures(tmp_path)
    zero = {"True": "False", "1": "0", "1.0": "0.0"}[one]
    rows = [f"images/{i}.jpg,a{i % 2},{zero if i % 4 else one}" for i in range(N)]
    data = read_dataset(written(tmp_path, f"fname,label,{column}", *rows))
    assert {name: len(positions) for name, positions in data.splits.items()} == splits
    assert "tells the splits" in told(data)


def test_captions_are_no_classes(tmp_path: Path) -> None:
    pictures(tmp_path)
    path = written(tmp_path, "image,caption", *(f"images/{i}.jpg,a picture of {i} cats" for i in range(N)))
    with pytest.raises(DataError, match="needs a column 'label'"):
        read_dataset(path)
    assert len(read_dataset(path, label_column="caption").classes) == N


def test_boxes_and_objects_are_no_labels(tmp_path: Path) -> None:
    pictures(tmp_path)
    boxes = [f"images/{i}.jpg,a{i % 2},1,1,9,9" for i in range(N)]
    table_of_boxes = written(tmp_path, "filename,class,xmin,ymin,xmax,ymax", *boxes)
    assert read_dataset(table_of_boxes).source == "boxcsv"
    with pytest.raises(DataError, match="is a table of boxes"):
        read_dataset(table_of_boxes, format="table")
    objects = [f'{{"file_name": "images/{i}.jpg", "label": {{"a": 1}}}}' for i in range(N)]
    with pytest.raises(DataError, match="'label' holds objects, not labels"):
        read_dataset(written(tmp_path, *objects, name="m.jsonl"))


def test_the_written_table_says_the_same_again(tmp_path: Path) -> None:
    for i, file in enumerate(sorted(pictures(tmp_path).glob("images/*"))):
        Pillow.new("RGB", (4, 4), (i, 0, 0)).save(file)
    names = ["a, b", "none", "01", "x|y", "no", "TRUE"]
    path = written(tmp_path, "file_name,label,site", *(f'images/{i}.jpg,"{names[i % 6]}",NA' for i in range(N)))
    data = read_dataset(path)
    table.write(data, tmp_path / "out")
    again = read_dataset(tmp_path / "out")
    assert labels(again) == labels(data)
    assert [dict(sample.groups) for sample in again.samples] == [{"site": "NA"}] * N
    assert (again.classes, again.multilabel) == (data.classes, False)


def test_two_tables_in_a_split_are_said_and_not_raised_by_a_question(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a.jpg")
    written(tmp_path / "train", "file_name,label", "a.jpg,x", name="metadata.csv")
    written(tmp_path / "train", '{"file_name": "a.jpg", "label": "x"}', name="metadata.jsonl")
    assert table.detects(tmp_path)
    with pytest.raises(DataError, match=r"metadata\.csv and metadata\.jsonl: keep one"):
        read_dataset(tmp_path)


def test_cells_of_strangers_are_text_and_nothing_else(tmp_path: Path) -> None:
    pictures(tmp_path)
    lines = [
        '{"file_name": "images/0.jpg", "label": "\\ud800a", "site": "\\ud800"}',
        '{"file_name": "\\ud800.jpg", "label": "b"}',
        '{"file_name": "images/1.jpg", "label": Infinity}',
        '{"file_name": "images/2.jpg", "label": NaN}',
        '{"file_name": "images/3.jpg", "label": "b"}',
    ]
    data = read_dataset(written(tmp_path, *lines, name="m.jsonl"))
    assert labels(data) == ["?a", "inf", "b"]
    assert [problem.kind for problem in data.problems] == ["missing", "unlabelled"]
    assert len(data.fingerprint) == 16
    bad = ("[" * 100_000, '{"a":' * 100_000, '{"label": ' + "1" * 5000 + "}", "\0" * 1000, "3")
    for text in bad:
        with pytest.raises(DataError, match="line 1: expected one JSON object"):
            read_dataset(written(tmp_path, text, name="n.jsonl"))


def test_messages_are_one_short_printable_line(tmp_path: Path) -> None:
    pictures(tmp_path)
    odd = "\x1b[2J" + "x" * 3000
    data = read_dataset(
        written(tmp_path, "file_name,label", *(f"images/{i}.jpg,a{i % 2}" for i in range(N)), f"{odd},a0")
    )
    assert len(data.problems) == 1
    assert len(data.problems[0].id) + len(data.problems[0].message) < 500
    assert "\x1b" not in data.problems[0].id
    with pytest.raises(DataError) as caught:
        read_dataset(written(tmp_path, odd, "1", "2"))
    assert len(str(caught.value)) < 1000
    assert "\x1b" not in str(caught.value)
