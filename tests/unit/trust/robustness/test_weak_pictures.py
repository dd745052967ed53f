"""Kinds of pictures that fare worse are found by how they look, and none is found where all fare alike."""

from __future__ import annotations

import numpy as np

from photovision.core.types import Sample
from photovision.trust.robustness.failure_clusters import weak_pictures


def views(count: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Grainy pictures uint8 (N, 32, 32, 3), every fourth of them striped and dark; and which these are."""
    rng = np.random.default_rng(0)
    odd = np.arange(count) % 4 == 0
    grain = rng.normal(0, 12, (count, 32, 32, 1))
    stripes = np.where(np.arange(32) % 8 < 4, 40, -40)[None, None, :, None]
    pictures = (
        np.where(odd[:, None, None, None], 60 + stripes, 150 + np.linspace(-30, 30, 32)[None, :, None, None]) + grain
    )
    return np.clip(np.repeat(pictures, 3, axis=3), 0, 255).astype(np.uint8), odd


def samples_of(images: np.ndarray) -> list[Sample]:
    return [Sample(f"{number}.png", image, ("a",)) for number, image in enumerate(images)]


def test_a_kind_that_fares_worse_is_found_and_described() -> None:
    images, odd = views()
    rng = np.random.default_rng(1)
    score = np.where(odd, rng.uniform(0.1, 0.6, len(odd)), rng.uniform(0.5, 1, len(odd)))
    site = ["mill" if one else "yard" for one in odd]
    found = weak_pictures(images, samples_of(images), score, name="F1", groups={"site": site})
    (first, *_) = found.data["slices"]
    rows = np.array([int(name.removesuffix(".png")) for name in first["members"]])
    assert odd[rows].mean() > 0.8
    told = " ".join(found.summary)
    assert "quarter with the lowest F1" in told
    assert "site = mill" in told
    assert "brightness = dark" in told
    assert found.warnings


def test_where_all_fare_alike_no_kind_is_found() -> None:
    images, _ = views()
    for seed in range(2):
        score = np.random.default_rng(seed).uniform(0, 1, len(images))
        assert "slices" not in weak_pictures(images, samples_of(images), score, name="F1", seed=seed).data


def test_without_failures_and_with_few_pictures_nothing_is_searched() -> None:
    images, _ = views(40)
    assert "is 100%" in weak_pictures(images, samples_of(images), np.ones(40), name="F1").summary[0]
    assert "too few" in weak_pictures(images, samples_of(images), np.linspace(0, 1, 40), name="F1").summary[0]
