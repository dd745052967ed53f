"""Load story: what a load test saw, as a report with intervals and drawings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.curves import CurveLine, lines
from photovision.core.errors import DataError
from photovision.core.report import Figure, Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.types import Floats
from photovision.service.load_test import Load, Measured
from photovision.trust.metrics.statistics import wilson

_WINDOWS = 10
_T = 2.262  # 97.5% point of Student's t with 9 degrees of freedom
_Z = 1.96
QUANTILES = ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))


def report(load: Load, found: Measured) -> Report:
    """The report of one load test; raises DataError where no request was answered."""
    if not len(found.seconds):
        text = ", ".join(f"{status}: {count:,}" for status, count in found.statuses.items()) or "no request ended"
        raise DataError(f"no request was answered with status 200 ({text}): check the address, the pictures, the key")
    metrics = {"answers_per_second": throughput(found)}
    metrics |= {f"answer_time_{name}": quantile(found.seconds, share) for share, name in QUANTILES}
    total = sum(found.statuses.values())
    refused = total - len(found.seconds)
    asked = f"{load.rate:g} requests a second were due" if load.rate else f"{load.concurrency} were always under way"
    summary = (
        f"{metrics['answers_per_second'].value:,.1f} pictures a second were answered while {asked}, half of them within"
        f" {metrics['answer_time_p50'].value:.1f} ms, 99 of 100 within {metrics['answer_time_p99'].value:.1f} ms.",
    )
    warnings = [f"{refused:,} of {total:,} requests were not answered with a result."] if refused else []
    rows = tuple(
        (status, Metric(count / total, *wilson(count, total), total))
        for status, count in sorted(found.statuses.items())
    )
    return Report(
        "loadtest",
        "Load test",
        summary,
        metrics,
        (Table("Answers by status", ("status", "share of requests"), rows),),
        (_distribution(found.seconds), _course(found)),
        warnings,
        {**provenance(), "concurrency": load.concurrency, "seconds": load.seconds, "rate": load.rate},
        {"statuses": found.statuses},
    )


def throughput(found: Measured) -> Metric:
    """Answers a second; the interval comes from ten windows of time, since neighbouring answers are not independent.

    Example:
        >>> at = np.linspace(0, 10, 1000, endpoint=False, dtype=np.float32)
        >>> print(throughput(Measured(at, at, {"200": 1000}, 10.0)))
        100.0 1/s (100.0 to 100.0, n = 1,000)
    """
    counts = np.histogram(found.at, _WINDOWS, (0, found.duration))[0] * (_WINDOWS / found.duration)
    mean, half = float(counts.mean()), _T * float(counts.std(ddof=1)) / np.sqrt(_WINDOWS)
    return Metric(mean, max(0.0, mean - float(half)), mean + float(half), len(found.at), "1/s")


def quantile(seconds: Floats, share: float) -> Metric:
    """A quantile in ms, with the interval between order statistics (binomial, normal approximation)."""
    ordered, n = np.sort(seconds) * 1000, len(seconds)
    half = _Z * np.sqrt(n * share * (1 - share))
    places: Sequence[float] = (n * share, n * share - half, n * share + half)
    value, low, high = (float(ordered[int(np.clip(np.ceil(place) - 1, 0, n - 1))]) for place in places)
    return Metric(value, low, high, n, "ms")


def _distribution(seconds: Floats) -> Figure:
    shares = np.concatenate([np.linspace(0, 0.98, 99), np.linspace(0.981, 0.999, 19)])
    times = np.quantile(seconds, shares) * 1000
    drawn = lines(
        {"answered": CurveLine([0.0, *times], [0.0, *shares])},
        "Share of requests answered within a time",
        "ms",
        "share of requests",
        x_form="{:.0f}".format,
    )
    return Figure("Latency", drawn, note="How many requests were answered within how many milliseconds.")


def _course(found: Measured) -> Figure:
    windows = max(2, min(60, int(found.duration)))
    counts, edges = np.histogram(found.at, windows, (0, found.duration))
    rate = counts * (windows / found.duration)
    drawn = lines(
        {"answers a second": CurveLine((edges[1:] + edges[:-1]) / 2, rate)},
        "Answers a second over time",
        "s",
        "answers a second",
        x_form="{:.0f}".format,
        y_form="{:.0f}".format,
        y_range=(0.0, float(rate.max()) * 1.1 or 1.0),
    )
    return Figure("Over time", drawn, note="A service that holds its pace gives a flat line.")
