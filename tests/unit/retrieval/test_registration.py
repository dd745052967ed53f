"""Copies agree in fine detail wherever they show the same; other pictures, and frames of a burst, do not."""

from __future__ import annotations

import numpy as np
import pytest
from photographs import photograph
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from photovision.retrieval.edits import EDITS
from photovision.retrieval.registration import RegisteredPicture, find, find_tilted, whole_agreement
from photovision.retrieval.verdicts import AGREEMENT


def burst(picture: Image.Image, movement: float) -> Image.Image:
    """The next frame: what is seen has moved a little, everywhere in another way, and the noise is another one."""
    rng, values = np.random.default_rng(3), np.asarray(picture, np.float32)
    height, width = values.shape[:2]
    moved = [gaussian_filter(rng.normal(size=(height, width)), width / 8) for _ in range(2)]
    rows, columns = (
        place + field * movement * width / field.std()
        for place, field in zip(np.mgrid[:height, :width], moved, strict=True)
    )
    bands = [map_coordinates(values[..., band], [rows, columns], order=1, mode="nearest") for band in range(3)]
    return Image.fromarray(np.clip(np.stack(bands, -1) + rng.normal(0, 4, values.shape), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("name", ["saved again (JPEG 20)", "quarter size", "1.5 times as bright", "grey"])
def test_a_copy_agrees_as_a_whole(name: str) -> None:
    picture = photograph("astronaut")
    copy = EDITS[name](picture, np.random.default_rng(0))
    assert whole_agreement(RegisteredPicture.of(copy), RegisteredPicture.of(picture)).agreement >= AGREEMENT


@pytest.mark.parametrize("share", ["80%", "50%", "25%"])
@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_a_crop_is_found_where_it_was_cut(name: str, share: str) -> None:
    picture = photograph(name)
    crop = EDITS[f"crop of {share}"](picture, np.random.default_rng(1))
    found = find(RegisteredPicture.of(crop), RegisteredPicture.of(picture))
    assert found.agreement >= AGREEMENT
    left, top, right, bottom = found.window
    assert (right - left) * (bottom - top) == pytest.approx(float(share[:-1]) / 100, rel=0.05)


def test_a_tilted_picture_is_found_whether_its_corners_were_cut_off_or_not() -> None:
    picture = photograph("astronaut")
    base, width, height = RegisteredPicture.of(picture), picture.width, picture.height
    inner = (width // 10, height // 10, width - width // 10, height - height // 10)
    tilted = picture.rotate(-15, Image.Resampling.BICUBIC)
    straightened = picture.rotate(6, Image.Resampling.BICUBIC).crop(inner)
    for query in (tilted, straightened):
        assert find_tilted(RegisteredPicture.of(query), base).agreement >= AGREEMENT
    for other in (photograph("coffee"), burst(picture, 0.015)):
        assert find_tilted(RegisteredPicture.of(other), base).agreement < AGREEMENT


def test_frames_of_a_burst_and_other_pictures_do_not_agree() -> None:
    picture = RegisteredPicture.of(photograph("astronaut"))
    for other in (burst(photograph("astronaut"), 0.015), photograph("chelsea"), photograph("rocket")):
        registered = RegisteredPicture.of(other)
        assert whole_agreement(picture, registered).agreement < AGREEMENT
        assert find(picture, registered).agreement < AGREEMENT


def test_a_plain_picture_agrees_with_nothing() -> None:
    plain = RegisteredPicture.of(Image.new("RGB", (200, 150), "white"))
    assert whole_agreement(plain, plain).agreement == -1
    assert find(plain, RegisteredPicture.of(photograph("coins"))).agreement == -1
