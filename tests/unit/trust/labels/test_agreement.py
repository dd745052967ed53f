"""Agreement beyond chance, held against published worked examples and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from photovision.trust.labels.agreement import agreement

# Fleiss, "Measuring nominal scale agreement among many raters", Psychological Bulletin 1971, table 1: diagnoses of 30
# patients by 6 psychiatrists each, as counts of 5 categories; kappa = .430.
FLEISS = """00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031 00501 30012 51000
02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006"""

# Krippendorff, "Computing Krippendorff's alpha-reliability", 2011: examples B (2 observers, binary), C (nominal)
# and D (4 observers, missing answers).
BINARY = ("0100000010", "1110010000")
NOMINAL = ("aabbdcccedda", "babbbccceddd")
MISSING = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def coded(columns: tuple[str, ...]) -> np.ndarray:
    letters = sorted({letter for column in columns for letter in column} - {"."})
    return np.array([[letters.index(letter) if letter != "." else -1 for letter in column] for column in columns])


def test_fleiss_kappa_is_that_of_the_paper() -> None:
    counts = np.array([[int(digit) for digit in row] for row in FLEISS.split()])
    assert counts.sum(0).tolist() == [26, 26, 30, 55, 43]
    codes = np.array([np.repeat(np.arange(5), row) for row in counts]).T
    found = agreement(codes, 5).fleiss
    assert found is not None
    assert found.value == pytest.approx(0.430, abs=5e-4)
    assert found.low < 0.430 < found.high


@pytest.mark.parametrize(("columns", "expected"), [(BINARY, 0.095), (NOMINAL, 0.692), (MISSING, 0.743)])
def test_alpha_is_that_of_the_worked_examples(columns: tuple[str, ...], expected: float) -> None:
    codes = coded(columns)
    found = agreement(codes, int(codes.max()) + 1).alpha
    assert found is not None
    assert found.value == pytest.approx(expected, abs=5e-4)


def test_cohens_kappa_is_scikit_learns_on_the_pictures_that_both_rated() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(4, size=300)
    second = np.where(rng.random(300) < 0.6, first, rng.integers(4, size=300))
    third = np.where(rng.random(300) < 0.3, -1, second)
    pairs = agreement(np.stack([first, second, third]), 4).pairs
    for (a, b), (x, y) in {(0, 1): (first, second), (0, 2): (first, third)}.items():
        both = (x >= 0) & (y >= 0)
        kappa, n = pairs[a, b]
        assert kappa is not None
        assert n == both.sum()
        assert kappa.value == pytest.approx(cohen_kappa_score(x[both], y[both]))
        assert kappa.low < kappa.value < kappa.high


def test_chance_gives_none_and_opposition_less_than_none() -> None:
    rng = np.random.default_rng(1)
    chance = agreement(rng.integers(3, size=(3, 600)), 3)
    assert chance.fleiss is not None
    assert chance.alpha is not None
    assert chance.fleiss.low < 0 < chance.fleiss.high
    assert chance.alpha.low < 0 < chance.alpha.high
    one = rng.integers(2, size=100)
    kappa, _ = agreement(np.stack([one, 1 - one]), 2).pairs[0, 1]
    assert kappa is not None
    assert kappa.high < -0.7


def test_the_intervals_cover() -> None:
    rng = np.random.default_rng(2)

    def drawn(n: int) -> np.ndarray:
        truth = rng.integers(3, size=n)
        return np.where(rng.random((3, n)) < 0.7, truth, rng.integers(3, size=(3, n)))

    population = agreement(drawn(30_000), 3).alpha
    assert population is not None
    found = [agreement(drawn(80), 3, seed=i).alpha for i in range(60)]
    assert 0.85 <= np.mean([f is not None and f.low <= population.value <= f.high for f in found]) <= 0.99


def test_what_is_not_defined_is_not_given() -> None:
    constant = agreement(np.zeros((2, 40), np.int64), 2)
    assert constant.fleiss is None
    assert constant.alpha is None
    assert constant.pairs[0, 1] == (None, 40)
    few = agreement(np.arange(20).reshape(2, 10) % 2, 2)
    assert few.pairs[0, 1] == (None, 10)
    alone = agreement(np.array([[0, 1, -1, -1], [-1, -1, 0, 1]]), 2)
    assert alone.alpha is None
