"""Capture sessions: found by time and camera, corrected by a column, held out whole, and never forced on data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pictures import make_picture
from PIL import Image
from test_components import planted
from test_split import known_data, known_scan, sides

from photovision.app.check import check
from photovision.core.errors import DataError, UsageError
from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset
from photovision.data.scan import UNKNOWN, Scan, scan
from photovision.data.session_corrections import AS_FOUND, SessionCorrections
from photovision.data.sessions import sessions_of
from photovision.data.split import make_splits

MAKE, SERIAL, TAKEN, DETAILS = 0x010F, 0xA431, 0x9003, 0x8769


def photographed(path: Path, time: str, camera: str = "Make", seed: int = 0, suffix: str = ".jpg") -> None:
    exif = Image.Exif()
    exif[MAKE] = camera
    exif.get_ifd(DETAILS).update({TAKEN: time, SERIAL: "7"})
    path.parent.mkdir(parents=True, exist_ok=True)
    make_picture(seed % 6, 48, seed).save(path.with_suffix(suffix), exif=exif)


def at(minutes: list[float], cameras: list[int] | None = None) -> Scan:
    count = len(minutes)
    taken = np.array([UNKNOWN if minute < 0 else int(60 * minute) + 1 for minute in minutes], np.uint32)
    return replace(known_scan(list(range(count))), taken=taken, camera=np.array(cameras or [1] * count, np.uint32))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_time_and_camera_are_read_from_the_file(tmp_path: Path, suffix: str) -> None:
    written = ["2024:06:01 10:00:00", "2024:06:01 10:00:30", "0000:00:00 00:00:00", "yesterday"]
    for number, time in enumerate(written):
        photographed(tmp_path / f"{number}", time, f"Make {number % 2}", number, suffix)
    make_picture(0).save(tmp_path / "4.png")
    names = [f"{number}{suffix}" for number in range(4)] + ["4.png"]
    data = known_data(["a", "b", "a", "b", "a"])
    samples = tuple(replace(s, image=tmp_path / name) for s, name in zip(data.samples, names, strict=True))
    found = scan(replace(data, samples=samples))
    assert found.readable.all()
    assert found.taken[0] == datetime(2024, 6, 1, 10, tzinfo=UTC).timestamp()
    assert found.taken[1] - found.taken[0] == 30
    assert (found.taken[2:] == UNKNOWN).all()
    assert found.camera[0] != found.camera[1]
    assert (found.camera[2:] == 0).all()


def test_half_an_hour_without_a_picture_or_another_camera_begins_another_session() -> None:
    data = known_data(["a", "b"] * 5)
    times, cameras = [0, 70, 29, 500, 58, 75, -1, 510, 3, 501.0], [1, 1, 1, 1, 1, 1, 1, 1, 2, 2]
    number = sessions_of(data, at(times, cameras)).number
    groups = {frozenset(np.flatnonzero(number == n).tolist()) for n in set(number.tolist()) - {-1}}
    assert groups == {frozenset(rows) for rows in ([0, 2, 4, 1, 5], [3, 7], [8], [9])}
    assert number[6] == -1


def walks(walk: int = 5, each: int = 12) -> tuple[Dataset, Scan, np.ndarray]:
    """Walks of an hour each, a day apart, with pictures of three classes."""
    session = np.repeat(np.arange(walk), each)
    minutes = 1440.0 * session + np.tile(np.arange(each) * 4.0, walk)
    return known_data([f"c{n % 3}" for n in range(walk * each)]), at(minutes.tolist()), session


@pytest.mark.parametrize("seed", range(3))
def test_whole_walks_are_held_out_without_features(seed: int) -> None:
    data, found, session = walks()
    splits = make_splits(data, found, seed=seed, val=0.2)
    held = set(session[splits.val])
    assert 5 <= len(splits.val) <= 24
    assert not held & set(session[splits.train])
    assert splits.similarity is None
    assert "Val is held out as whole capture sessions." in splits.notes[0]
    assert any("60 pictures of 60 belong to 5 capture sessions, by capture time" in note for note in splits.notes)
    assert splits.test.tolist() == make_splits(data, found, seed=seed, val=0.2, sessions_by="none").test.tolist()


def test_sessions_and_similar_pictures_are_held_out_together() -> None:
    data, features, session = planted()
    # Every second of the planted sessions goes on in the next one, as its time tells.
    found = at([1440.0 * (n // 2) + 0.1 * i for i, n in enumerate(session)])
    for seed in range(3):
        splits = make_splits(data, found, seed=seed, val=0.35, test=0, features=features)
        held = set(session[splits.val] // 2)
        assert held
        assert not held & set(session[splits.train] // 2)
        assert "whole capture sessions and groups of similar pictures" in splits.notes[0]


def test_a_column_counts_in_place_of_times_and_none_looks_for_none() -> None:
    data, found, session = walks()
    visit = tuple(replace(s, groups={"visit": f"v{n % 12}"}) for n, s in enumerate(data.samples))
    by_visit = replace(data, samples=visit)
    splits = make_splits(by_visit, found, val=0.3, test=0, sessions_by="visit")
    column = np.arange(60) % 12
    assert not set(column[splits.val]) & set(column[splits.train])
    assert set(session[splits.val]) & set(session[splits.train])
    plain = make_splits(by_visit, found, sessions_by="none")
    assert sides(plain) == sides(make_splits(data, known_scan(list(range(60)))))
    with pytest.raises(UsageError, match="'walk' that capture sessions are to be found by; known: visit, or 'none'"):
        make_splits(by_visit, found, sessions_by="walk")


def test_a_group_column_counts_in_place_of_times() -> None:
    data, found, _ = walks()
    samples = tuple(replace(s, groups={"group": f"g{n // 2}"}) for n, s in enumerate(data.samples))
    grouped = replace(data, samples=samples)
    assert sides(make_splits(grouped, found)) == sides(make_splits(grouped, known_scan(list(range(60)))))


@pytest.mark.parametrize(
    "minutes",
    [
        [0.1 * n for n in range(60)],  # one session
        [1440.0 * (n % 3) for n in range(60)],  # every class in a session of its own
        [-1.0] * 60,  # no times
    ],
)
def test_sessions_that_would_leave_too_little_are_not_used(minutes: list[float]) -> None:
    data = known_data([f"c{n % 3}" for n in range(60)])
    splits = make_splits(data, at(minutes))
    plain = make_splits(data, known_scan(list(range(60))))
    for name in ("train", "val", "test"):
        assert len(getattr(splits, name)) == len(getattr(plain, name))
    assert set(data.labels[splits.train]) == {0, 1, 2}


def test_a_check_warns_of_the_random_split(tmp_path: Path) -> None:
    for number in range(40):
        time = f"2024:06:{1 + number // 10:02d} 10:{number % 10:02d}:00"
        photographed(tmp_path / f"c{number % 2}" / f"{number}", time, seed=number)
    report = check(read_dataset(tmp_path))
    assert report.data["sessions"] == {"count": 4, "pictures": 40, "by": "capture time and camera", "beside": 1.0}
    told = " ".join(report.summary)
    assert "40 pictures of 40 belong to 4 capture sessions, by capture time and camera. Val holds whole ones." in told
    assert "would put 100.0% of the val pictures beside a training picture of the same capture session" in told
    assert check(read_dataset(tmp_path), sessions_by="none").data["sessions"] == {"count": 0}


def test_people_join_split_and_take_out_sessions(tmp_path: Path) -> None:
    """Two walks of time, of which a person knows that the first is two, and that two pictures belong together."""
    data, found, _ = walks(walk=2, each=6)
    ids = [sample.id for sample in data.samples]
    stated = {ids[0]: "early", ids[1]: "early", ids[5]: "pair", ids[11]: "pair", ids[3]: "none", "gone.jpg": "pair"}
    sessions = sessions_of(replace(data, sessions=stated), found)
    groups = {frozenset(np.flatnonzero(sessions.number == n).tolist()) for n in set(sessions.number.tolist()) - {-1}}
    assert groups == {frozenset(rows) for rows in ([0, 1], [5, 11], [2, 4], [6, 7, 8, 9, 10])}
    assert (sessions.number[3], sessions.found.tolist()) == (-1, [0] * 6 + [1] * 6)
    assert sessions.by == "capture time and camera, corrected by hand"
    assert (sessions_of(replace(data, sessions=stated), found, "none").number == -1).all(), "an option is obeyed"


def test_one_session_that_people_know_is_kept_together() -> None:
    data = known_data(["a", "b"] * 30)
    together = {data.samples[row].id: "table" for row in range(6)}
    for seed in range(4):
        splits = make_splits(replace(data, sessions=together), known_scan(list(range(60))), seed=seed)
        in_val, in_train = set(splits.val) & set(range(6)), set(splits.train) & set(range(6))
        assert not (in_val and in_train)
    assert any("6 pictures of 60 belong to 1 capture session, by hand" in note for note in splits.notes)


def test_sessions_of_people_lie_beside_the_pictures_and_are_read(tmp_path: Path) -> None:
    for number in range(20):
        photographed(tmp_path / f"{'ab'[number % 2]}" / f"{number}", f"2024:06:01 10:{number:02}:00", seed=number)
    table = SessionCorrections(tmp_path)
    table.record({"a/0.jpg": "shelf, 3", "b/1.jpg": "shelf, 3", "a/2.jpg": "=1"})
    table.record({"a/2.jpg": AS_FOUND})
    assert SessionCorrections(tmp_path).latest() == {"a/0.jpg": "shelf, 3", "b/1.jpg": "shelf, 3"}
    read = read_dataset(tmp_path)
    assert (len(read), read.problems) == (20, ())
    assert read.sessions == {"a/0.jpg": "shelf, 3", "b/1.jpg": "shelf, 3"}
    assert not read_dataset(tmp_path, corrections=False).sessions
    report = check(read)
    assert report.data["sessions"]["count"] == 2
    assert report.data["found_sessions"] == [[sample.id for sample in read.samples]]
    (tmp_path / table.file.name).write_text("file_name,visit\n")
    with pytest.raises(DataError, match="lacks session"):
        read_dataset(tmp_path)
