"""The robustness suite: what it measures, in how much memory and time, and how sure it may be of it."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import make_picture

from photovision.core.errors import UsageError
from photovision.core.types import Floats, Image
from photovision.data.corruptions import CORRUPTIONS, corrupt
from photovision.trust.robustness.suite import (
    Bools,
    Robustness,
    affordable,
    excess_confidence,
    mean_share,
    spread,
    suite,
)


def pictures(n: int, size: int = 24) -> Image:
    return np.stack([np.asarray(make_picture(i % 2, size, i)) for i in range(n)])


def by_brightness(images: Image) -> Floats:
    """Two classes, told apart by the mean grey level alone: bright ones are class 1."""
    score = 1 / (1 + np.exp(-(images.mean((1, 2, 3)) - 127.0) / 6))
    return np.stack([1 - score, score], axis=1).astype(np.float32)


def shades(n: int) -> tuple[Image, np.ndarray]:
    """Structured pictures that are dark or bright, and which."""
    bright = np.arange(n) % 2
    found = pictures(n).astype(np.float32)
    found += (np.where(bright, 190, 64) - found.mean((1, 2, 3)))[:, None, None, None]
    return np.clip(found, 0, 255).astype(np.uint8), bright


def test_a_cell_holds_the_answers_to_its_pictures_in_order() -> None:
    images = pictures(45)
    seen: list[Image] = []

    def answer(batch: Image) -> Floats:
        seen.append(batch.copy())
        return batch.reshape(len(batch), -1)[:, :2].astype(np.float32)

    def right(probs: Floats) -> Bools:
        assert probs.shape == (45, 2)
        return np.asarray(probs[:, 0] > 100)

    found = suite(answer, right, images, corruptions=["blur", "noise"], severities=(5, 2), seed=7)
    assert found.names == ("motion-blur", "defocus-blur", "noise")
    assert found.severities == (2, 5)
    assert max(map(len, seen)) <= 32  # never all of them at once
    for k, name in enumerate(found.names):
        for s, severity in enumerate(found.severities):
            expected = [corrupt(image, name, severity, (7, i))[0, 0, 0] > 100 for i, image in enumerate(images)]
            assert found.right[k, s].tolist() == expected
    assert found.clean.tolist() == (images[:, 0, 0, 0] > 100).tolist()
    assert np.allclose(found.accuracy, found.right.mean(2))


def test_it_is_the_same_every_time_and_for_a_lazy_sequence() -> None:
    images, bright = shades(20)

    class Lazy(list[Image]):
        """Hands its pictures out one by one."""

    def run(given: Image | list[Image]) -> Robustness:
        return suite(by_brightness, lambda p: p.argmax(1) == bright, given, corruptions=["rain", "night"], seed=3)

    first, second = run(images), run(Lazy(images))
    assert np.array_equal(first.right, second.right)
    assert first.confidence is not None
    assert np.array_equal(first.confidence, second.confidence)


def test_brightness_alone_collapses_at_night_and_not_when_turned() -> None:
    images, bright = shades(120)
    found = suite(
        by_brightness,
        lambda probs: probs.argmax(1) == bright,
        images,
        corruptions=["night", "rotation", "motion-blur", "fog"],
    )
    assert found.clean.mean() > 0.95
    night, rotation, motion, fog = found.accuracy
    assert night[-1] == pytest.approx(0.5)  # all are dark now
    assert fog[-1] < 0.7
    assert rotation.min() > 0.95
    assert motion.min() > 0.95
    p = found.p_values()
    assert (p[[0, 3]] < 1e-6).all()
    assert (p[[1, 2]] > 0.05).all()
    gap = excess_confidence(found, 0)
    assert gap is not None
    assert gap.low > 0.2


def test_a_model_that_sees_nothing_loses_nothing() -> None:
    images, bright = shades(60)
    found = suite(
        lambda batch: np.tile(np.float32([0.5, 0.5]), (len(batch), 1)), lambda p: p.argmax(1) == bright, images
    )
    assert found.names == CORRUPTIONS.names()
    assert (found.accuracy == found.clean.mean()).all()
    assert (found.p_values() == 1).all()
    gap = excess_confidence(found, 0)
    assert gap is not None
    assert gap.low <= 0 <= gap.high


def test_many_labels_come_through_right_and_need_no_confidence() -> None:
    images, bright = shades(10)
    truth = np.stack([bright, 1 - bright], axis=1)
    found = suite(
        lambda batch: by_brightness(batch)[:, ::-1],
        lambda probs: ((probs >= 0.5) == (truth > 0)).all(1),
        images,
        corruptions=["night"],
        confidence=None,
    )
    assert found.clean.all()
    assert found.confidence is None
    assert excess_confidence(found, 0) is None


def test_known_answers_are_not_asked_for_again() -> None:
    images, bright = shades(10)
    asked = []

    def answer(batch: Image) -> Floats:
        asked.append(len(batch))
        return by_brightness(batch)

    clean = by_brightness(images)
    suite(answer, lambda p: p.argmax(1) == bright, images, corruptions=["fog"], severities=[1], probs_clean=clean)
    assert sum(asked) == 10


def test_progress_reaches_its_end() -> None:
    images, bright = shades(40)
    steps: list[tuple[int, int]] = []
    suite(
        by_brightness,
        lambda p: p.argmax(1) == bright,
        images,
        corruptions=["contrast"],
        severities=[1, 2],
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps[-1] == (80, 80)
    assert steps == sorted(steps)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"severities": [0, 1]}, "1 to 5"),
        ({"severities": []}, "severities"),
        ({"corruptions": []}, "0 corruptions"),
        ({"corruptions": ["frog"]}, "fog"),
    ],
)
def test_senseless_suites_are_refused(change: dict[str, list[int]], message: str) -> None:
    images, bright = shades(4)
    with pytest.raises(UsageError, match=message):
        suite(by_brightness, lambda p: p.argmax(1) == bright, images, **change)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="pictures"):
        suite(by_brightness, lambda p: p.argmax(1) == 0, images[:0])


def test_as_many_pictures_as_the_time_allows() -> None:
    images, _ = shades(16)

    def slow(batch: Image) -> Floats:
        import time

        time.sleep(0.002 * len(batch))
        return by_brightness(batch)

    few = affordable(slow, images, 0.1, corruptions=["contrast", "jpeg"])
    many = affordable(slow, images, 20, corruptions=["contrast", "jpeg"])
    assert few == 50
    assert 200 < many <= 0.85 * 20 / (0.002 * 10)
    assert spread(1000, 50).tolist() == sorted(set(spread(1000, 50).tolist()))
    assert len(spread(1000, 50)) == 50
    assert spread(7, 50).tolist() == list(range(7))


def test_the_interval_of_the_mean_error_holds_what_it_promises() -> None:
    """Cells share pictures: some are easy and some hard in all of them, so cells must not count as if independent."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        ease = rng.beta(1.2, 0.6, 120)[:, None]
        right = (rng.random((120, 30)) < ease).T.reshape(6, 5, 120)
        found = Robustness(tuple("abcdef"), (1, 2, 3, 4, 5), right, right[0, 0])
        _, low, high = found.mean_accuracy()
        covered += low <= 1.2 / 1.8 <= high
    assert covered >= 181  # 95% of 200, less three standard deviations


def test_chance_alone_is_rarely_called_harm() -> None:
    """Answers that flip at random, as often under corruption as without it: at most 5% of the suites find harm."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(150):
        right = rng.random((13, 1, 200)) < 0.8
        found = Robustness(tuple(map(str, range(13))), (5,), right, rng.random(200) < 0.8)
        alarms += bool((found.p_values() < 0.05).any())
    assert alarms <= 0.05 * 150 + 8


def test_a_perfect_score_keeps_its_doubt() -> None:
    _, low, high = mean_share(np.ones(60))
    assert high == 1
    assert 0.9 < low < 0.97


def test_families_hold_what_was_tested() -> None:
    right = np.ones((3, 1, 4), np.bool_)
    found = Robustness(("fog", "jpeg", "mine"), (3,), right, right[0, 0])
    assert found.families == {"weather": (0,), "digital": (1,), "other": (2,)}
    with pytest.raises(UsageError, match="shape"):
        Robustness(("fog",), (3,), right, right[0, 0])
