"""What a change of a detector or a segmenter cost and gained, on the same pictures, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from photovision.core.report import Finding, Metric, Table
from photovision.deploy.evaluation import FIGURES
from photovision.engine.evaluation import Evaluation
from photovision.engine.optimize.profile import Profile

_NOTE = (
    "Changes are of the same pictures, paired (bootstrap over pictures). Times are of decoded pictures with all cores,"
    " without what is done with the outputs, measured in turn. Memory is the peak of a process that does nothing else,"
    " libraries included."
)


@dataclass(frozen=True, eq=False)
class RegionOptimizeStep:
    """A model before or after.

    Attributes:
        name: "original", or the method.
        held: its answers on the pictures that judge.
        profile: what it needs.
    """

    name: str
    held: Evaluation
    profile: Profile


def losses(first: RegionOptimizeStep, last: RegionOptimizeStep, max_drop: float) -> Finding:
    """Hold a changed model against the original.

    Returns:
        metrics of the changed one: its figures, each with its "..._change" (points), "speedup", sizes, latencies,
        throughput, memory; a table of both; `data` under "stages".
    """
    gains = first.held.gains(last.held).figures
    rows = [_row(stage, tuple(gains)) for stage in (first, last)]
    metrics = {name: value for name, value in rows[1].items() if isinstance(value, Metric)}
    metrics |= {f"{name}_change": gain for name, gain in gains.items()}
    speed = last.profile.throughput.value / first.profile.throughput.value
    metrics["speedup"] = Metric(speed, unit="times")
    cells = tuple((name.replace("_", " "), rows[0][name], rows[1][name], gains.get(name)) for name in rows[0])
    return Finding(
        summary=_summary(first, last, gains, speed, max_drop),
        metrics=metrics,
        tables=[Table("Before and after", ("figure", first.name, last.name, "change"), cells, _NOTE)],
        warnings=["It is not faster than the original on this machine."] if speed < 1 else [],
        data={"stages": [_json(stage.name, row) for stage, row in zip((first, last), rows, strict=True)]},
    )


def _summary(
    first: RegionOptimizeStep, last: RegionOptimizeStep, gains: dict[str, Metric], speed: float, max_drop: float
) -> tuple[str, ...]:
    name, change = next(iter(gains.items()))
    low, high = 100 * (change.low or 0), 100 * (change.high or 0)
    needed, shown = last.profile, round(100 * change.value, 1) + 0.0  # no minus before nothing
    return (
        f"{last.name}: {speed:.1f} times as many pictures a second as the original ({needed.throughput.value:,.0f}),"
        f" and {needed.graph.value:.1f} MB instead of {first.profile.graph.value:.1f}.",
        f"On {len(last.held.samples):,} test pictures, which chose nothing, {shown:+.1f} points of"
        f" {FIGURES[name]} (95 % interval {low:+.1f} to {high:+.1f}); {100 * max_drop:g} may be lost.",
        "Confidence and thresholds were learned anew for the new graph.",
    )


def _row(stage: RegionOptimizeStep, figures: tuple[str, ...]) -> dict[str, Metric | str | None]:
    needed, found = stage.profile, stage.held.metrics()
    return {
        **{name: found[name] for name in figures},
        "graph_size": needed.graph,
        "bundle_size": needed.bundle,
        "latency_p50": needed.p50,
        "latency_p99": needed.p99,
        "throughput": needed.throughput,
        "peak_memory": needed.memory,
        "arithmetic": needed.precision,
    }


def _json(name: str, row: dict[str, Metric | str | None]) -> dict[str, Any]:
    return {"name": name, **{key: one.to_json() if isinstance(one, Metric) else one for key, one in row.items()}}
