"""Tracks of CVAT: what moves between key frames is where CVAT shows it, and comes back when it is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from annotated import CLASSES, objects, picture, ring
from annotated import dataset as annotated

from photovision.core.errors import DataError
from photovision.core.regions import Detections
from photovision.data.convert import convert, missing
from photovision.data.dataset import Dataset
from photovision.data.formats import FORMATS, cvat_tracks
from photovision.data.read import read_dataset


def video(folder: Path, tracks: str, frames: int = 11, meta: str = "") -> Path:
    """An export with pictures of 40 x 60 pixels as frames."""
    for number in range(frames):
        picture(folder / "images" / f"frame_{number:06d}.jpg")
    (folder / "annotations.xml").write_text(f"<annotations><meta>{meta}</meta>{tracks}</annotations>")
    return folder


def box(frame: int, x: float, *, outside: int = 0) -> str:
    return f'<box frame="{frame}" outside="{outside}" keyframe="1" xtl="{x}" ytl="5" xbr="{x + 10}" ybr="15"/>'


def track(*shapes: str, number: int = 0, label: str = "bolt") -> str:
    return f'<track id="{number}" label="{label}">{"".join(shapes)}</track>'


def left(data: Dataset) -> dict[int, dict[int, float]]:
    """Frame -> track -> the left edge of its box."""
    found: dict[int, dict[int, float]] = {}
    for number, sample in enumerate(data.samples):
        assert isinstance(sample.annotations, Detections)
        ids = [] if sample.annotations.track_ids is None else sample.annotations.track_ids.tolist()
        found[number] = dict(zip(ids, sample.annotations.boxes[:, 0].tolist(), strict=True))
    return found


def test_boxes_move_between_key_frames_and_are_gone_outside(tmp_path: Path) -> None:
    moving = track(box(0, 0), box(4, 8), box(6, 8, outside=1), box(8, 20), box(9, 22, outside=1), number=7)
    data = read_dataset(video(tmp_path, moving))
    found = left(data)
    assert [found[frame].get(7) for frame in range(11)] == [0, 2, 4, 6, 8, 8, None, None, 20, None, None]
    assert len(data) == 11  # frames without objects are pictures that show none
    assert data.samples[10].target == ()
    assert data.classes == ("bolt",)


def test_the_last_key_frame_lasts_to_the_end_where_the_file_tells_it(tmp_path: Path) -> None:
    still = track(box(6, 3))
    assert sum(map(len, left(read_dataset(video(tmp_path / "a", still))).values())) == 1
    told = video(tmp_path / "b", still, meta="<task><start_frame>2</start_frame><stop_frame>8</stop_frame></task>")
    data = read_dataset(told)
    assert len(data) == 7
    assert [frame for frame, seen in left(data).items() if seen] == [4, 5, 6]


def test_outlines_of_equally_many_points_move_others_stay(tmp_path: Path) -> None:
    def outline(frame: int, points: str) -> str:
        return f'<polygon frame="{frame}" outside="0" points="{points}"/>'

    shapes = (outline(0, "0,0;10,0;10,10"), outline(2, "4,2;14,2;14,12"), outline(4, "4,2;14,2;14,12;4,12"))
    data = read_dataset(video(tmp_path, track(*shapes), 5))
    parts = [sample.annotations.masks[0].parts[0].tolist() for sample in data.samples]  # type: ignore[union-attr,index]
    assert parts[1] == [[2, 1], [12, 1], [12, 11]]
    assert parts[3] == parts[2]
    assert len(parts[4]) == 4


def tracked(folder: Path) -> Dataset:
    """Four frames: one object in all, one that comes and goes, one with an outline; numbers of any size."""
    rows = [
        objects([(0, 0, 9, 9), (20, 5, 30, 15)], [0, 1]),
        objects([(2, 0, 11, 9)], [0]),
        objects([], []),
        objects([(6, 1, 15, 10), (21, 5, 31, 15), (40, 20, 50, 30)], [0, 1, 1], [None, None, ring((40, 20, 50, 30))]),
    ]
    ids = [[3, 1_000_000], [3], [], [3, 1_000_000, 5]]
    data = annotated(folder, [replace(row, track_ids=np.array(n, np.int64)) for row, n in zip(rows, ids, strict=True)])
    return replace(data, samples=tuple(replace(s, id=f"frame_{n:06d}.png") for n, s in enumerate(data.samples)))


def told(data: Dataset) -> list[list[tuple[int, str, list[float]]]]:
    """Of every picture: number, class and box of its objects."""
    return [
        sorted(
            (int(number), name, np.round(xyxy, 2).tolist())
            for number, name, xyxy in zip(
                regions.track_ids if regions.track_ids is not None else [-1] * len(regions),
                regions.names,
                regions.boxes,
                strict=True,
            )
        )
        for sample in data.samples
        if isinstance(regions := sample.annotations, Detections)
    ]


def test_tracks_come_back_as_tracks(tmp_path: Path) -> None:
    data = tracked(tmp_path / "data")
    assert not missing(data, FORMATS.load("cvat"))
    convert(data, "cvat", tmp_path / "out")
    written = (tmp_path / "out" / "annotations.xml").read_text()
    assert written.count("<track ") == 3
    assert "<image" not in written
    again = read_dataset(tmp_path / "out")
    assert told(again) == told(data)
    assert [Path(sample.id).name for sample in again.samples] == [sample.id for sample in data.samples]
    convert(again, "coco", tmp_path / "coco")
    assert told(read_dataset(tmp_path / "coco")) == told(data)


@pytest.mark.parametrize("change", ["splits", "untracked", "two classes"])
def test_what_is_no_video_keeps_its_numbers_beside_its_boxes(tmp_path: Path, change: str) -> None:
    data = tracked(tmp_path / "data")
    if change == "splits":
        data = replace(data, splits={"train": (0, 1), "val": (2, 3)})
    else:
        regions = data.samples[3].annotations
        assert isinstance(regions, Detections)
        other = {"track_ids": np.array([3, -1, 5])} if change == "untracked" else {"labels": np.array([1, 1, 1])}
        last = replace(data.samples[3], annotations=replace(regions, **other), target=CLASSES)
        data = replace(data, samples=(*data.samples[:3], last))
    convert(data, "cvat", tmp_path / "out")
    assert "<track " not in (tmp_path / "out" / "annotations.xml").read_text()
    again = read_dataset(tmp_path / "out")
    assert told(again) == told(data)
    assert again.splits == data.splits


@pytest.mark.parametrize(
    "shape",
    [
        '<box frame="-1" xtl="1" ytl="1" xbr="2" ybr="2"/>',
        '<box frame="nan" xtl="1" ytl="1" xbr="2" ybr="2"/>',
        '<box frame="1e99" xtl="1" ytl="1" xbr="2" ybr="2"/>',
        '<box frame="0" xtl="1" ytl="1" xbr="2" ybr="2"/>',
        '<box frame="1" xtl="inf" ytl="1" xbr="2" ybr="2"/>',
        '<box xtl="1" ytl="1" xbr="2" ybr="2"/>',
        '<points frame="1" points="1,2"/>',
        '<polygon frame="1" points="1,2;3"/>',
        '<mask frame="1" rle="9" left="0" top="0" width="2" height="2"/>',
    ],
)
def test_shapes_that_are_none_are_told_and_left_out(tmp_path: Path, shape: str) -> None:
    data = read_dataset(video(tmp_path, track(box(0, 1), shape, box(2, 3, outside=1)), 3))
    assert [len(seen) for seen in left(data).values()] == [1, 1, 0]
    assert "annotations.xml, track 1, " in data.notes[0].message


def test_tracks_without_the_frames_of_their_video_are_told(tmp_path: Path) -> None:
    video(tmp_path, track(box(0, 1)), 0)
    with pytest.raises(DataError, match="the frames of its video are not beside it"):
        read_dataset(tmp_path)


def test_frames_that_are_not_there_are_told_once(tmp_path: Path) -> None:
    data = read_dataset(video(tmp_path, track(box(0, 1), box(30, 5)) + track(box(30, 1), number=1), 4))
    assert [(problem.id, problem.kind) for problem in data.problems] == [("frame 30", "missing")]
    assert sum(map(len, left(data).values())) == 4


def test_a_few_lines_do_not_become_objects_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cvat_tracks, "MAX_OBJECTS", 50)
    many = "".join(track(box(0, 1), box(10, 2), number=number) for number in range(10))
    with pytest.raises(DataError, match="more than 50 objects"):
        read_dataset(video(tmp_path, many))
