"""Scanning: facts about good files, names of bad ones, and never an exception."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from pictures import make_folder, make_picture
from PIL import Image

from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays, read_dataset
from photovision.data.scan import scan


def hostile(root: Path) -> Dataset:
    """Two classes of good pictures with one file of every bad kind among them."""
    make_folder(root, per_class=3)
    whole = (root / "circle" / "000.png").read_bytes()
    (root / "circle" / "empty.jpg").touch()
    (root / "circle" / "half.png").write_bytes(whole[: len(whole) // 2])
    (root / "square" / "text.jpg").write_text("not a picture")
    late = [root / "square" / name for name in ("gone.jpg", "pipe.jpg")]
    for file in late:
        file.touch()
    data = read_dataset(root)
    for file in late:  # after the folder was listed, for reading leaves out what is no file
        file.unlink()
    os.mkfifo(late[1])
    return data


def test_bad_files_are_listed_and_good_ones_kept(tmp_path: Path) -> None:
    data = hostile(tmp_path)
    found = scan(data, workers=3)
    bad = {problem.id: problem.message for problem in found.problems}
    assert bad.keys() == {f"circle/{n}" for n in ("empty.jpg", "half.png")} | {
        f"square/{n}" for n in ("text.jpg", "gone.jpg", "pipe.jpg")
    }
    assert {problem.kind for problem in found.problems} == {"unreadable"}
    assert "empty" in bad["circle/empty.jpg"]
    assert "not a picture of a known format" in bad["square/text.jpg"]
    assert "regular file" in bad["square/pipe.jpg"]
    assert [data.samples[i].id in bad for i in range(len(data))] == (~found.readable).tolist()
    assert len(set(found.duplicates.tolist())) == len(data)


def test_facts_are_of_the_upright_original(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, size, mode, options in (
        ("a/1.jpg", (600, 400), "RGB", {"exif": exif}),
        ("a/2.png", (30, 20), "L", {}),
        ("b/3.gif", (9, 7), "P", {}),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        make_picture(1, 640).resize(size).convert(mode).save(tmp_path / name, **options)
    found = scan(read_dataset(tmp_path))
    assert found.height.tolist() == [600, 20, 7]
    assert found.width.tolist() == [400, 30, 9]
    assert found.rotated.tolist() == [True, False, False]
    assert [found.kinds[i] for i in found.kind] == [("JPEG", "RGB"), ("PNG", "L"), ("GIF", "P")]
    assert found.bytes.tolist() == [(tmp_path / n).stat().st_size for n in ("a/1.jpg", "a/2.png", "b/3.gif")]


def test_brightness_and_contrast_of_known_pictures() -> None:
    flat = np.full((40, 40, 3), 90, np.uint8)
    halves = np.repeat(np.uint8([0, 200]), 20)[None, :, None].repeat(40, 0).repeat(3, 2)
    found = scan(dataset_from_arrays([flat, halves], ["a", "b"]))
    np.testing.assert_allclose(found.brightness, [90, 100], atol=1)
    np.testing.assert_allclose(found.contrast, [0, 100], atol=3)
    assert found.detail[0] == 0


def test_the_same_facts_whatever_the_number_of_threads(tmp_path: Path) -> None:
    data = read_dataset(make_folder(tmp_path, per_class=40, size=16))
    one, many = scan(data, workers=1), scan(data, workers=8)
    for name in ("readable", "height", "digest", "hash", "colour", "detail", "contrast"):
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


def test_progress_ends_with_the_last_picture(tmp_path: Path) -> None:
    data = read_dataset(make_folder(tmp_path, per_class=40, size=8))
    seen: list[tuple[int, int]] = []
    scan(data, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (80, 80)
    assert seen == sorted(seen)


def test_memory_stays_small_for_each_picture() -> None:
    data = dataset_from_arrays(np.zeros((64, 8, 8), np.uint8), ["a", "b"] * 32)
    found = scan(data)
    columns = [value for value in vars(found).values() if isinstance(value, np.ndarray)]
    assert sum(column.nbytes for column in columns) <= 120 * len(found)
