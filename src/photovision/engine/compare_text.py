"""What a comparison of two models says: the verdict in words, and both side by side."""

from __future__ import annotations

from collections.abc import Mapping

from photovision.core import phrases
from photovision.core.drawing import Bar, bars
from photovision.core.glossary import heading
from photovision.core.report import Assessment, Figure, Metric, Table
from photovision.trust.metrics.statistics import Z

DETECTED = 2.8 / Z
"""By how many half intervals two models must differ for it to be seen in 4 of 5 cases: 2.8 standard errors."""
FEW = 100
"""With fewer images the report says that small differences cannot be seen."""
_DRAWN = 4


def title(a: str, b: str, n: int) -> str:
    """The heading: which model is A and which B, and on how many images."""
    return f"{a} (A) or {b} (B), on {phrases.count(n, 'picture')}"


def assessment(better: str) -> Assessment:
    """Which model to take, beside the evidence in the sentence of `verdict`, whose `better` this is."""
    if better == "undecided":
        text = "Take the one that is smaller or faster, or compare them on more pictures."
        return Assessment("care", "No difference shown", text)
    return Assessment("good", f"{better.upper()} is better", "The difference is larger than chance explains.")


def verdict(better: str, gain: Metric, n: int, detectable: float, lead: str) -> str:
    """Which model is better, in a sentence.

    Args:
        better: "a", "b" or "undecided".
        gain: of the metric that decides, B less A.
        n: images.
        detectable: the smallest difference that would have been seen.
        lead: the metric that decides, as people call it.
    """
    if better == "undecided":
        return (
            f"No difference between A and B can be shown with {phrases.count(n, 'picture')}; one of at least about"
            f" {detectable * 100:.1f} points would have been seen."
        )
    winner, sign = ("B", 1) if better == "b" else ("A", -1)
    low, high = sorted((sign * (gain.low or 0.0), sign * (gain.high or 0.0)))
    return (
        f"{winner} is better: {sign * gain.value * 100:+.1f} points of {lead}"
        f" (95% interval {low * 100:+.1f} to {high * 100:+.1f}, {phrases.count(n, 'picture')})."
    )


def table(metrics: Mapping[str, Metric]) -> Table:
    """NAME_a, NAME_b and NAME_difference in a row each."""
    rows = tuple(
        (
            heading(base, metrics[f"{base}_a"])[0],
            metrics[f"{base}_a"],
            metrics[f"{base}_b"],
            metrics.get(f"{base}_difference"),
        )
        for base in _names(metrics)
    )
    return Table("Side by side", ("figure", "A", "B", "B minus A"), rows)


def drawing(metrics: Mapping[str, Metric]) -> Figure:
    """The first shares as bars."""
    shares = [name for name in _names(metrics) if metrics[f"{name}_a"].unit == "share"][:_DRAWN]
    groups = {}
    for name in shares:
        pair = metrics[f"{name}_a"], metrics[f"{name}_b"]
        groups[_term(name, metrics)] = [Bar(m.value, m.low, m.high, i) for i, m in enumerate(pair)]
    note = "Intervals that overlap do not mean that there is no difference: the paired test above decides."
    return Figure("Side by side", svg=bars(groups, "A and B side by side", series=("A", "B")), note=note, first=True)


def warnings(n: int) -> list[str]:
    """That n images are too few to see small differences, where they are."""
    if n >= FEW:
        return []
    return [f"These figures rest on {phrases.count(n, 'picture')} only: small differences cannot be seen."]


def _term(name: str, metrics: Mapping[str, Metric]) -> str:
    return heading(name, metrics[f"{name}_a"])[0]


def _names(metrics: Mapping[str, Metric]) -> list[str]:
    return [name.removesuffix("_a") for name in metrics if name.endswith("_a")]
