"""Masks whose pixels are RGB colours: tables of several tools are understood, colours that are found are classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photovision.core.errors import DataError
from photovision.core.regions import IGNORE, Detections, Segmentation
from photovision.data.dataset import Dataset
from photovision.data.formats.colours import read_colours
from photovision.data.read import read_dataset

CAR, ROAD, VOID = (0, 0, 142), (128, 64, 128), (224, 224, 192)
TABLES = {
    "labelmap.txt": "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\ncar:0,0,142:wheel,door:\n",
    "class_dict.csv": "name,r,g,b\nbackground,0,0,0\nroad,128,64,128\ncar,0,0,142\n",
    "label_colors.txt": "0 0 0\tbackground\n128 64 128\troad\n0 0 142\tcar\n",
    "colors.txt": "background 0 0 0\r\nroad 128 64 128\r\ncar 0 0 142\r\n",
}


def _scene(folder: Path, mode: str = "RGB", extra: tuple[int, ...] | None = None) -> np.ndarray:
    """A picture with a car on a road and a strip that nobody judges; the classes as numbers."""
    colours = np.zeros((20, 30, 3), np.uint8)
    colours[10:], colours[12:16, 4:12], colours[:2] = ROAD, CAR, VOID
    if extra is not None:
        colours[5, 5] = extra
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(folder / "images" / "1.jpg")
    mask = Image.fromarray(colours)
    mask = mask.quantize(16) if mode == "P" else mask.convert(mode)
    mask.save(folder / "masks" / "1.png")
    labels = np.zeros((20, 30), np.int64)
    labels[10:], labels[12:16, 4:12], labels[:2] = 1, 2, IGNORE
    return labels


def _labels(data: Dataset) -> np.ndarray:
    regions = data.samples[0].annotations
    assert isinstance(regions, Segmentation)
    return regions.labels


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("table", TABLES)
def test_tables_of_several_tools_name_the_colours(table: str, mode: str, tmp_path: Path) -> None:
    expected = _scene(tmp_path, mode)
    (tmp_path / table).write_bytes(TABLES[table].encode())
    data = read_dataset(tmp_path)
    assert data.classes == ("background", "road", "car")
    assert (_labels(data) == expected).all()
    assert data.samples[0].target == ("road", "car")


def test_without_a_table_colours_are_names_and_black_is_background(tmp_path: Path) -> None:
    expected = _scene(tmp_path)
    data = read_dataset(tmp_path)
    assert data.classes == ("background", "#00008e", "#804080")
    assert (_labels(data) == np.where(expected == 1, 2, np.where(expected == 2, 1, expected))).all()


def test_transparent_pixels_are_background(tmp_path: Path) -> None:
    _scene(tmp_path)
    pixels = np.zeros((20, 30, 4), np.uint8)
    pixels[..., :3], pixels[5:, :, 3] = ROAD, 255
    Image.fromarray(pixels).save(tmp_path / "masks" / "1.png")
    assert (_labels(read_dataset(tmp_path))[:, 0] == (np.arange(20) >= 5)).all()


def test_objects_of_colours_are_told_apart(tmp_path: Path) -> None:
    _scene(tmp_path)
    (tmp_path / "labelmap.txt").write_text(TABLES["labelmap.txt"])
    numbers = np.zeros((20, 30, 3), np.uint8)
    numbers[12:16, 4:8], numbers[12:16, 8:12], numbers[:2] = (128, 0, 0), (0, 128, 0), VOID
    (tmp_path / "instances").mkdir()
    Image.fromarray(numbers).save(tmp_path / "instances" / "1.png")
    found = read_dataset(tmp_path).samples[0].annotations
    assert isinstance(found, Detections)
    assert found.names == ("car", "car")
    assert sorted(found.boxes[:, 0].tolist()) == [4, 8]


def test_what_makes_no_sense_is_told_in_a_line(tmp_path: Path) -> None:
    _scene(tmp_path / "strange", extra=(9, 9, 9))
    (tmp_path / "strange" / "labelmap.txt").write_text(TABLES["labelmap.txt"])
    with pytest.raises(DataError, match="hold #090909, which the table of colours lacks"):
        read_dataset(tmp_path / "strange")
    _scene(tmp_path / "smooth")
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "smooth" / "masks" / "1.png")
    with pytest.raises(DataError, match="smoothed or no masks"):
        read_dataset(tmp_path / "smooth")
    _scene(tmp_path / "mixed")
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "mixed" / "images" / "2.jpg")
    Image.fromarray(np.full((20, 30), 3, np.uint8)).save(tmp_path / "mixed" / "masks" / "2.png")
    with pytest.raises(DataError, match="some masks hold numbers, others RGB colours"):
        read_dataset(tmp_path / "mixed")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:1,2,3\nnonsense\n", "line 2: expected a name and a colour"),
        ("a:1,2,3\nb:1,2,3\n", "'b' has the colour of 'a'"),
        ("a:1,2,3\nb:1,2,300\n", "line 2"),
        ("# nothing\n", "names no colours"),
        ("x" * 2_000_000, "larger than any table"),
    ],
)
def test_broken_tables_are_told_with_their_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "labelmap.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_colours(tmp_path)


def test_no_table_is_no_table(tmp_path: Path) -> None:
    assert read_colours(tmp_path) is None
