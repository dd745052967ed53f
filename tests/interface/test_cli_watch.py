"""photovision watch: one command from a video to counts, events and an annotated film."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clips import write
from spotter import scene, spotter_bundle

from photovision.app.cli import run
from photovision.video.reader import open_video


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spotter_bundle(tmp_path_factory.mktemp("models") / "spotter")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A red square of one of the network's cells goes down a column of cells, 2 pixels a frame."""
    frames = [scene((128, 128), [("red", (32, 2 * i, 48, 2 * i + 16))], seed=i) for i in range(50)]
    return write(tmp_path_factory.mktemp("clips") / "a.mp4", frames)


def test_counts_events_and_film(model: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--line", "gate:0,64,128,64", "--zone", "low:0,0.6;1,0.6;1,1;0,1", "--class", "red"]
    files = ["--events", str(tmp_path / "e.jsonl"), "--record", str(tmp_path / "e.db"), "-o", str(tmp_path / "a.mp4")]
    assert run(["watch", str(clip), "--model", str(model), *places, *files, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["frames"] == 50
    assert found["lines"]["gate"] == {"left": 0, "right": 0, "classes": {}}  # its boxes jump from cell to cell
    assert found["tracks"] >= found["zones"]["low"]["entered"] == found["zones"]["low"]["classes"]["red"] >= 2
    kinds = [json.loads(line)["event"] for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert (kinds[0], kinds[-1]) == ("start", "end")
    assert kinds.count("enter") == kinds.count("leave") == found["zones"]["low"]["entered"]
    with open_video(tmp_path / "a.mp4") as video:
        assert len(list(video)) == 50


def test_people_read_a_few_lines(model: Path, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", str(clip), "-m", str(model), "--line", "0,64,128,64", "--zone", "a:0,0;1,0;1,1"]) == 0
    told = capsys.readouterr().out
    assert "50 frames" in told
    assert "line 1  0 left  0 right" in told
    assert "most at once" in told


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--line", "1,2,3"], "--line should be"),
        (["--line", "a,b,c,d"], "numbers with commas"),
        (["--zone", "1,1;5,5;9,1"], "--zone should be"),
        (["--zone", "a:1,1;5,5"], "--zone should be"),
        (["--zone", "a:1,1;5,x;3,3"], "numbers with commas"),
        (["--line", "5,5,5,5"], "at least 1 pixel"),
        (["--line", "nan,5,5,5"], "finite"),
        (["--class", "tiger"], "not one of the model's classes: red, green"),
        (["-o", "a.avi"], "ends in .mp4"),
    ],
)
def test_mistakes_give_one_line(
    model: Path, clip: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["watch", str(clip), "--model", str(model), *flags]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in told


def test_what_is_no_video_gives_one_line(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_text("text")
    for source in (str(tmp_path / "a.mp4"), str(tmp_path / "absent.mp4"), "rtsp://127.0.0.1:9/x"):
        assert run(["watch", source, "--model", str(model)]) == 2
        told = capsys.readouterr().err.strip().splitlines()
        assert len(told) == 2
        assert "watching" in told[0]


def test_ctrl_c_ends_with_the_summary_and_whole_files(model: Path, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    from PIL import Image

    picture = Image.fromarray(scene((128, 128), [("red", (32, 32, 48, 48))]))
    picture.save(frames / "0.png")
    for number in range(1, 20_000):
        (frames / f"{number}.png").hardlink_to(frames / "0.png")
    film, events = tmp_path / "a.mp4", tmp_path / "e.jsonl"
    command = [sys.executable, "-m", "photovision", "watch", str(frames), "-m", str(model), "--json"]
    process = subprocess.Popen(
        [*command, "-o", str(film), "--events", str(events), "--zone", "all:0,0;1,0;1,1;0,1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    patience = time.monotonic() + 30
    while time.monotonic() < patience and not (events.is_file() and "enter" in events.read_text()):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["interrupted"]
    assert 0 < found["frames"] < 20_000
    with open_video(film) as video:
        assert 0 <= found["frames"] - sum(1 for _ in video) <= 1  # Ctrl-C may come between a count and its frame
    assert json.loads(events.read_text().splitlines()[-1])["event"] == "end"
