"""Stored maps come with the truth of the same view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from accelerate import Accelerator

from photovision.engine.workdir import WorkDir
from photovision.learn.feed import FeedWithTargets
from photovision.learn.pixels import StoredPixelFeed


def _feed(judged: bool = False) -> StoredPixelFeed:
    maps = [np.full((6, 4), view, np.float16) + 10 * np.arange(6, dtype=np.float16)[:, None] for view in range(3)]
    planes = [np.full((6, 2, 2, 1), view, np.uint8) for view in range(3)]
    return StoredPixelFeed(maps, planes, judged=judged)


def test_every_epoch_shows_another_view_with_its_own_truth() -> None:
    feed, rows = _feed(), np.array([4, 1, 5])
    seen = set()
    for epoch in range(3):
        inputs, truth = feed.take(rows, epoch, 7).numpy(), feed.truth(rows, epoch, 7)
        assert (inputs[:, 0] // 10).tolist() == rows.tolist()
        assert (inputs[:, 0] % 10).tolist() == truth[:, 0, 0, 0].tolist()
        seen |= set(zip(rows.tolist(), truth[:, 0, 0, 0].tolist(), strict=True))
    assert len(seen) == 9
    assert isinstance(feed, FeedWithTargets)


def test_validation_sees_the_first_view() -> None:
    feed = _feed(judged=True)
    assert feed.take(np.arange(6), -1, 0).numpy()[:, 0].tolist() == [0, 10, 20, 30, 40, 50]
    assert feed.targets.shape == (6, 2, 2, 1)
    assert not feed.targets.any()
    assert _feed().targets.shape == (6, 0)


def test_rows_are_written_once_and_whole(tmp_path: Path) -> None:
    work, written = WorkDir(tmp_path / "model", {}, Accelerator()), list[int]()

    def parts() -> Iterator[np.ndarray]:
        for start in (0, 2):
            written.append(start)
            yield np.arange(start, start + 2, dtype=np.float32)[:, None]

    for _ in range(2):
        assert work.rows("numbers", (4, 1), "<f2", parts).ravel().tolist() == [0, 1, 2, 3]
    assert written == [0, 2]

    def broken() -> Iterator[np.ndarray]:
        yield np.zeros((2, 1), np.float32)
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        work.rows("others", (4, 1), "<f2", broken)
    assert not (work.folder / "others.npy").exists()
