"""What becomes of the stages: the best one exported, compared, and ready to be written as a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from photovision.core.drawing import percent
from photovision.core.errors import ExportError
from photovision.core.report import Metric, Report
from photovision.core.types import Floats, Image
from photovision.engine.latency import milliseconds
from photovision.engine.learned import Learned
from photovision.engine.remember import remember_references
from photovision.engine.stage import StageResult
from photovision.models.export import export_graph
from photovision.runtime.bundle import Bundle
from photovision.runtime.session import Precision, fastest_precision, open_session
from photovision.tasks.classify.export_bundle import parity_pictures, write_network
from photovision.tasks.classify.report_text import training_report
from photovision.tasks.embed.model import EmbeddingModel
from photovision.tasks.embed.objective import EmbeddingGraph
from photovision.tasks.embed.parity import CLOSE, TOLERANCE, distances, same
from photovision.tasks.embed.stages import FROZEN, EmbeddingStage, MetricRun

_COMPARED, _FEW_COMPARED = 64, 12
_BATCH = 32


def learned_from(lesson: MetricRun, stages: Sequence[EmbeddingStage]) -> Learned:
    """The stage with the best recall@1 on val, the earlier one of equal ones, with what the others find on test.

    Args:
        lesson: the pictures.
        stages: all that were learned.
    """
    run, splits = lesson.run, lesson.run.splits
    chosen = max(stages, key=lambda stage: stage.result.val.value)
    results = [stage.result if stage is chosen else _on_test(lesson, stage) for stage in stages]
    source, names = chosen.source, splits.dataset.classes

    def export(folder: Path) -> dict[str, Any]:
        write_network(chosen.network, source, names, folder)
        graph = EmbeddingGraph(chosen.network, source.preprocess)
        export_graph(graph, source.preprocess.size, ("embedding",), folder / "model.onnx")
        pictures = parity_pictures(splits.val, source, _FEW_COMPARED if run.short else _COMPARED)
        return compare_graph(graph, folder / "model.onnx", pictures)

    def complete(bundle: Bundle) -> dict[str, Any]:
        model = EmbeddingModel(bundle)
        remember_references(model, lesson.train, bundle.path, run.config.seed)
        taken = milliseconds(model)  # all stages have the same graph, with other weights
        return {"rungs": [{**result.to_json(), "ms_per_picture": taken} for result in results]}

    backbone, ledger = source.describe(), source.ledger()
    return Learned(
        names, source.preprocess, backbone, ledger, results, chosen.result.name, export, {}, complete, _report
    )


def _on_test(lesson: MetricRun, stage: EmbeddingStage) -> StageResult:
    """The result of a stage with its figure on test; the chosen one is evaluated through its graph, later."""
    test = lesson.run.splits.test
    if not len(test):
        return stage.result
    return replace(stage.result, test=lesson.recall(stage.embed(test, "test"), test, stage.gallery))


@torch.no_grad()
def compare_graph(graph: EmbeddingGraph, path: Path, images: Image) -> dict[str, Any]:
    """A graph beside its network on uint8 images (N, H, W, 3), as `parity` of bundle.json.

    Raises:
        ExportError: an embedding of the float32 graph is further off than rounding explains.
    """
    graph.eval()
    expected = np.concatenate([graph(torch.from_numpy(part)).numpy() for part in _parts(images)])
    apart = distances(expected, _embedded(path, "f32", images))
    difference, precision = float(apart.max()), None
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the exported graph does not embed like the network: a cosine differs by {difference:.2g}, more than"
            f" {TOLERANCE} on {len(images)} pictures; choose another backbone and report this"
        )
    reduced: Precision = fastest_precision()
    if reduced != "f32":
        quick = distances(expected, _embedded(path, reduced, images))
        apart, precision = (quick, None) if same(quick) else (apart, "f32")
    return {
        "pictures": len(images),
        "max_abs_prob_difference": difference,
        "agreement": float((apart <= CLOSE).mean()),
        "precision": precision,
        "tolerance": TOLERANCE,
        "measured": "cosines",
    }


def _embedded(path: Path, precision: Precision, images: Image) -> Floats:
    session = open_session(path, precision=precision)
    return np.concatenate([session.run(part)["embedding"].astype(np.float32) for part in _parts(images)])


def _parts(images: Image) -> list[Image]:
    return [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]


def _report(info: Mapping[str, Any], proof: Report) -> Report:
    """The evaluation on test, and how the network was reached."""
    report, rungs = training_report(info, proof), {stage["name"]: stage for stage in info["rungs"]}
    before, after = rungs.get(FROZEN), rungs[info["chosen"]]
    if before is None or before is after or not before.get("test") or not after.get("test"):
        return report
    low, high = Metric.from_json(before["test"]), Metric.from_json(after["test"])
    gain = (
        f"Recall@1 is {percent(high.value)} with metric learning ({after['name']}) and {percent(low.value)} with the"
        " pretrained features as they are, on test pictures."
    )
    return replace(report, summary=(*report.summary[:1], gain, *report.summary[1:]))
