"""What strangers name things by is never obeyed: not by a terminal, not by a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from colours import colour_bundle, colour_folder, colour_picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from spotter import scene, spotter_bundle

from photovision.app.check import write_suspects
from photovision.app.cli import run
from photovision.core.report import Report
from photovision.core.text import cells, plain_cell
from photovision.data.corrections import Correction, Corrections
from photovision.video.sources import without_secrets

EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b]0;title\x07\x1b[2J\x9b31m\u202egpj\x08\x7f"
"""Sets the clipboard and the title, clears the screen, colours by C1, turns the direction of writing, deletes."""
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Terminal(io.StringIO):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def coco(folder: Path) -> list[str]:
    categories = [{"id": 1, "name": EVIL}, {"id": 1, "name": EVIL}]
    images = [{"id": 1, "file_name": f"{EVIL}.png", "width": 3, "height": 3}]
    boxes = [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [0, 0, 1, 1]}]
    (folder / "a.json").write_text(json.dumps({"images": images, "categories": categories, "annotations": boxes}))
    return ["check", str(folder / "a.json")]


def yolo(folder: Path) -> list[str]:
    (folder / "images").mkdir()
    colour_picture("red").save(folder / "images" / "a.png")
    (folder / "data.yaml").write_text(json.dumps({"names": [EVIL, EVIL], "train": f"{EVIL}/images"}))
    return ["check", str(folder)]


def table(folder: Path, **columns: str) -> list[str]:
    row = {"file_name": "a.png", "label": "a", **columns}
    colour_picture("red").save(folder / "a.png")
    page = io.StringIO()
    writer = csv.DictWriter(page, row)
    writer.writeheader()
    writer.writerow(row)
    (folder / "labels.csv").write_text(page.getvalue())
    return ["check", str(folder / "labels.csv")]


def class_folders(folder: Path) -> list[str]:
    colour_folder(folder)
    (folder / "red").rename(folder / EVIL.replace("/", ""))
    (folder / f"{EVIL}.txt").write_text("")
    return ["check", str(folder)]


def bundle_of(folder: Path) -> Path:
    return colour_bundle(folder / "model", called=(EVIL, f"{EVIL}b", "=cmd|' /C calc'!A0"))


def pictures(folder: Path) -> list[str]:
    names = [folder / f"{EVIL}.png", folder / f"{EVIL}broken.png", folder / f"{EVIL}missing.png"]
    colour_picture("red").save(names[0], "PNG")
    names[1].write_bytes(b"no picture")
    return [str(name) for name in names]


CASES = {
    "missing file of a table": lambda folder: table(folder, file_name=f"{EVIL}.png"),
    "odd split": lambda folder: table(folder, split=EVIL),
    "class of a table": lambda folder: table(folder, label=EVIL),
    "column of a table": lambda folder: table(folder, **{EVIL: EVIL}),
    "COCO names": coco,
    "YOLO names": yolo,
    "class folders": class_folders,
    "no such data": lambda folder: ["check", EVIL],
    "no such model": lambda folder: ["info", EVIL],
    "no such command": lambda folder: [EVIL],
    "no such option": lambda folder: ["check", f"--{EVIL}"],
    "odd value of an option": lambda folder: ["predict", "m", "a.png", "--engine", EVIL],
    "info": lambda folder: ["info", str(bundle_of(folder))],
    "predict": lambda folder: ["predict", str(bundle_of(folder)), *pictures(folder)],
    "predict top": lambda folder: ["predict", str(bundle_of(folder)), *pictures(folder), "--top-k", "3"],
    "predict as CSV": lambda folder: ["predict", str(bundle_of(folder)), *pictures(folder), "--csv"],
    "predict as JSON": lambda folder: ["predict", str(bundle_of(folder)), *pictures(folder), "--json"],
    "detect as CSV": lambda folder: ["detect", str(spotter_bundle(folder / "m")), *pictures(folder), "--csv"],
    "detect": lambda folder: ["detect", str(spotter_bundle(folder / "m")), *pictures(folder)],
    "weights": lambda folder: ["weights", "get", EVIL],
    "watch": lambda folder: ["watch", f"{EVIL}.mp4"],
    "address": lambda folder: ["watch", f"rtsp://a:b@{EVIL}/"],
    "record": lambda folder: ["record", "export", f"postgresql://a:b@c:{EVIL}/d"],
}


@pytest.mark.parametrize("case", CASES)
def test_no_escape_sequence_reaches_a_terminal(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, out, err = CASES[case](tmp_path), Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    run(arguments)
    shown = out.getvalue() + err.getvalue()
    assert shown.strip()
    assert not OBEYED.search(shown), shown


def test_a_real_terminal_and_its_bars(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    code = f"""import sys
from photovision.app.cli import main
from photovision.app.progress import shown
from photovision.core.progress import Progress
import photovision.app.cli as cli
cli._accept_odd_names()
with shown() as listener:
    listener(Progress({EVIL!r}, 1, 1, {EVIL!r}))
main(["info", {EVIL!r}])"""
    done = subprocess.run([sys.executable, "-c", code], stdout=slave, stderr=slave, check=False, cwd=tmp_path)
    os.close(slave)
    got = os.read(master, 100_000).decode("utf-8", "replace")
    os.close(master)
    assert done.returncode == 2
    assert "no model at" in got
    for harm in ("\x1b]", "\x1b[2J", "\x9b", "\u202e", "\x07"):
        assert harm not in got


def test_to_a_program_data_go_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = pictures(tmp_path)[0]
    run(["predict", str(bundle_of(tmp_path)), name, "--csv", "--top-k", "1"])
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out, newline=""))
    assert row["file"] == name
    assert row["label"] == EVIL


FORMULAS = ("=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(1)", "\tx", "\rx", "'=x", "''-x")


@settings(deadline=None, max_examples=60)
@given(st.text() | st.sampled_from(FORMULAS))
def test_a_cell_is_no_formula_and_comes_back_as_it_was(text: str) -> None:
    (cell,) = cells([text])
    assert plain_cell(cell) == text
    number = re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", cell)
    assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_spreadsheets_run_nothing_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = colour_bundle(tmp_path / "model", called=FORMULAS[:3])
    (tmp_path / "pictures").mkdir()
    colour_picture("red").save(tmp_path / "pictures" / "=1.png")
    monkeypatch.chdir(tmp_path / "pictures")
    run(["predict", str(model), "=1.png", "--csv"])
    found = spotter_bundle(tmp_path / "spotter", classes=["=cmd", "@x"])
    Image.fromarray(scene((64, 96), [("red", (16, 16, 48, 48))])).save("+2.png")
    run(["detect", str(found), "+2.png", "--csv"])
    suspects = [{"id": "=1.png", "label": "-a", "suggested": "@b", "confidence": 0.5}]
    write_suspects(Report("check", "a", data={"label_errors": {"suspects": suspects}}), tmp_path)
    kept = Corrections(tmp_path)
    assert kept.record(Correction("=1.png", ("-a",), "label", ("@b", "=c")), None)
    pages = [capsys.readouterr().out, (tmp_path / "suspects.csv").read_text(), kept.file.read_text()]
    for page in pages:
        assert not re.search(r"(^|,)\"?[=+@]|(^|,)\"?-\D", page, re.MULTILINE), page
    again = Corrections(tmp_path).latest()["=1.png"]
    assert (again.was, again.label) == (("-a",), ("@b", "=c"))


def test_labels_of_earlier_versions_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = "file_name,was,decision,label,time\n=1.png,-a,label,'tis,2026-01-01T00:00:00Z\n"
    (tmp_path / "photovision-labels.csv").write_text(rows)
    assert Corrections(tmp_path).latest()["=1.png"].label == ("'tis",)


@pytest.mark.parametrize(
    "address",
    ["rtsp://me:secret@cam/1", "RTSP://me:se/cret@cam/1", "http://me:s@cret@cam/1", "postgresql://me:secret@h:port/d",
     "http://cam/1?user=me&password=secret", "http://cam/1?x=1&access_token=secret", "rtsps://me:12/34secret@cam"],
)  # fmt: skip
def test_no_password_is_shown(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = without_secrets(address)
    assert "cret" not in shown
    assert "34" not in shown
    assert without_secrets("http://cam/@home/1") == "http://cam/@home/1"
    run(["record", "export", address] if address.startswith("postgresql") else ["watch", address])
    assert "cret" not in "".join(capsys.readouterr())
