"""A planted shift of the class mix is found and corrected; none, and a change of look, are left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from photovision.trust.class_mix import ClassMix, HeldOutPlace, class_mix, corrected, estimate_shares

CLASSES = 4
USUAL = np.full(CLASSES, 1 / CLASSES)


def answers(labels: np.ndarray, rng: np.random.Generator, clear: float = 2.0) -> np.ndarray:
    """Probabilities of a model that is right about its own uncertainty in a place of the usual mix."""
    logits = rng.normal(size=(len(labels), CLASSES)) + clear * np.eye(CLASSES)[labels]
    powers = np.exp(clear * logits)
    return np.asarray(powers / powers.sum(1, keepdims=True))


def held_out(rng: np.random.Generator) -> HeldOutPlace:
    labels = rng.integers(CLASSES, size=600)
    probs = answers(labels, rng)
    return HeldOutPlace(probs, labels, np.arange(600) // 3, USUAL, probs.max(1), embeddings(labels, rng))


def embeddings(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of unit norm, float32 (N, 8), around one direction a class."""
    found = np.eye(8)[labels] + 0.3 * rng.normal(size=(len(labels), 8))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def found(shares: list[float], *, seed: int = 0, dimmed: float = 1.0, moved: float = 0.0) -> tuple[ClassMix, float]:
    """The estimate for a place of 200 pictures, and what it gains there on a thousand others."""
    rng = np.random.default_rng(seed)
    known = held_out(rng)
    labels = rng.choice(CLASSES, 1200, p=shares)
    probs = answers(labels, rng) ** dimmed
    probs /= probs.sum(1, keepdims=True)
    here = embeddings(labels[:200], rng) + np.float32(moved)
    mix = class_mix(probs[:200], probs[:200].max(1), here, known, seed=seed)
    right = [(each[200:].argmax(1) == labels[200:]).mean() for each in (probs, corrected(probs, mix.shares, USUAL))]
    return mix, float(right[1] - right[0])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_planted_shift_is_found_and_its_correction_gains(seed: int) -> None:
    mix, gained = found([0.85, 0.05, 0.05, 0.05], seed=seed)
    assert mix.against == ""
    assert gained > 0.02
    assert mix.shares.argmax() == 0
    assert mix.low[0] < 0.85 < mix.high[0] + 0.1
    assert mix.shares[0] < 0.86  # drawn towards the usual mix


def test_looks_are_compared_with_pictures_of_the_same_network() -> None:
    rng = np.random.default_rng(0)
    known = held_out(rng)
    labels = rng.choice(CLASSES, 200, p=[0.85, 0.05, 0.05, 0.05])
    probs, here = answers(labels, rng), embeddings(labels, rng)
    other = replace(known, embedding=np.roll(known.embedding, 3, axis=1))
    apart, together = (
        class_mix(probs, probs.max(1), here, one)
        for one in (other, replace(other, looks=(known.truth, known.embedding)))
    )
    assert "embeddings differ" in apart.against
    assert together.against == ""


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_without_a_shift_nothing_is_changed(seed: int) -> None:
    assert "by more than chance" in found([0.25] * 4, seed=seed)[0].against


def test_pictures_that_the_model_is_less_sure_of_are_no_other_mix() -> None:
    """What a change of look does to all classes is not corrected as if it were one of the mix."""
    mix, _ = found([0.4, 0.2, 0.2, 0.2], dimmed=0.35)
    assert mix.against
    assert mix.unexplained > 0.1


def test_pictures_of_another_look_are_no_other_mix() -> None:
    """A model that names one class in all pictures of another look is sure, and wrong."""
    mix, _ = found([0.85, 0.05, 0.05, 0.05], moved=0.5)
    assert mix.separability > 0.9
    assert "embeddings differ" in mix.against


def test_few_pictures_move_the_estimate_less() -> None:
    likely = np.repeat(np.eye(CLASSES)[:1] * 0.96 + 0.01, 200, axis=0)
    many, few = (estimate_shares(likely[:n], USUAL)[0][0] for n in (200, 5))
    assert 0.8 < many < 0.95
    assert 0.25 < few < 0.7


def test_held_out_pictures_of_one_component_are_never_on_both_sides() -> None:
    known = held_out(np.random.default_rng(0))
    pairs = list(known.halves(USUAL, 100, 10, 0))
    assert len(pairs) == 10
    assert not any(set(known.component[one]) & set(known.component[other]) for one, other in pairs)
