"""Readers: people who decided on the same cases as a model, and the difference, for them and for others like them.

The variance has two parts: that of the patients, by a bootstrap over patients with the readers as they are, and that of
the readers, beyond what the patients explain. Their sum and its degrees of freedom are those of Obuchowski & Rockette
(1995) as corrected by Hillis (Statistics in Medicine 2007), with the covariances from the bootstrap (Gallas 2006).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photovision.core.errors import UsageError
from photovision.trust.metrics.statistics import Estimate, Vector, resampled_counts

MIN_PATIENTS = 10
"""Patients below which no interval is given."""


@dataclass(frozen=True)
class ReaderDifference:
    """A model's figure minus the mean of the readers'.

    Attributes:
        these: with an interval over patients: for these readers on other patients.
        others: with an interval over patients and readers: for other readers on other patients; None for one reader.
        readers: the mean of the readers' figures, over patients.
        model: that of the model on the same cases, over patients.
    """

    these: Estimate
    others: Estimate | None
    readers: Estimate
    model: Estimate


def reader_difference(
    model: Vector, readers: Vector, counted: np.ndarray, patients: np.ndarray, *, n_boot: int = 1000, seed: int = 0
) -> ReaderDifference | None:
    """Compare a model with R readers on N cases by a figure that is a mean over cases: sensitivity, specificity, cost.

    Args:
        model: float64 (N,), what the model scores on each case.
        readers: float64 (R, N), what each reader scores.
        counted: bool (R, N): which cases count for which reader: those that the reader decided on and the figure is
            about. Readers of whom none counts are left out.
        patients: int (N,), equal for cases of one patient.
        n_boot: resamples of the patients.
        seed: of these.

    Returns:
        None where no reader is left, or there are fewer than 10 patients.

    Raises:
        UsageError: shapes that do not fit.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> model, people = rng.random(200) < 0.9, rng.random((4, 200)) < 0.8
        >>> found = reader_difference(model * 1.0, people * 1.0, np.ones((4, 200), bool), np.arange(200))
        >>> found.these.low < 0.05 < found.these.high
        True
    """
    if readers.shape != counted.shape or readers.shape[1:] != model.shape or patients.shape != model.shape:
        raise UsageError(f"expected readers and counted (R, N) for N cases, got {readers.shape} and {counted.shape}")
    able = counted.any(1)
    readers, counted = readers[able], counted[able]
    number = np.unique(patients[counted.any(0)], return_inverse=True)[1].ravel()
    count = int(number.max(initial=-1)) + 1
    if not len(readers) or count < MIN_PATIENTS:
        return None
    used, cases = counted.any(0), counted.astype(np.float64)
    values = np.concatenate([cases, cases * readers, cases * model])[:, used]
    sums = np.stack([np.bincount(number, row, count) for row in values])  # (3 R, patients)
    whole = _figures(sums.sum(1)[None], len(readers))
    drawn = _figures(resampled_counts(np.random.default_rng(seed), n_boot, count) @ sums.T, len(readers))
    drawn = drawn[:, np.isfinite(drawn).all((0, 2))]
    people, own = whole[0, 0], whole[1, 0]
    gaps, resampled = own - people, drawn[1] - drawn[0]
    return ReaderDifference(
        _by_patients(float(gaps.mean()), resampled.mean(1)),
        _by_both(gaps, resampled) if len(readers) > 1 else None,
        _by_patients(float(people.mean()), drawn[0].mean(1)),
        _by_patients(float(own.mean()), drawn[1].mean(1)),
    )


def _figures(sums: Vector, readers: int) -> Vector:
    """float64 (2, B, R): the readers' figures and the model's, NaN where no case counts."""
    cases, people, model = (sums[:, part * readers : (part + 1) * readers] for part in range(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([people / cases, model / cases])


def _by_patients(value: float, resampled: Vector) -> Estimate:
    low, high = np.percentile(resampled, (2.5, 97.5))
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def _by_both(gaps: Vector, resampled: Vector) -> Estimate:
    """The mean gap with an interval over patients and readers.

    Args:
        gaps: float64 (R,), the model minus each reader.
        resampled: float64 (B, R), the same for resampled patients.
    """
    from scipy.stats import t

    count, value = len(gaps), float(gaps.mean())
    spread = float(gaps.var(ddof=1))
    noise = max(0.0, float(resampled.var(axis=1, ddof=1).mean()) - spread)  # of patients, particular to a reader
    variance = float(resampled.mean(1).var(ddof=1)) + max(0.0, spread - noise) / count
    freedom = variance**2 / max((spread / count) ** 2 / (count - 1), 1e-300) if variance else 1.0
    half = float(t.ppf(0.975, max(1.0, freedom))) * float(np.sqrt(variance))
    return Estimate(value, value - half, value + half)
