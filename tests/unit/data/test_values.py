"""Values of more than 8 bits: one range is found for a data set, checked, and learned with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from pictures import make_folder, make_picture
from PIL import Image

from photovision.app.check import check
from photovision.core.image import to_array
from photovision.core.preprocess import Preprocess
from photovision.core.thumbnail import thumbnail
from photovision.core.value_range import ValueRange
from photovision.data.augment.image import load_pixels
from photovision.data.read import read_dataset
from photovision.data.scan import scan
from photovision.engine.splits import gather


def wide(root: Path, bits: int = 12, per_class: int = 6, kind: type = np.uint16) -> Path:
    """The usual folder of two classes, in grey, with more bits."""
    make_folder(root, per_class=per_class, size=32)
    for file in sorted(root.rglob("*.png")):
        grey = np.asarray(Image.open(file).convert("L"))
        if kind == np.uint16:
            Image.fromarray(grey.astype(np.uint16) << (bits - 8)).save(file)
        else:
            tifffile.imwrite(file.with_suffix(".tif"), (grey.astype(np.float32) * 12 - 1000).astype(kind))
            file.unlink()
    return root


@pytest.mark.parametrize("bits", [10, 12])
def test_pictures_of_fewer_bits_look_as_they_do_in_8(tmp_path: Path, bits: int) -> None:
    plain = scan(read_dataset(make_folder(tmp_path / "plain", per_class=6, size=32)))
    found = scan(read_dataset(wide(tmp_path / "wide", bits)))
    assert found.value_ranges() == (ValueRange("unsigned", 0, 2**bits - 1),)
    np.testing.assert_allclose(found.brightness, plain.brightness, atol=2)
    assert not plain.value_ranges()
    assert plain.number.sum() == 0


def test_check_states_the_range_and_finds_nothing_wrong(tmp_path: Path) -> None:
    report = check(wide(tmp_path))
    assert any("12 pictures of whole numbers of more than 8 bits use 12 bits (0 to 4,095)" in s for s in report.summary)
    assert not any("almost blank" in warning or "eighth" in warning for warning in report.warnings)
    assert report.data["value_ranges"] == [{"kind": "unsigned", "low": 0, "high": 4095, "pictures": 12}]


def test_parts_with_another_range_are_named(tmp_path: Path) -> None:
    wide(tmp_path, 16)
    for file in sorted((tmp_path / "circle").iterdir())[:3]:
        values = np.asarray(Image.open(file))
        Image.fromarray(values >> 6).save(file)
    report = check(tmp_path)
    assert any(w.startswith("3 pictures (circle/000.png") and "nearly black" in w for w in report.warnings)


def test_a_profile_that_cannot_be_used_is_counted(tmp_path: Path) -> None:
    make_folder(tmp_path, per_class=4, size=16)
    make_picture(0, 16, 77).save(tmp_path / "circle" / "odd.tif", icc_profile=b"nonsense")
    report = check(tmp_path)
    assert any(w.startswith("1 picture: its colour profile cannot be used") for w in report.warnings)


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float32])
def test_what_is_learned_and_what_is_shown_is_by_the_range_of_the_training_pictures(tmp_path: Path, kind: type) -> None:
    material = gather(read_dataset(wide(tmp_path, per_class=20, kind=kind)), seed=0)
    (shown,) = material.ranges
    assert shown.kind == {"u": "unsigned", "i": "signed", "f": "float"}[np.dtype(kind).kind]
    preprocess = material.shown(Preprocess((32, 32)))
    sample = material.train.samples[0]
    seen = load_pixels(sample, preprocess)
    assert seen.std() > 20
    assert np.array_equal(seen, preprocess.load(sample.image))  # type: ignore[arg-type]
    assert np.array_equal(seen, load_pixels(sample, Preprocess((32, 32))))  # samples know how they are shown
    small = thumbnail(sample, 32)
    assert small is not None
    picture = Preprocess((32, 32)).decode(small)
    assert np.abs(to_array(picture).astype(int) - seen).mean() < 8
