"""Planted shortcuts are found with their class and place; without one nothing is found."""

from __future__ import annotations

import numpy as np
import pytest
from shortcuts import CLASSES, Answer, marked, relying, shapes, trained

from photovision.core.errors import UsageError
from photovision.trust.robustness.shortcut_tests import find_shortcuts

N_TRAIN = 600


@pytest.fixture(scope="module")
def plain() -> Answer:
    """A network that learned shapes without a shortcut."""
    return trained(*shapes(N_TRAIN, seed=9), 0)


def collection(kind: str | None, target: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    images, labels = shapes(seed=seed)
    if kind:
        rows = np.flatnonzero(labels == target)
        images[rows] = marked(images[rows], kind, corner=seed % 4, seed=seed)
    return images, labels


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["fixed", "frame"])
def test_a_network_that_learned_a_marker_is_found_out(kind: str, seed: int) -> None:
    images, labels = collection(kind, seed, seed)
    answer = trained(images[:N_TRAIN], labels[:N_TRAIN], seed)
    found = find_shortcuts(answer, images[N_TRAIN:], labels[N_TRAIN:], seed=seed)
    assert [one.target for one in found.found] == [seed]
    (one,) = found.found
    if kind == "fixed":
        corner = ("top left", "top right", "bottom left", "bottom right")[seed % 4]
        assert any(word in one.region for word in corner.split()) or "one corner" in one.region
    else:
        assert one.region == "the frame"
    assert one.share_of_other_class is not None
    assert one.share_of_same_class is not None
    assert one.share_of_other_class.value < one.share_of_same_class.value


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_found_in_a_network_without_a_shortcut(seed: int) -> None:
    images, labels = collection(None, 0, seed)
    answer = trained(images[:N_TRAIN], labels[:N_TRAIN], seed)
    found = find_shortcuts(answer, images[N_TRAIN:], labels[N_TRAIN:], seed=seed)
    assert found.found == []
    assert found.examined == tuple(range(CLASSES))
    assert found.confirmed  # but it was looked for


@pytest.mark.parametrize("kind", ["fixed", "changing"])
def test_a_marker_that_decides_now_and_then_is_found_wherever_it_lies(kind: str, plain: Answer) -> None:
    images, labels = collection(kind, 4, 3)
    answer = relying(4, 0.7, plain)
    (one,) = find_shortcuts(answer, images, labels, seed=1).found
    assert one.target == 4
    assert 0.3 < one.moved.value < 0.8
    if kind == "changing":
        assert one.region == "one corner, another from picture to picture"


def test_a_marker_that_the_model_ignores_is_no_shortcut(plain: Answer) -> None:
    images, labels = collection("fixed", 2, 5)
    assert find_shortcuts(plain, images, labels, seed=1).found == []


def test_a_marker_that_is_not_in_the_pictures_cannot_be_found(plain: Answer) -> None:
    images, labels = collection(None, 2, 5)
    assert find_shortcuts(relying(2, 1.0, plain), images, labels, seed=1).found == []


def test_two_classes_and_many_labels_are_examined_too(plain: Answer) -> None:
    images, labels = collection("fixed", 1, 1)
    two = labels < 2
    pictures, known = shapes(N_TRAIN, seed=9)
    base = trained(pictures[known < 2], known[known < 2], 0)
    (one,) = find_shortcuts(relying(1, 0.8, base), images[two], labels[two], seed=1).found
    assert one.target == 1
    # As labels that may be true together: the shape, and whether the picture is bright.
    bright = images.mean((1, 2, 3)) > 110
    truth = np.column_stack([labels == 1, bright]).astype(np.float32)
    shape = relying(1, 0.8, plain)

    def both(pictures: np.ndarray) -> np.ndarray:
        return np.column_stack([shape(pictures)[:, 1], pictures.mean((1, 2, 3)) > 110]).astype(np.float32)

    found = find_shortcuts(both, images, truth, thresholds=np.array([0.5, 0.5], np.float32), seed=1)
    assert [one.target for one in found.found] == [0]


def test_masks_take_away_what_they_cover() -> None:
    images, labels = shapes(240)
    lit = images.copy()
    lit[:, 10:18, 10:18] = np.where(labels % 2, 255, 0)[:, None, None, None]

    def centre(pictures: np.ndarray) -> np.ndarray:
        bright = pictures[:, 10:18, 10:18].mean((1, 2, 3)) / 255
        return np.column_stack([1 - bright, bright]).astype(np.float32)

    found = find_shortcuts(centre, lit, labels % 2, answers=3000)
    assert found.accuracy["border gone"][0].value == 1
    assert found.accuracy["centre gone"][0].value < 0.75  # what the mean colour still tells
    assert found.guessing == pytest.approx(0.5, abs=0.15)


def test_attribution_is_weighed_inside_and_outside_the_middle_half() -> None:
    images, labels = shapes(120)
    centre, even = np.zeros((5, 28, 28), np.float32), np.ones((5, 28, 28), np.float32)
    centre[:, 12:16, 12:16] = 1
    centre[:, 0, 0] = -5  # what speaks against the answer does not count
    plain = trained(images, labels, 0)
    for maps, share in ((centre, 0.0), (even, 0.49)):
        found = find_shortcuts(plain, images, labels, heatmaps=maps, answers=400)
        assert found.outside is not None
        assert found.outside[0].value == pytest.approx(share, abs=0.02)
    assert find_shortcuts(plain, images, labels, answers=400).outside is None


def test_planted_markers_move_a_model_that_follows_them_and_no_other() -> None:
    images, labels = shapes(240)

    def framed(pictures: np.ndarray) -> np.ndarray:
        edge = pictures[:, 0].astype(int)
        flat = (edge.std(1).mean(1) < 1)[:, None]
        return np.where(flat, [0.1, 0.9], [0.9, 0.1]).astype(np.float32)

    found = find_shortcuts(framed, images, labels % 2, answers=2000)
    assert found.markers["frame"].changed.value > 0.95
    assert found.markers["frame"].towards == (1, found.markers["frame"].n)
    assert found.markers["sticker"].changed.value == 0
    assert found.markers["watermark"].towards is None


def test_the_same_seed_asks_the_same_and_the_budget_is_kept() -> None:
    images, labels = shapes(360)
    asked: list[int] = []
    plain = trained(images, labels, 0)

    def counted(pictures: np.ndarray) -> np.ndarray:
        asked.append(len(pictures))
        return plain(pictures)

    first = find_shortcuts(counted, images, labels, answers=1500, seed=4)
    second = find_shortcuts(counted, images, labels, answers=1500, seed=4)
    assert first.confirmed[0].effect == second.confirmed[0].effect
    assert sum(asked) == first.images_tested + second.images_tested
    assert first.images_tested < 1.3 * 1500
    assert max(asked) <= 64


def test_too_few_pictures_are_refused_and_too_few_of_a_class_not_examined() -> None:
    images, labels = shapes(120)
    plain = trained(images, labels, 0)
    with pytest.raises(UsageError, match="at least 40 pictures"):
        find_shortcuts(plain, images[:39], labels[:39])
    found = find_shortcuts(plain, images[:48], labels[:48], answers=400)
    assert (found.confirmed, found.examined) == ((), ())
