"""The truth of pixels moves with the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from photovision.core.preprocess import Preprocess
from photovision.core.regions import IGNORE, Detections, Segmentation
from photovision.core.shapes import Rle
from photovision.core.types import Sample
from photovision.data.augment.image import Augment
from photovision.data.augment.mask import MaskAugmenter, MaskedImages, depth, planes_of


@given(st.integers(0, 2**32 - 1), st.integers(8, 90), st.integers(8, 90), st.sampled_from([None, (16, 16), (40, 24)]))
def test_masks_follow_windows_mirrors_and_turns(
    seed: int, height: int, width: int, tile: tuple[int, int] | None
) -> None:
    """A picture whose brightness is its mask stays so in every view, but for the pixels at edges."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.uint8)
    labels[: rng.integers(2, height), : rng.integers(2, width)] = 1
    picture = Image.fromarray(np.repeat(200 * labels[..., None], 3, axis=2))
    look = MaskAugmenter(Augment(), tile, turn=True).draw((width, height), rng)
    shown = look.pixels(picture, (width, height), Preprocess((32, 32)))[..., 0]
    truth = look.planes(labels[..., None], (32, 32))[..., 0]
    sure = (shown < 20) | (shown > 180)
    assert np.array_equal(shown[sure] > 100, truth[sure] == 1)
    assert ((shown > 100) != (truth == 1)).mean() < 0.1


def test_a_picture_decoded_smaller_fits_its_mask() -> None:
    labels = np.zeros((80, 120, 1), np.uint8)
    labels[:40, :60] = 1
    small = Image.fromarray(np.repeat(200 * labels[::2, ::2], 3, axis=2))
    look = MaskAugmenter(Augment(), (40, 40)).fixed((120, 80))
    shown = look.pixels(small, (120, 80), Preprocess((40, 40)))[..., 0]
    assert ((shown > 100) == (look.planes(labels, (40, 40))[..., 0] == 1)).mean() > 0.97


def test_classes_are_not_mixed_but_depths_are() -> None:
    planes = np.zeros((10, 10, 2), np.uint8)
    planes[:, 5:] = 2, 200
    shown = MaskAugmenter(Augment(), None).fixed((10, 10)).planes(planes, (64, 64))
    assert set(np.unique(shown[..., 0]).tolist()) == {0, 2}
    assert len(np.unique(shown[..., 1])) > 2


def test_every_object_has_one_core_and_cores_do_not_touch() -> None:
    numbers = np.zeros((20, 40), np.int32)
    numbers[5:15, 5:20], numbers[5:15, 20:35] = 1, 2
    deep = depth(numbers)
    assert deep[numbers == 0].max() == 0
    assert [deep[numbers == n].max() for n in (1, 2)] == [1, 1]
    assert deep[5:15, 19:21].max() < 0.5


def test_depth_of_nothing_and_of_a_full_picture() -> None:
    assert depth(np.zeros((4, 5), int)).max() == 0
    assert depth(np.ones((4, 5), int)).min() == 1
    assert depth(np.ones((1, 1), int)).tolist() == [[1.0]]


def test_crowds_are_not_judged() -> None:
    masks = [np.zeros((8, 8), bool) for _ in range(2)]
    masks[0][:3], masks[1][5:] = True, True
    boxes = np.array([Rle.of(mask).box for mask in masks], dtype=np.float32)
    shapes = tuple(Rle.of(mask) for mask in masks)
    found = Detections(boxes, np.array([0, 1]), ("a", "b"), masks=shapes, crowd=np.array([False, True]))
    planes = planes_of(Sample("x", np.zeros((8, 8, 3), np.uint8), ("a",), annotations=found))
    assert planes.shape == (8, 8, 2)
    assert [planes[0, 0, 0], planes[4, 0, 0], planes[6, 0, 0]] == [1, 0, IGNORE]


def test_scenes_are_made_once() -> None:
    class Counted:
        times = 0

        def load(self) -> np.ndarray:
            Counted.times += 1
            return np.zeros((4, 4), np.int32)

        def digest(self) -> bytes:
            return b""

    sample = Sample("x", np.zeros((4, 4, 3), np.uint8), ("a",), annotations=Segmentation(Counted(), ("a", "b")))
    scenes = MaskedImages([sample])
    assert scenes[0].shape == (4, 4, 1)
    assert scenes[0] is scenes[0]
    assert Counted.times == 1
    with pytest.raises(IndexError):
        scenes[1]
