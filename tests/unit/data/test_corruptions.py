"""Corruptions: the same bytes for the same seed, worse with the severity, at any size; AugMix beside them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import skimage.data
from pictures import make_picture
from PIL import Image as Pillow

from photovision.core.errors import UsageError
from photovision.core.types import Image
from photovision.data.corruptions import CORRUPTIONS, FAMILIES, SEVERITIES, corrupt, names
from photovision.data.corruptions.augmix import augmix
from photovision.data.corruptions.blur import convolve

NAMES = CORRUPTIONS.names()
every_corruption = pytest.mark.parametrize("name", NAMES)


def photograph(side: int) -> Image:
    return np.asarray(Pillow.fromarray(skimage.data.coffee()).resize((side, side), Pillow.Resampling.BILINEAR))


def damage(image: Image, name: str, severity: int, seeds: int) -> float:
    """Mean absolute difference over several seeds."""
    found = [np.abs(corrupt(image, name, severity, seed).astype(float) - image).mean() for seed in range(seeds)]
    return float(np.mean(found))


def test_the_families_hold_every_corruption_once() -> None:
    held = [name for family in FAMILIES.values() for name in family]
    assert sorted(held) == sorted(NAMES)


@every_corruption
def test_the_seed_decides_every_byte_in_any_thread(name: str) -> None:
    image = photograph(48)
    jobs = [(severity, seed) for severity in SEVERITIES for seed in range(3)] * 2
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(lambda job: corrupt(image, name, *job), jobs))
    for job, found in zip(jobs, threaded, strict=True):
        assert np.array_equal(found, corrupt(image, name, *job))


@pytest.mark.parametrize("name", sorted({*NAMES} - {"contrast", "jpeg", "defocus-blur"}))
def test_another_seed_shows_another_scene(name: str) -> None:
    image = photograph(48)
    assert len({corrupt(image, name, 3, seed).tobytes() for seed in range(8)}) > 1


@every_corruption
@pytest.mark.parametrize("side", [28, 224])
def test_damage_grows_with_the_severity(name: str, side: int) -> None:
    for image in (photograph(side), np.asarray(make_picture(1, side))):
        found = [damage(image, name, severity, 5) for severity in SEVERITIES]
        assert (np.diff(found) > 0).all(), found
        assert found[0] > 0.3  # visible


@pytest.mark.parametrize("name", sorted({*NAMES} - {"scale", "rotation"}))
def test_the_strongest_leaves_the_picture_recognisable(name: str) -> None:
    """Of twelve pictures the one with the most similar edges is still the picture itself."""
    pictures = [np.asarray(make_picture(kind % 6, 64, seed)) for kind, seed in enumerate(range(12))]

    def shape(image: Image) -> np.ndarray:
        # Differences between 16 x 16 places: what a person sees from a step back, whatever the light.
        grey = image.mean(2).reshape(16, 4, 16, 4).mean((1, 3))
        edges = np.concatenate([np.diff(grey, axis=0).ravel(), np.diff(grey, axis=1).ravel()])
        return edges / (np.linalg.norm(edges) + 1e-6)

    known = np.stack([shape(picture) for picture in pictures])
    found = [int((known @ shape(corrupt(picture, name, 5, 1))).argmax()) for picture in pictures]
    assert np.mean(np.array(found) == np.arange(12)) >= 0.8, found


@every_corruption
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (8, 8), (28, 28), (200, 300), (300, 200)])
def test_every_size_keeps_its_shape(name: str, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    before = image.copy()
    for severity in (1, 5):
        found = corrupt(image, name, severity, 4)
        assert found.dtype == np.uint8
        assert found.shape == image.shape
        assert found.flags.writeable
    assert np.array_equal(image, before)


@every_corruption
@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_do_not_wrap_around(name: str, level: int) -> None:
    """Values beyond the range are cut, not wrapped: a flat picture gets no pixels of the far end unasked."""
    found = corrupt(np.full((40, 40, 3), level, np.uint8), name, 5, 2)
    if name in ("scale", "rotation", "motion-blur", "defocus-blur", "jpeg", "contrast"):
        assert np.abs(found.astype(int) - level).max() <= 3
    if name == "night":
        assert found.max() < 130
    if name == "glare":
        assert found.min() >= level


@every_corruption
def test_a_picture_without_colour_stays_without(name: str) -> None:
    grey = np.repeat(photograph(32)[..., 1:2], 3, axis=2)
    found = corrupt(grey, name, 4, 9)
    assert np.array_equal(found[..., 0], found[..., 1])
    assert np.array_equal(found[..., 1], found[..., 2])
    coloured = corrupt(photograph(32), name, 2, 9)
    assert not np.array_equal(coloured[..., 0], coloured[..., 2])


def test_a_severity_means_the_same_at_every_size() -> None:
    """Blurred at 448 and then halved is what blurring at 224 gives, nearly."""
    large, small = photograph(448), photograph(224)
    for name in ("defocus-blur", "fog", "glare", "rotation", "occlusion"):
        halved = np.asarray(Pillow.fromarray(corrupt(large, name, 4, 3)).reduce(2)).astype(float)
        assert np.abs(halved - corrupt(small, name, 4, 3)).mean() < 6, name


def test_a_convolution_is_the_sum_it_should_be() -> None:
    image = np.random.default_rng(1).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    kernel = np.random.default_rng(2).random((5, 5)).astype(np.float32)
    kernel /= kernel.sum()
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="symmetric").astype(float)
    slow = sum(kernel[y, x] * padded[4 - y : 4 - y + 9, 4 - x : 4 - x + 12] for y in range(5) for x in range(5))
    assert np.abs(convolve(image, kernel) - slow).max() <= 0.51


def test_names_expand_families_once() -> None:
    assert names(["weather", "fog"]) == FAMILIES["weather"]
    assert names([]) == ()
    with pytest.raises(UsageError, match="motion-blur"):
        names(["motionblur"])
    with pytest.raises(UsageError, match="weather"):
        names(["wether"])


@pytest.mark.parametrize("severity", [0, 6, 2.5])
def test_other_severities_are_refused(severity: int) -> None:
    with pytest.raises(UsageError, match="1 to 5"):
        corrupt(photograph(16), "fog", severity)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(UsageError, match="uint8"):
        corrupt(np.zeros((4, 4, 3)), "fog", 1)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="corruption"):
        corrupt(photograph(16), "frog", 1)


def test_augmix_varies_and_keeps_the_picture() -> None:
    image = photograph(64)
    views = [augmix(image, np.random.default_rng(seed)) for seed in range(20)]
    assert len({view.tobytes() for view in views}) == 20
    assert all(view.shape == image.shape and view.dtype == np.uint8 for view in views)
    assert np.array_equal(views[3], augmix(image, np.random.default_rng(3)))
    assert np.median([np.abs(view.astype(float) - image).mean() for view in views]) < 40


@pytest.mark.parametrize("size", [(1, 1), (5, 2), (28, 28), (30, 45)])
def test_augmix_takes_every_size(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for seed in range(12):
        assert augmix(image, np.random.default_rng(seed)).shape == (*size, 3)
