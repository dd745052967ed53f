"""One preprocessing: the same pixels from every path."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photovision.core.errors import UsageError
from photovision.core.image import decode
from photovision.core.preprocess import Preprocess
from photovision.core.types import Sample
from photovision.core.window import to_image, to_view
from photovision.data.augment.image import load_pixels
from photovision.runtime.stream import loader


def photograph(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    planes = [127 + 120 * np.sin(x / 23 + shift) * np.cos(y / 17) for shift in (0, 1, 2)]
    return Image.fromarray(np.stack(planes, 2).astype(np.uint8))


def jpeg(width: int, height: int, **options: object) -> bytes:
    buffer = io.BytesIO()
    photograph(width, height).save(buffer, "JPEG", quality=92, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(640, 480), (3000, 2000), (50, 80)])
@pytest.mark.parametrize("fit", ["squash", "crop"])
def test_training_prediction_and_serving_see_the_same_pixels(tmp_path: Path, size: tuple[int, int], fit: str) -> None:
    content = jpeg(*size)
    (tmp_path / "a.jpg").write_bytes(content)
    preprocess = Preprocess((64, 96), fit=fit)  # type: ignore[arg-type]
    trained = load_pixels(Sample("a", tmp_path / "a.jpg"), preprocess)
    assert trained.shape == (64, 96, 3)
    assert np.array_equal(trained, loader(preprocess)(tmp_path / "a.jpg"))
    assert np.array_equal(trained, loader(preprocess)(content))


def test_reduced_decoding_stays_close_to_full_decoding() -> None:
    """At most one grey level on average, measured at the same field of view."""
    content = jpeg(2000, 1500)
    preprocess = Preprocess((224, 224))
    reduced = preprocess.load(content).astype(float)
    full = preprocess.apply(np.asarray(decode(content))).astype(float)
    assert decode(content, least=(448, 448)).size == (500, 375) or decode(content, least=(448, 448)).size[0] < 2000
    assert np.abs(reduced - full).mean() < 1.0


def test_turned_pictures_are_upright_in_every_path() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    upright = photograph(400, 600)
    stored, buffer = upright.transpose(Image.Transpose.ROTATE_90), io.BytesIO()
    stored.save(buffer, "JPEG", quality=95, exif=exif)
    preprocess = Preprocess((60, 40))
    difference = preprocess.load(buffer.getvalue()).astype(float) - preprocess.apply(np.asarray(upright)).astype(float)
    assert np.abs(difference).mean() < 2


def test_crop_keeps_proportions_and_squash_shows_everything() -> None:
    assert Preprocess((100, 100), "crop").window(300, 200) == (50, 0, 250, 200)
    assert Preprocess((100, 100), "crop", 0.5).window(300, 200) == (100, 50, 200, 150)
    assert Preprocess((100, 100)).window(300, 200) == (0, 0, 300, 200)


def test_hash_changes_with_every_choice_and_survives_json() -> None:
    base = Preprocess((32, 32))
    others = [Preprocess((32, 33)), Preprocess((32, 32), "crop"), Preprocess((32, 32), mean=(0.5, 0.5, 0.5))]
    assert len({one.hash for one in [base, *others]}) == 4
    assert Preprocess.from_json(base.to_json()) == base


@pytest.mark.parametrize("wrong", [{"size": (0, 4)}, {"fit": "stretch"}, {"crop": 0.0}, {"std": (0.0, 1.0, 1.0)}])
def test_senseless_choices_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"expected|should"):
        Preprocess(**{"size": (8, 8), **wrong})  # type: ignore[arg-type]


def test_a_padded_picture_is_shown_whole_in_the_middle_of_grey() -> None:
    picture = np.full((40, 80, 3), 200, np.uint8)
    preprocess = Preprocess((64, 64), "pad")
    assert preprocess.window(80, 40) == (0, -20, 80, 60)
    seen = preprocess.apply(picture)
    assert (seen[16:48] == 200).all()
    assert (seen[:16] == 114).all()
    assert (seen[48:] == 114).all()


def test_boxes_in_a_padded_picture_come_back_to_their_pixels() -> None:
    preprocess = Preprocess((64, 64), "pad")
    window = preprocess.window(80, 40)
    box = np.array([[10, 5, 30, 25]])
    assert np.allclose(to_image(to_view(box, window, (64, 64)), window, (64, 64)), box)
    assert np.allclose(to_view(box, window, (64, 64)), [[8, 20, 24, 36]])
