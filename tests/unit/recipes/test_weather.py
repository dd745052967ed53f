"""A training set for tags of weather: five pictures of each, one group a source, told to be simulated."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photovision.app.cli import run
from photovision.core.errors import DataError, UsageError
from photovision.data.read import read_dataset
from photovision.data.scan import scan
from photovision.data.split import make_splits
from photovision.recipes.weather import CONDITIONS, weather


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rows, columns = np.mgrid[:90, :120] / 120
    for number in range(10):
        shade = 128 + 80 * np.sin(9 * rows + number) * np.cos(7 * columns * (1 + number / 10))
        picture = np.stack([shade, np.roll(shade, 20, 1), 255 - shade], axis=-1)
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


def test_every_source_gives_one_picture_of_every_condition(pictures: Path, tmp_path: Path) -> None:
    (pictures / "broken.jpg").write_bytes(b"junk")
    files = sorted(pictures.iterdir())
    made = weather(files, tmp_path / "data", side=64)
    assert (made.sources, made.pictures, len(made.unreadable)) == (10, 50, 1)
    data = read_dataset(tmp_path / "data")
    assert set(data.classes) == {"clear", *CONDITIONS}
    assert not data.multilabel
    with (tmp_path / "data" / "metadata.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert {row["simulated"] for row in rows if row["label"] != "clear"} == {"yes"}
    assert {row["severity"] for row in rows if row["label"] != "clear"} <= {"2", "3", "4", "5"}
    with Image.open(tmp_path / "data" / rows[0]["file_name"]) as clear:
        assert max(clear.size) == 64


def test_a_split_keeps_all_versions_of_a_source_on_one_side(pictures: Path, tmp_path: Path) -> None:
    weather(sorted(pictures.iterdir()), tmp_path / "data", side=48, conditions=("night", "fog"))
    data = read_dataset(tmp_path / "data")
    splits = make_splits(data, scan(data))
    sides = [{data.samples[int(i)].groups["group"] for i in part} for part in (splits.train, splits.val, splits.test)]
    assert sum(map(len, sides)) == len(set().union(*sides)) == 10


def test_the_same_seed_gives_the_same_pictures(pictures: Path, tmp_path: Path) -> None:
    files = sorted(pictures.iterdir())[:2]
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        weather(files, tmp_path / name, side=48, seed=seed)
    contents = [[f.read_bytes() for f in sorted((tmp_path / name / "images").iterdir())] for name in "abc"]
    assert contents[0] == contents[1] != contents[2]


def test_nothing_is_overwritten_and_mistakes_are_told(pictures: Path, tmp_path: Path) -> None:
    before = sorted(pictures.iterdir())
    with pytest.raises(UsageError, match="is not empty"):
        weather(before, pictures)
    with pytest.raises(UsageError, match="no corruption"):
        weather(before, tmp_path / "data", conditions=("sunshine",))
    with pytest.raises(DataError, match="none of the 1 pictures can be read"):
        weather([tmp_path / "none.png"], tmp_path / "data")
    with pytest.raises(DataError, match="none given"):
        weather([], tmp_path / "data")
    assert sorted(pictures.iterdir()) == before
    assert not (tmp_path / "data").exists()


def test_the_command_says_what_it_made(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["recipe", "weather", str(pictures), "--condition", "fog", "--side", "48", "-o", str(tmp_path / "data")]
    assert run(asked) == 0
    assert "20 pictures of 10 sources" in capsys.readouterr().out
    assert run(asked) == 2
    assert "is not empty" in capsys.readouterr().err
