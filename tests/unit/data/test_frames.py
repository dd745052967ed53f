"""Frames of a video are told by names and folders, and nothing else is."""

from __future__ import annotations

import pytest

from photovision.data.frames import videos


def named(*patterns: str, numbers: range = range(1, 6)) -> list[str]:
    return [pattern.format(number) for pattern in patterns for number in numbers]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (named("walk_{:04d}.jpg", "run_{:04d}.jpg"), {"walk", "run"}),
        (named("clip1/{:05d}.png", "clip2/{:05d}.png"), {"clip1", "clip2"}),
        (named("images/walk-{:03d}.jpg", "images/run-{:03d}.jpg"), {"walk", "run"}),
        (named("a_frame_{}.jpg"), {"a"}),  # the word tells, also where there is one video only
        (named("street/frame{:04d}.jpg"), {"street"}),
        (named("w_{:04d}.jpg", "r_{:04d}.jpg", numbers=range(0, 100, 25)), {"w", "r"}),  # every 25th frame
    ],
)
def test_videos(files: list[str], expected: set[str]) -> None:
    assert set(videos(files)) == expected


@pytest.mark.parametrize(
    "files",
    [
        named("IMG_{:04d}.jpg", "DSC_{:04d}.jpg"),  # cameras number what they take
        named("BloodImage_{:05d}.jpg"),  # the data set's name
        named("{:012d}.jpg"),
        ["a_01.jpg", "b_02.jpg", "c_03.jpg"],
        ["x_0001.jpg", "x_0094.jpg", "x_0100.jpg", "y_0003.jpg", "y_0800.jpg", "y_0811.jpg"],  # drawn at random
        ["cat.jpg", "dog.jpg"],
    ],
)
def test_no_videos(files: list[str]) -> None:
    assert not any(videos(files))
