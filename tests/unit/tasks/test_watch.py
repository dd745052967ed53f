"""A video is watched to its end: counts, events, files and film agree with what is known to move in it."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import blobs, draw, moving, write
from PIL import Image

from photovision.core.errors import DataError, RecordError, UsageError
from photovision.video.reader import open_video
from photovision.video.watch import Watch, WatchRequest, annotated_jpegs, watch

GATE = {"gate": ((64.0, 0.0), (64.0, 96.0))}
SHARES = {"gate": ((0.5, 0.0), (0.5, 1.0))}
PEN = {"pen": ((40.0, 0.0), (90.0, 0.0), (90.0, 96.0), (40.0, 96.0))}


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red goes right across the gate, green goes left, blue turns back before it; 60 frames of 128 x 96."""
    paths: list[Any] = [
        (0, lambda i: (10 + 1.8 * i, 20)),
        (1, lambda i: (118 - 1.8 * i, 50)),
        (2, lambda i: (10 + 35 * np.sin(i / 20), 80)),
    ]
    return write(tmp_path_factory.mktemp("clips") / "crossing.mp4", moving(paths, 60))


@pytest.mark.parametrize("lines", [GATE, SHARES])
def test_counts_are_those_of_what_moves(crossing: Path, lines: Any) -> None:
    found = watch(crossing, blobs, WatchRequest(lines, PEN))
    assert found["lines"]["gate"] == {
        "left": 1,
        "right": 1,
        "classes": {"green": {"left": 0, "right": 1}, "red": {"left": 1, "right": 0}},
    }
    assert (found["frames"], found["tracks"], found["corrupt"], found["interrupted"]) == (60, 3, 0, False)
    assert found["zones"]["pen"]["classes"] == {"blue": 1, "green": 1, "red": 1}
    assert found["zones"]["pen"]["most_at_once"] == 3


def test_only_some_classes_and_some_frames(crossing: Path) -> None:
    found = watch(crossing, blobs, WatchRequest(GATE, classes=("red",), every=2))
    assert (found["lines"]["gate"]["left"], found["lines"]["gate"]["right"]) == (1, 0)
    assert (found["frames"], found["tracks"]) == (30, 1)


def test_progress_counts_to_the_end_that_was_asked_for(crossing: Path) -> None:
    seen: list[tuple[int, int]] = []
    asked = WatchRequest(max_seconds=0.5)
    assert watch(crossing, blobs, asked, progress=lambda done, of: seen.append((done, of)))["frames"] == 13
    assert seen[-1] == (13, 13)
    watch(crossing, blobs, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (60, 60)


def test_events_are_written_line_by_line_and_into_sqlite_and_added_to(crossing: Path, tmp_path: Path) -> None:
    events, record = tmp_path / "new" / "events.jsonl", tmp_path / "events.db"
    for _ in range(2):
        found = watch(crossing, blobs, WatchRequest(GATE, PEN), events=events, record=record)
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    assert [line["event"] for line in lines].count("start") == 2
    assert lines[-1]["summary"]["lines"] == found["lines"]
    with sqlite3.connect(record) as base:
        crossed = base.execute("SELECT run, label, direction FROM events WHERE event = 'cross' ORDER BY run, label")
        assert crossed.fetchall() == [
            (run, label, way) for run in (1, 2) for label, way in (("green", "right"), ("red", "left"))
        ]
        kept = base.execute("SELECT summary FROM runs WHERE ended IS NOT NULL").fetchall()
        entered, left = (
            base.execute("SELECT count(*) FROM events WHERE event = ?", (kind,)).fetchone()
            for kind in ("enter", "leave")
        )
    base.close()
    assert json.loads(kept[1][0])["frames"] == 60
    assert entered == left == (6,)
    assert sum(line["event"] == "cross" for line in lines) == 4


def test_the_film_shows_what_was_seen(crossing: Path, tmp_path: Path) -> None:
    watch(crossing, blobs, WatchRequest(GATE), output=tmp_path / "a.mp4")
    with open_video(tmp_path / "a.mp4") as video, open_video(crossing) as plain:
        pairs = list(zip(video, plain, strict=True))
    assert len(pairs) == 60
    assert pairs[40][0].time == pytest.approx(pairs[40][1].time, abs=0.01)
    difference = np.abs(pairs[40][0].image.astype(int) - pairs[40][1].image).max(-1)
    assert difference[:, 62:67].mean() > 3 * difference[85:, 100:].mean()  # the line is drawn, an empty corner is not


class Interrupting:
    """Ctrl-C after some frames."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, images: Sequence[Any]) -> Any:
        self.left -= len(images)
        if self.left < 0:
            raise KeyboardInterrupt
        return blobs(images)


def test_ctrl_c_ends_with_a_summary_and_whole_files(crossing: Path, tmp_path: Path) -> None:
    events, film = tmp_path / "events.jsonl", tmp_path / "a.mp4"
    found = watch(crossing, Interrupting(44), WatchRequest(GATE, PEN), events=events, output=film)
    assert found["interrupted"]
    assert 30 <= found["frames"] <= 44
    with open_video(film) as video:
        assert len(list(video)) == found["frames"]
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    assert lines[-1]["event"] == "end"
    assert sum(line["event"] == "enter" for line in lines) == sum(line["event"] == "leave" for line in lines) > 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.mp4", "events.jsonl"]


def test_frames_that_change_size_are_watched(tmp_path: Path) -> None:
    for number in range(12):
        size = (96, 128) if number < 6 else (60, 80)
        Image.fromarray(draw([(0, (20 + 3 * number, 40))], size)).save(tmp_path / f"{number}.png")
    found = watch(tmp_path, blobs, WatchRequest(GATE), output=tmp_path / "out" / "a.mp4")
    assert (found["frames"], found["tracks"]) == (12, 1)


def test_a_source_without_frames_leaves_nothing_behind(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    source.write_text("no video")
    with pytest.raises(DataError, match="cannot be opened"):
        watch(source, blobs, events=tmp_path / "e.jsonl", record=tmp_path / "e.db", output=tmp_path / "b.mp4")
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_what_cannot_be_counted_or_written_is_told_at_once(crossing: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1 pixel"):
        watch(crossing, blobs, WatchRequest({"gate": ((5.0, 5.0), (5.0, 5.0))}))
    (tmp_path / "foreign.db").write_bytes(b"not a database " * 100)
    with pytest.raises(RecordError, match=r"foreign\.db"):
        watch(crossing, blobs, record=tmp_path / "foreign.db")
    with pytest.raises(UsageError, match=r"\.mp4"):
        watch(crossing, blobs, output=tmp_path / "a.mov")


def test_steps_give_the_frame_with_its_objects(crossing: Path) -> None:
    with Watch(crossing, blobs, WatchRequest(GATE)) as watching:
        steps = list(watching)
    crossed = [step for step in steps for event in step.events if event.kind == "cross"]
    assert [step.frame.index for step in steps] == list(range(60))
    assert 26 <= crossed[0].frame.index <= 36
    assert steps[-1].found.track_ids is not None
    assert sorted(steps[-1].found.track_ids.tolist()) == [1, 2, 3]


def test_a_live_view_is_a_row_of_jpegs(crossing: Path) -> None:
    pictures = annotated_jpegs(crossing, blobs, WatchRequest(GATE))
    first = next(pictures)
    pictures.close()  # type: ignore[attr-defined]
    assert Image.open(io.BytesIO(first)).size == (128, 96)
    assert len(list(annotated_jpegs(crossing, blobs))) == 60


def test_what_the_detector_raises_is_raised(crossing: Path) -> None:
    def broken(images: Sequence[Any]) -> Any:
        raise UsageError("the network is broken")

    with pytest.raises(UsageError, match="broken"):
        watch(crossing, broken)
