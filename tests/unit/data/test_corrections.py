"""Corrections: kept whatever happens, applied where they fit, and never at the cost of somebody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from pictures import make_folder

from photovision.app.check import check
from photovision.core.errors import DataError, UsageError
from photovision.data.corrections import NAME, Corrections
from photovision.data.dataset import Correction
from photovision.data.read import read_dataset


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "data", per_class=12)


def change(name: str, was: str, decision: str = "label", label: str = "") -> Correction:
    return Correction(name, (was,), decision, (label,) if label else ())


def test_the_data_follow_and_the_pictures_stay(data: Path) -> None:
    before = {path: path.read_bytes() for path in data.rglob("*.png")}
    table = Corrections(data)
    assert table.record(change("circle/003.png", "circle", label="square"), None)
    assert table.record(change("square/001.png", "square", "leave out"), None)
    assert table.record(change("square/002.png", "square", "right"), None)
    read = read_dataset(data)
    assert len(read) == 23
    assert {s.id: s.label for s in read.samples}["circle/003.png"] == "square"
    assert "square/001.png" not in {s.id for s in read.samples}
    assert [(p.id, p.kind) for p in read.problems] == [("square/001.png", "by hand")]
    assert read.samples[-1].id == "square/011.png"
    assert [s.id for s in read.samples[2:4]] == ["circle/002.png", "circle/003.png"]
    assert read.fingerprint != read_dataset(data, corrections=False).fingerprint
    assert len(read_dataset(data, corrections=False)) == 24
    assert {path: path.read_bytes() for path in data.rglob("*.png")} == before


def test_an_undone_correction_does_not_count(data: Path) -> None:
    table = Corrections(data)
    first = change("circle/000.png", "circle", label="square")
    assert table.record(first, None)
    assert table.record(change("circle/000.png", "circle", "undone"), first)
    assert table.latest() == {}
    assert read_dataset(data).fingerprint == read_dataset(data, corrections=False).fingerprint
    assert len((data / NAME).read_text().splitlines()) == 3, "the history stays"


def test_whoever_saw_something_else_is_told(data: Path) -> None:
    here, there = Corrections(data), Corrections(data)
    mine = change("circle/000.png", "circle", label="square")
    assert here.record(mine, None)
    assert not there.record(change("circle/000.png", "circle", "leave out"), None)
    assert there.latest()["circle/000.png"].label == ("square",)
    assert there.record(change("circle/000.png", "circle", "leave out"), mine)
    assert here.latest()["circle/000.png"].decision == "leave out"


def test_many_writers_lose_nothing(data: Path) -> None:
    def write(number: int) -> None:
        table = Corrections(data)
        for i in range(25):
            assert table.record(change(f"{number}-{i}.png", "circle", "right"), None)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Corrections(data).latest()) == 100


def test_what_was_confirmed_survives_a_kill(data: Path) -> None:
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from photovision.data.corrections import Corrections
        from photovision.data.dataset import Correction
        table = Corrections(Path(sys.argv[1]))
        for i in range(100000):
            table.record(Correction(f"{i}.png", ("circle",), "right"), None)
            print(i, flush=True)
    """)
    with subprocess.Popen([sys.executable, "-c", script, str(data)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "0\n"
        time.sleep(0.2)
        os.kill(child.pid, signal.SIGKILL)
        confirmed = 1 + len([line for line in child.stdout.read().split("\n")[:-1] if line])
    kept = Corrections(data).latest()
    assert confirmed > 5
    assert {f"{i}.png" for i in range(confirmed)} <= set(kept)


def test_a_row_that_was_cut_off_is_replaced(data: Path) -> None:
    table = Corrections(data)
    assert table.record(change("circle/000.png", "circle", "right"), None)
    with (data / NAME).open("a") as file:
        file.write("circle/001.png,circle,la")
    assert set(Corrections(data).latest()) == {"circle/000.png"}
    assert Corrections(data).record(change("circle/002.png", "circle", "right"), None)
    assert set(Corrections(data).latest()) == {"circle/000.png", "circle/002.png"}


def test_a_correction_that_does_not_fit_is_told_and_not_applied(data: Path) -> None:
    table = Corrections(data)
    for name, was, label in (("circle/000.png", "ring", "square"), ("gone.png", "circle", "square")):
        assert table.record(change(name, was, label=label), None)
    assert table.record(change("circle/001.png", "circle", label="hexagon"), None)
    assert table.record(change("circle/002.png", "circle", label="square"), None)
    read = read_dataset(data)
    assert [c.applied for c in read.corrections] == [False, False, False, True]
    report = check(read)
    assert any("3 corrections (circle/000.png, gone.png, circle/001.png)" in text for text in report.warnings)
    assert any("corrects 1 label and leaves out 0 pictures" in text for text in report.summary)
    assert report.data["corrections"][3]["label"] == ["square"]


def test_splits_and_tables_follow(data: Path) -> None:
    rows = [
        f"{p.relative_to(data).as_posix()},{p.parent.name},{'test' if p.stem > '008' else 'train'}"
        for p in sorted(data.rglob("*.png"))
    ]
    (data / "metadata.csv").write_text("file_name,label,split\n" + "\n".join(rows) + "\n")
    assert Corrections(data).record(change("circle/000.png", "circle", "leave out"), None)
    for source in (data, data / "metadata.csv"):
        read = read_dataset(source)
        assert {name: len(rows) for name, rows in read.splits.items()} == {"train": 17, "test": 6}
        assert all(s.id.split("/")[1] > "008" for s in read.split("test").samples)


def test_several_labels(data: Path) -> None:
    (data / "metadata.csv").write_text("file_name,labels\ncircle/000.png,a|b\nsquare/000.png,b|c\n")
    assert Corrections(data).record(Correction("circle/000.png", ("a", "b"), "label", ("a", "c")), None)
    assert read_dataset(data).samples[0].target == ("a", "c")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("file,label\n1.png,a\n", "it lacks file_name"),
        ("file_name,was,decision,label,time\n1.png,a,perhaps,,\n", "line 2: a decision should be one of"),
        ('file_name,was,decision,label,time\n"1.png,a,right,,\n', "not readable as CSV"),
    ],
)
def test_a_damaged_table_says_where(data: Path, content: str, error: str) -> None:
    (data / NAME).write_text(content)
    with pytest.raises(DataError, match=error):
        read_dataset(data)


def test_names_that_cannot_be_kept_are_refused(data: Path) -> None:
    with pytest.raises(UsageError, match=r"holds a '\|'"):
        Corrections(data).record(change("circle/000.png", "circle", label="a|b"), None)
    assert not (data / NAME).exists()


def test_a_link_to_elsewhere_is_not_written_to(data: Path, tmp_path: Path) -> None:
    (data / NAME).symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(UsageError, match="is a link to another place"):
        Corrections(data).record(change("circle/000.png", "circle", "right"), None)
    assert not (tmp_path / "elsewhere.csv").exists()
