"""Fewer bits: int8 with ranges calibrated on the user's own images, and bf16, for the graph of any task.

The settings of int8 are tried from the fastest to the most careful one, until the leading metric on validation images
holds and, where a task can tell and that costs no speed, hardly any prediction has changed: on few images a small loss
is chance, but every changed prediction is a risk.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photovision.core.errors import ExportError, UsageError
from photovision.core.types import Image
from photovision.engine.evaluation import Evaluation
from photovision.engine.export import batched
from photovision.engine.graph_inputs import graph_inputs
from photovision.engine.optimize.cost_report import agreement, gains
from photovision.engine.optimize.quantize_graph import (
    QuantizeSetting,
    compressor,
    different_settings,
    quantize_graph,
)
from photovision.engine.optimize.step import OptimizeRun
from photovision.engine.parity import GraphParity
from photovision.runtime.session import Engine, Precision, open_session

CALIBRATING = 300
"""Training images that ranges are learned from, NNCF's own number."""
_COMPARED = 64
_HEAVY = ("model.onnx", "model.safetensors")


@dataclass(frozen=True, eq=False)
class _Tried:
    setting: QuantizeSetting
    graph: Path
    changes: dict[str, Any]
    drop: float
    changed: float | None

    def within(self, max_drop: float) -> bool:
        return self.drop <= max_drop + 1e-9

    @property
    def cost(self) -> float:
        """What is to be small: the share of changed predictions, else what is lost."""
        return self.drop if self.changed is None else self.changed

    @property
    def told(self) -> str:
        changed = "" if self.changed is None else f", {100 * self.changed:.1f}% of the predictions changed"
        return f"int8, setting '{self.setting.name}': {100 * self.drop:.1f} points lost on validation{changed}"


def int8(run: OptimizeRun) -> Path:
    """Quantise a model to 8 bits; its torch weights, which are not those of the new graph, stay behind.

    Raises:
        MissingExtra: nncf is not installed.
        UsageError: the model has 8 bits already.
        DataError: no training image could be read.
        ExportError: the graph cannot be quantised, or OpenVINO and ONNX Runtime do not agree on it.
    """
    if run.model.info.get("quantized"):
        raise UsageError("this model has 8 bits already: optimise the model that it was made from")
    nncf = compressor()
    images = graph_inputs(run.model, run.training, CALIBRATING)
    before = _evaluated(run, run.model)
    began, tried, refused = time.monotonic(), list[_Tried](), list[ExportError]()
    for done, setting in enumerate(different_settings(run.model.bundle.graph)):
        if done and (time.monotonic() - began) * (1 + 1 / done) > run.minutes * 60:
            break
        if "depthwise" in setting.spared and any(one.within(run.max_drop) for one in tried):
            break  # it costs speed, so it is for where accuracy demands it
        run.say(f"int8, setting '{setting.name}': ranges of {len(images)} pictures")
        try:
            tried.append(_try(nncf, run, setting, images, before))
        except ExportError as error:
            refused.append(error)
            continue
        if tried[-1].within(run.max_drop) and (tried[-1].changed or 0.0) <= 2 * run.max_drop + 1e-9:
            break
        run.say(tried[-1].told)
    if not tried:
        raise refused[-1]
    # The first of equal ones, which is the faster one.
    best = min(tried, key=lambda one: (not one.within(run.max_drop), one.cost))
    return run.write_copy(best.graph, best.changes, weights=False)


def bf16(run: OptimizeRun) -> Path:
    """Let a model compute in bf16 on every processor that can, whatever its first parity check found.

    The graph stays as it is. Processors without bf16 compute in float32. What that loses is measured by the caller.
    """
    graph, images = run.model.bundle.graph, graph_inputs(run.model, run.validation, _COMPARED)
    exact, fast = (_outputs(run, graph, images, precision=precision) for precision in ("f32", "bf16"))
    found: GraphParity = run.row.part("parity")(run.model, exact, fast)
    return run.write_copy(graph, {"parity": _parity(found, images, "bf16")}, weights=True)


def _try(nncf: Any, run: OptimizeRun, setting: QuantizeSetting, images: Image, before: Evaluation) -> _Tried:
    graph = run.work / f"int8-{setting.name}" / "model.onnx"
    found = quantize_graph(nncf, run.model.bundle.graph, images, setting, graph)
    # What is left in float of a classifier is little, and in f32 its predictions are the same on every machine; what is
    # left of other networks is much, and may be in bf16 where the original may: else bf16 alone were faster.
    precision = "f32" if found.last else run.model.bundle.precision
    parity = _engines(run, graph, precision)
    _beside(run.model.bundle.path, graph.parent)
    after = _evaluated(run, run.opened(graph.parent, {"parity": {"precision": precision}}))
    drop, same = -next(iter(gains(before, after).values())).value, agreement(run.row, before, after)
    if same is not None:
        parity["agreement"] = same.value
    changes = {"parity": parity, "quantized": {**vars(setting), "pictures": len(images)}}
    return _Tried(setting, graph, changes, drop, None if same is None else 1 - same.value)


def _engines(run: OptimizeRun, graph: Path, precision: str | None) -> dict[str, Any]:
    """How closely both engines agree on real images; raises ExportError where they do not."""
    images = graph_inputs(run.model, run.validation, _COMPARED)
    first, second = (_outputs(run, graph, images, engine=engine) for engine in ("openvino", "onnxruntime"))
    found: GraphParity = run.row.part("parity")(run.model, first, second, quantized=True)
    if not found.enough:
        raise ExportError(
            f"OpenVINO and ONNX Runtime agree on only {100 * found.agreement:.1f}% of {found.of} on"
            f" {len(images):,} pictures in 8 bits: leave out --int8"
        )
    return {**_parity(found, images, precision), "engines_agree": found.agreement}


def _outputs(
    run: OptimizeRun, graph: Path, images: Image, *, engine: Engine = "auto", precision: Precision = "f32"
) -> list[Any]:
    return batched(open_session(graph, engine=engine, precision=precision, outputs=run.row.outputs).run, images)


def _parity(found: GraphParity, images: Image, precision: str | None) -> dict[str, Any]:
    return {
        "pictures": len(images),
        "max_abs_prob_difference": found.difference,
        "agreement": found.agreement,
        "precision": precision,
        "tolerance": None,
    }


def _evaluated(run: OptimizeRun, model: Any) -> Evaluation:
    evaluation: Evaluation = run.row.part("evaluate")(model, run.validation)
    return evaluation


def _beside(source: Path, folder: Path) -> None:
    """Put what else a model reads beside a graph that is tried."""
    for file in source.iterdir():
        if file.is_file() and file.name not in _HEAVY:
            shutil.copy2(file, folder / file.name)
