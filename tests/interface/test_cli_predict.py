"""The command line as programs and people use it: standard output, standard error, exit codes."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from colours import colour_bundle, colour_folder, colour_picture

from photovision.app.cli import run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour_bundle(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return colour_folder(tmp_path / "pictures", per_class=2)


def test_json_has_one_object_a_line(model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(pictures / "red" / "0.png")
    assert run(["predict", str(model), file, "--json", "--top-k", "2"]) == 0
    out, err = capsys.readouterr()
    (answer,) = map(json.loads, out.splitlines())
    assert list(answer) == ["file", "label", "prob", "top", "known"]
    assert (answer["file"], answer["label"], answer["known"]) == (file, "red", None)
    assert answer["top"][0] == {"label": "red", "prob": answer["prob"]}
    assert len(answer["top"]) == 2
    assert err == ""


def test_folders_are_searched_in_order_and_junk_is_passed_over(
    model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("notes.txt", ".hidden.png", "__MACOSX/1.png"):
        (pictures / name).parent.mkdir(exist_ok=True)
        (pictures / name).write_bytes(b"junk")
    assert run(["predict", str(model), str(pictures), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [f"{colour}/{number}.png" for colour in ("blue", "green", "red") for number in (0, 1)]
    assert [answer["file"] for answer in found] == [str(pictures / name) for name in names]
    assert [answer["label"] for answer in found] == ["blue", "blue", "green", "green", "red", "red"]


def test_unreadable_and_missing_files_are_told_and_the_others_answered(
    model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "broken.jpg").write_bytes(b"no picture")
    files = [str(pictures / name) for name in ("broken.jpg", "red/0.png", "absent.png")]
    assert run(["predict", str(model), *files, "--json"]) == 2
    out, err = capsys.readouterr()
    broken, right, absent = map(json.loads, out.splitlines())
    assert list(broken) == list(absent) == ["file", "error"]
    assert (broken["file"], right["label"], absent["file"]) == (files[0], "red", files[2])
    assert err == "photovision: 2 of 3 files could not be read\n"


def test_csv_has_a_heading_and_a_row_for_every_file(
    model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "a, b.jpg").write_bytes(b"no picture")
    assert run(["predict", str(model), str(pictures), "--csv", "--top-k", "2"]) == 2
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["file", "label", "prob", "label_2", "prob_2", "known", "set", "error"]
    assert len(rows) == 7
    assert rows[0]["file"].endswith("a, b.jpg")
    assert rows[0]["error"]
    assert rows[0]["label"] == ""
    assert float(rows[1]["prob"]) > float(rows[1]["prob_2"])
    assert not rows[1]["error"]


def test_people_get_aligned_lines(model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pictures / "red" / "0.png").rename(pictures / "red" / "100%.png")
    assert run(["predict", str(model), str(pictures / "red")]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(str(pictures / "red" / "1.png"))
    assert "100%.png" in second
    assert first.split()[-2] == second.split()[-2] == "red"
    assert first.endswith("%")


def test_multilabel_models_name_all_classes_that_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = colour_bundle(tmp_path / "several", multilabel=True)
    colour_picture("red").save(tmp_path / "red.png")
    colour_picture("grey").save(tmp_path / "grey.png")
    files = [str(tmp_path / "red.png"), str(tmp_path / "grey.png")]
    assert run(["predict", str(model), *files, "--json"]) == 0
    red, grey = map(json.loads, capsys.readouterr().out.splitlines())
    assert (red["labels"], grey["labels"]) == (["red"], [])
    assert run(["predict", str(model), *files]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("no class")


def test_patterns_and_standard_input_name_files(
    model: Path, pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{pictures / 'red' / '1.png'}\n\n"))
    assert run(["predict", str(model), str(pictures / "*" / "0.png"), "-", "--json"]) == 0
    found = [json.loads(line)["label"] for line in capsys.readouterr().out.splitlines()]
    assert found == ["blue", "green", "red", "red"]


def test_a_closed_pipe_ends_quietly(model: Path, pictures: Path) -> None:
    # Enough answers to be sure that some are printed after the reader has gone.
    names = pictures / "names.txt"
    names.write_text(f"{pictures / 'red' / '0.png'}\n" * 3000)
    command = [sys.executable, "-m", "photovision", "predict", str(model), "-", "--json"]
    with (
        names.open() as listed,
        subprocess.Popen(command, stdin=listed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["label"] == "red"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141


def test_predict_loads_neither_torch_nor_what_people_do_not_see(model: Path, pictures: Path) -> None:
    code = (
        "import sys; from photovision.app.cli import run;"
        f"assert run(['predict', {str(model)!r}, {str(pictures / 'red')!r}, '--json']) == 0;"
        "print([m for m in ('torch', 'timm', 'sklearn', 'scipy', 'rich', 'jinja2', 'skimage') if m in sys.modules],"
        " file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "[]\n"
    assert done.returncode == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_the_caller_closed_are_no_reason_to_fail(model: Path, pictures: Path, closed: str) -> None:
    command = f"exec {sys.executable} -m photovision predict -q {model} {pictures}/red/0.png {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_names_that_are_no_text_are_pictures_that_cannot_be_read(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("~\0\x89PNG\na.jpg\0b.jpg\n"))
    assert run(["predict", str(model), "-"]) == 2
    assert "2 of 2 files could not be read" in capsys.readouterr().err
