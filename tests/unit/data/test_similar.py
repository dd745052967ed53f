"""Near-duplicates: every slight change of a picture is found, and look-alikes are left apart."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from pictures import make_picture
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits

from photovision.core.image import decode
from photovision.data.near_duplicates import Looks, near_duplicates, near_pairs
from photovision.data.read import dataset_from_arrays, read_dataset
from photovision.data.scan import Scan, scan

PHOTOGRAPHS = [
    Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
    for name in ("astronaut", "camera", "coffee", "chelsea", "coins", "page", "text", "rocket")
]


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return decode(buffer.getvalue())


def scanned(pictures: list[Image.Image]) -> Scan:
    return scan(dataset_from_arrays([np.asarray(picture) for picture in pictures], ["a"] * len(pictures)))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "nothing": lambda picture: picture.copy(),
    "jpeg 90": lambda picture: jpeg(picture, 90),
    "jpeg 40": lambda picture: jpeg(picture, 40),
    "half size": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "third size": lambda picture: picture.resize((picture.width // 3, picture.height // 3), Image.Resampling.BILINEAR),
    "twice the size": lambda picture: picture.resize((picture.width * 2, picture.height * 2)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.08),
    "darker and smaller": lambda picture: ImageEnhance.Brightness(picture.reduce(2)).enhance(0.9),
}


@pytest.mark.parametrize("change", CHANGES)
def test_slight_changes_are_found_and_photographs_stay_apart(change: str) -> None:
    count = len(PHOTOGRAPHS)
    groups = scanned(PHOTOGRAPHS + [CHANGES[change](picture) for picture in PHOTOGRAPHS]).duplicates
    assert groups.tolist() == [*range(count), *range(count)]


def test_a_recoloured_picture_is_another_picture() -> None:
    coffee = PHOTOGRAPHS[2]
    red, green, blue = coffee.split()
    groups = scanned([coffee, Image.merge("RGB", (blue, green, red)), coffee.convert("L").convert("RGB")]).duplicates
    assert groups.tolist() == [0, 1, 2]


def test_another_shape_is_another_picture() -> None:
    coffee = PHOTOGRAPHS[2]
    assert scanned([coffee, coffee.resize((400, 400))]).duplicates.tolist() == [0, 1]


def test_look_alikes_do_not_chain() -> None:
    shapes = [make_picture(kind, 64, seed) for kind in range(4) for seed in range(60)]
    assert len(np.unique(scanned(shapes).duplicates)) == len(shapes)
    digits = [Image.fromarray((image * 15).astype(np.uint8)).convert("RGB") for image in load_digits().images[:900]]
    _, sizes = np.unique(scanned(digits).duplicates, return_counts=True)
    assert sizes.max() <= 3
    assert len(sizes) > 850


def test_blank_pictures_only_match_their_exact_copies() -> None:
    grey = [Image.new("RGB", (40, 40), (level,) * 3) for level in (200, 201, 202, 200)]
    ramp = [
        Image.fromarray((np.arange(40)[None].repeat(40, 0) * step).astype(np.uint8)).convert("RGB") for step in (4, 5)
    ]
    assert scanned(grey + ramp).duplicates.tolist() == [0, 1, 2, 0, 4, 5]


def test_members_are_like_the_middle_one_not_only_like_a_neighbour() -> None:
    """Ten hashes, each 10 bits further along: only those within 16 bits of one leader may be one group."""
    bits = np.zeros((10, 256), np.uint8)
    for row in range(10):
        bits[row, : 10 * row] = 1
    hashes = np.packbits(bits, axis=1).view(np.uint64)
    count = len(bits)
    looks = Looks(
        np.arange(count, dtype=np.uint64),
        hashes,
        np.zeros((count, 32), np.int8),
        np.full(count, 255, np.uint8),
        np.ones(count, np.float32),
        np.ones(count),
    )
    groups = near_duplicates(looks, np.arange(count))
    _, sizes = np.unique(groups, return_counts=True)
    assert sizes.max() == 3  # a leader and its neighbours on both sides


def random_looks(rng: np.random.Generator, count: int) -> Looks:
    return Looks(
        rng.integers(0, 2**63, count).astype(np.uint64),
        rng.integers(0, 2**63, (count, 4)).astype(np.uint64),
        np.zeros((count, 32), np.int8),
        np.full(count, 255, np.uint8),
        np.ones(count, np.float32),
        np.ones(count),
    )


def test_hundred_thousand_hashes_in_seconds_with_a_crowd_among_them() -> None:
    rng = np.random.default_rng(0)
    looks = random_looks(rng, 100_000)
    looks.hash[:5_000] = looks.hash[0]  # a crowd that shares every band, as frames of a still scene do
    looks.hash[50_000] = looks.hash[60_000] ^ np.uint64(0b1011)
    start = time.process_time()  # all pairs would take hours; a busy machine takes none of it
    groups = near_duplicates(looks, np.arange(100_000))
    assert time.process_time() - start < 30
    assert (groups[:5_000] == 0).all()
    assert groups[60_000] == 50_000
    assert len(np.unique(groups)) == 100_000 - 5_000


def test_the_groups_do_not_depend_on_the_order() -> None:
    pictures = [
        CHANGES[change](picture) for picture in PHOTOGRAPHS[:3] for change in ("nothing", "jpeg 40", "half size")
    ]
    pictures += [make_picture(kind, 40) for kind in range(6)]
    order = np.random.default_rng(1).permutation(len(pictures))
    straight, shuffled = scanned(pictures).duplicates, scanned([pictures[i] for i in order]).duplicates
    one = straight[:, None] == straight
    assert (one[np.ix_(order, order)] == (shuffled[:, None] == shuffled)).all()


def test_real_sets_of_look_alikes(shared_data: Path) -> None:
    faces = scan(read_dataset(shared_data / "orl-faces")).duplicates
    leaves = scan(read_dataset(shared_data / "potato")).duplicates
    assert len(faces) - len(np.unique(faces)) <= 4  # ten pictures each of forty people
    assert len(leaves) - len(np.unique(leaves)) <= 4  # leaves on one and the same table


def test_copies_without_colours_are_worth_a_closer_look() -> None:
    coloured = [
        picture for picture, name in zip(PHOTOGRAPHS, ("astronaut", "", "coffee", "chelsea"), strict=False) if name
    ]
    looks = scanned([*coloured, *(picture.convert("L").convert("RGB") for picture in coloured)]).looks
    assert sorted(zip(*(side.tolist() for side in near_pairs(looks)), strict=True)) == [(0, 3), (1, 4), (2, 5)]
    assert near_duplicates(looks, np.arange(6)).tolist() == list(range(6))
