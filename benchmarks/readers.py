"""Do the intervals beside readers hold what they promise? 1,000 simulated studies of each kind, of known sensitivity.

    PYTHONPATH=src python benchmarks/readers.py

Five readers and a model (sensitivity .90) decide on the same 120 patients with the disease; what is hard for one is
hard for another (correlation .5 of what they see). The readers are equal, or differ by chance, or in a fixed way.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import norm

from photovision.trust.metrics.statistics import wilson
from photovision.trust.referral.readers import reader_difference

CASES, READERS, MODEL, MEAN, SPREAD = 120, 5, 0.90, 0.82, 0.06
KINDS = {"equal": "these and others", "by chance": "these and others", "fixed": "these"}


def sensitivities(kind: str, rng: np.random.Generator) -> np.ndarray:
    """What is known of the five readers."""
    if kind == "equal":
        return np.full(READERS, MEAN)
    if kind == "fixed":
        return np.asarray(np.linspace(MEAN - 0.1, MEAN + 0.1, READERS))
    drawn: np.ndarray = np.clip(rng.normal(MEAN, SPREAD, READERS), 0.02, 0.98)
    return drawn


def study(kind: str, seed: int) -> tuple[bool, bool]:
    """Whether the interval for these readers, and that for others like them, hold the truth."""
    rng = np.random.default_rng(seed)
    known, hard = sensitivities(kind, rng), rng.normal(size=CASES)

    def found(sensitivity: float) -> np.ndarray:
        seen = np.sqrt(0.5) * hard + np.sqrt(0.5) * rng.normal(size=CASES)
        return np.asarray(seen < norm.ppf(sensitivity), np.float64)

    people, looked = np.stack([found(one) for one in known]), np.ones((READERS, CASES), bool)
    difference = reader_difference(found(MODEL), people, looked, np.arange(CASES), n_boot=400, seed=seed)
    assert difference is not None
    assert difference.others is not None
    these, others = MODEL - known.mean(), MODEL - MEAN
    return (
        difference.these.low <= these <= difference.these.high,
        difference.others.low <= others <= difference.others.high,
    )


def main() -> None:
    """Print how often the intervals hold the truth."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--runs", type=int, default=1000)
    runs = arguments.parse_args().runs
    for kind, meant in KINDS.items():
        held = np.array([study(kind, seed) for seed in range(runs)])
        for number, name in enumerate(("these", "others")):
            if name in meant:
                hits = int(held[:, number].sum())
                low, high = wilson(hits, runs)
                print(
                    f"readers {kind:10s} interval for {name:7s} {hits / runs:.1%} ({low:.1%} to {high:.1%}, n = {runs})"
                )


if __name__ == "__main__":
    main()
