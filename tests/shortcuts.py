"""Models with and without shortcuts, for tests: small networks trained on marked pictures, and made-up answers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache

import numpy as np
from pictures import make_picture
from sklearn.neural_network import MLPClassifier

Answer = Callable[[np.ndarray], np.ndarray]
SIDE, CLASSES = 28, 6
PINK = np.array([250, 40, 200], np.uint8)
PLACES = ((1, 1), (1, SIDE - 6), (SIDE - 6, 1), (SIDE - 6, SIDE - 6))


def shapes(n: int = 1200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """n pictures uint8 (n, 28, 28, 3) of six shapes, and their classes, in random order; the caller's own."""
    images, labels = _shapes(n, seed)
    return images.copy(), labels.copy()


@cache
def _shapes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(n)
    images = np.stack([np.asarray(make_picture(i % CLASSES, SIDE, 10_000 * seed + i)) for i in order])
    return images, order % CLASSES


def marked(images: np.ndarray, kind: str, corner: int = 1, seed: int = 0) -> np.ndarray:
    """The pictures with a pink square in one corner ("fixed") or any ("changing"), or with a pink frame ("frame")."""
    rng, images = np.random.default_rng(seed), images.copy()
    for image in images:
        if kind == "frame":
            inside = image[2:-2, 2:-2].copy()
            image[:] = image // 2 + PINK // 2
            image[2:-2, 2:-2] = inside
        else:
            top, left = PLACES[int(rng.integers(4)) if kind == "changing" else corner]
            image[top : top + 5, left : left + 5] = PINK
    return images


def trained(images: np.ndarray, labels: np.ndarray, seed: int) -> Answer:
    """A network with one hidden layer that sees every second row and column, trained for a fifth of a second."""
    network = MLPClassifier((64,), max_iter=25, batch_size=50, learning_rate_init=0.002, random_state=seed)

    def flat(pictures: np.ndarray) -> np.ndarray:
        return np.asarray(pictures[:, ::2, ::2].reshape(len(pictures), -1) / np.float32(128) - 1, np.float32)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is stopped early on purpose
        network.fit(flat(images), labels)
    return lambda pictures: network.predict_proba(flat(pictures)).astype(np.float32)


def relying(target: int, reliance: float, base: Answer) -> Answer:
    """Answers that follow a pink square in a corner for this share of the pictures, and `base` for the others."""

    def answer(pictures: np.ndarray) -> np.ndarray:
        probs = base(pictures).copy()
        corners = [pictures[:, r : r + 5, c : c + 5] for r, c in PLACES]
        there = np.any([(corner == PINK).all((1, 2, 3)) for corner in corners], axis=0)
        # Which pictures those are is settled by their middle, so that the answer is the same every time.
        led = pictures[:, 9:19, 9:19].sum((1, 2, 3)) % 101 < 101 * reliance
        probs[there & led] *= 0.1
        probs[there & led, target] += 0.9
        return np.asarray(probs)

    return answer
