"""Films are whole when they end, however they end, and nothing is left half."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips import draw

from photovision.core.errors import UsageError
from photovision.video.reader import open_video
from photovision.video.writer import Film


def test_frames_and_times_come_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.mp4"
    with Film(path, 25) as film:
        for i in range(30):
            film.add(draw([(0, (10 + 3 * i, 40))]), i / 25 + (2 if i > 20 else 0))
    with open_video(path) as video:
        found = list(video)
    assert len(found) == 30
    assert found[29].time == pytest.approx(29 / 25 + 2, abs=0.002)
    assert np.abs(found[15].image.astype(int) - draw([(0, (55, 40))])).mean() < 8
    assert [file.name for file in path.parent.iterdir()] == ["a.mp4"]


def test_an_interrupted_film_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older, by Photovision")

    def make() -> None:
        with Film(path) as film:
            for i in range(10):
                film.add(draw([]), i / 25)
            assert path.read_bytes() == b"older, by Photovision"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make()
    with open_video(path) as video:
        assert len(list(video)) == 10


def test_frames_of_other_sizes_are_fitted_and_times_that_stand_still_move_on(tmp_path: Path) -> None:
    with Film(tmp_path / "a.mp4") as film:
        for size in ((95, 127), (50, 50), (200, 31), (1, 1), (95, 127)):
            film.add(draw([], size), 0.0)
    with open_video(tmp_path / "a.mp4") as video:
        shapes = [frame.image.shape for frame in video]
    assert shapes == [(94, 126, 3)] * 5


def test_without_a_frame_there_is_no_file(tmp_path: Path) -> None:
    with Film(tmp_path / "a.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.mp4"):
        Film(tmp_path / "a.avi")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        Film(tmp_path / "file" / "a.mp4")
