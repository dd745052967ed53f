"""The end of an optimisation: its report, the bundle that it leaves, and the work folder until then."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from photovision.core.drawing import percent
from photovision.core.errors import ExportError
from photovision.core.files import write_json
from photovision.core.report import Assessment, Finding, Report
from photovision.core.system import provenance
from photovision.engine.bundle_writer import changed_bundle
from photovision.engine.evaluate import evaluation_report
from photovision.engine.optimize.cost_report import OptimizeStep, cost_report, gains
from photovision.engine.optimize.step import learned_out_of_fold
from photovision.engine.splits import TrainingSplits
from photovision.runtime.training_images import read_training_images, write_training_images

FITTED_AGAIN = "Calibration, thresholds and the like were fitted again for the new graph."
TAKEN_OVER = (
    "Calibration, prediction sets and the like were taken over from the original: it learned from val, too, so they"
    " could not be fitted to val again."
)


def optimize_report(
    original: Any, model: Any, steps: Sequence[OptimizeStep], splits: TrainingSplits, max_drop: float
) -> Report:
    """The report of an optimisation.

    Args:
        original: the model that was changed.
        model: the last one.
        steps: from the original to the last one, evaluated on test.
        splits: the images.
        max_drop: what could be lost.
    """
    row, names = model.bundle.row, [step.name for step in steps[1:]]
    costs = cost_report(row, steps)
    base = Report(
        kind="optimize",
        title=f"{original.bundle.name}, smaller and faster: {', '.join(names)}",
        summary=(*_summary(row.lead, steps, costs, max_drop), limits_text(original, splits)),
        provenance={
            "data": {"fingerprint": splits.dataset.fingerprint, "pictures": len(splits.dataset)},
            "split": list(splits.splits.notes),
            **provenance(),
        },
        data={"methods": names, "max_drop": max_drop},
    )
    found = evaluation_report(model, steps[-1].evaluation, splits.test, splits.leaked.tolist())
    proof = Finding(
        (),
        found.metrics,
        found.tables,
        found.figures,
        found.warnings,
        {"evaluation": {name: metric.to_json() for name, metric in found.metrics.items()}},
    )
    return replace(base.including(costs, proof), assessment=_assessment(row.lead, steps, costs, max_drop))


def limits_text(original: Any, splits: TrainingSplits) -> str:
    """Whether what is known of the model's limits was fitted again, or taken over from the original."""
    return TAKEN_OVER if learned_out_of_fold(original, splits) else FITTED_AGAIN


def _assessment(leads: Mapping[str, str], steps: Sequence[OptimizeStep], costs: Finding, max_drop: float) -> Assessment:
    """Whether it was worth it: what was lost is within bounds, or nothing would have been written."""
    name, change = next(iter(gains(steps[0].evaluation, steps[-1].evaluation).items()))
    speed = costs.metrics["speedup"].value
    points, lead = round(100 * change.value, 1), leads.get(name, name)
    price = f"for {points:+.1f} points of {lead}" if points else f"with the same {lead}"
    text = f"{speed:.1f} times the speed of the original, {price}; {100 * max_drop:g} points may be lost."
    if speed < 1:
        return Assessment("care", "Smaller, but not faster on this machine", text)
    return Assessment("good", "Faster, and as good within the bounds", text)


def _summary(
    leads: Mapping[str, str], steps: Sequence[OptimizeStep], costs: Finding, max_drop: float
) -> tuple[str, ...]:
    first, last = steps[0], steps[-1]
    name, change = next(iter(gains(first.evaluation, last.evaluation).items()))
    low, high = 100 * (change.low or 0), 100 * (change.high or 0)
    shown = round(100 * change.value, 1) + 0.0  # no minus before nothing
    same = costs.metrics.get("agreement")
    agreed = "" if same is None else f" The same prediction as the original: {percent(same.value)}."
    return (
        f"{', then '.join(step.name for step in steps[1:])}: {costs.metrics['speedup'].value:.1f} times as many"
        f" pictures a second as the original ({last.profile.throughput.value:,.0f}), and"
        f" {last.profile.graph.value:.1f} MB instead of {first.profile.graph.value:.1f}.",
        f"On {len(last.evaluation.samples):,} test pictures, which chose nothing, {shown:+.1f} points of"
        f" {leads.get(name, name)} (95% interval {low:+.1f} to {high:+.1f}); {100 * max_drop:g} may be lost.{agreed}",
    )


def write_optimized(model: Any, report: Report, splits: TrainingSplits, target: Path) -> None:
    """Put the last model into its place, with the figures of this optimisation instead of the original's."""
    document, before = report.to_json(), model.info.get("optimized") or {}
    with changed_bundle(model.bundle, target) as draft:
        draft.info |= {
            "metrics": document["evaluation"],
            "warnings": [*(model.info.get("warnings") or ()), *report.warnings],
            "optimized": {
                "methods": [*before.get("methods", ()), *document["methods"]],
                "max_drop": document["max_drop"],
                "data": document["provenance"]["data"],
                "stages": document["stages"],
            },
        }
        _remember(draft.folder, draft.info, splits)
        draft.report = report


def _remember(folder: Path, info: Mapping[str, Any], splits: TrainingSplits) -> None:
    """Add images that are not those of the model's training to its record, where it has one."""
    record = read_training_images(folder)
    own = (info.get("data") or {}).get("fingerprint") == splits.dataset.fingerprint
    if record is not None and splits.record is not None and not own:
        write_training_images(record.joined(splits.record), folder)


def work_key(
    model: Any, splits: TrainingSplits, names: Sequence[str], max_drop: float, backbone: str | None
) -> dict[str, Any]:
    """By what unfinished work is recognised: the graph, the data and the choices."""
    return {
        "graph": hashlib.sha256(model.bundle.graph.read_bytes()).hexdigest(),
        "data": splits.dataset.fingerprint,
        "methods": list(names),
        "max_drop": max_drop,
        "backbone": backbone,
    }


@contextmanager
def unfinished(work: Path, key: dict[str, Any]) -> Iterator[Path]:
    """A folder that outlives an interruption or a full disk, and serves the same command only."""
    note = work / "key.json"
    if not note.is_file() or json.loads(note.read_text(encoding="utf-8")) != key:
        shutil.rmtree(work, ignore_errors=True)
        write_json(note, key)
    try:
        yield work
    except ExportError:  # refused; after anything else, such as a full disk, what is done is used again
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)
