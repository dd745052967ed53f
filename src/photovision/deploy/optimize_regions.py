"""Optimise a detector or a segmenter: fewer bits, with what that loses measured, or nothing.

The rule is that of classifiers: the loss, of mean average precision or mean IoU, may not be above what is allowed,
first on the validation pictures, which choose the setting, then on the test pictures, which choose nothing. Confidence
and thresholds are learned anew from what the changed graph says of the validation pictures.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, ExportError, UnreadableImage, UsageError
from photovision.core.folder import reserved
from photovision.core.output import check_folder
from photovision.core.report import Finding, Metric, Report
from photovision.core.system import provenance
from photovision.core.types import Image
from photovision.core.window import Window
from photovision.data.dataset import Dataset
from photovision.deploy.confidence import learned_anew
from photovision.deploy.cost_report_regions import RegionOptimizeStep, losses
from photovision.deploy.evaluation import FIGURES, Places, hold, need_regions, proof
from photovision.deploy.quantize import QuantizeSetting, compressor, quantize_graph
from photovision.deploy.write_regions import write_changed
from photovision.engine.evaluation import Evaluation
from photovision.engine.export import batched
from photovision.engine.optimize.profile import profile
from photovision.engine.parity import GraphParity, Outputs
from photovision.engine.splits import TrainingSplits
from photovision.runtime.bundle import Bundle
from photovision.runtime.session import open_session
from photovision.tasks.segment.segmenter import Segmenter

METHODS = ("int8", "bf16")
LEAST = 10
"""Validation and test pictures below which no loss can be told; each holds many boxes or pixels."""
CALIBRATING = 200
"""Training pictures that ranges are learned from."""
SETTINGS = (
    QuantizeSetting("plain", "mixed", True, ("ends",)),
    QuantizeSetting("careful", "mixed", True, ("ends", "first", "squeeze")),
    QuantizeSetting("corrected", "mixed", False, ("ends", "first", "squeeze")),
    QuantizeSetting("backbone", "mixed", False, ("ends", "first", "squeeze", "normed")),
    QuantizeSetting("spared", "mixed", False, ("ends", "first", "squeeze", "normed", "depthwise")),
)
"""From the fastest to the most careful."""
_COMPARED = 32
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class _Step:
    """A method's result: the changed graph, what the bundle says of it, and whether the weights for torch are still its
    own."""

    graph: Path
    changes: dict[str, Any]
    weights: bool


def optimize_regions(
    model: Places,
    material: TrainingSplits,
    output: str | Path,
    methods: Collection[str],
    *,
    max_drop: float = 0.005,
    minutes: float = 10.0,
    say: Say = lambda line: None,
) -> Report:
    """Make a detector or a segmenter smaller and faster, and write it with its proof, or refuse.

    Args:
        model: the original.
        material: labelled pictures: train calibrates, val chooses and teaches confidence, test judges once.
        output: folder of the new bundle; a model already there is replaced, whole.
        methods: one of METHODS.
        max_drop: how much mean average precision, or mean IoU, may be lost, 0.005 for half a point.
        minutes: wall time after which no more careful setting is tried.
        say: called with lines that tell what is going on.

    Returns:
        A report of kind "optimize", which is in the bundle, too; metrics: "map" and "map50" (or "miou" and "dice") with
        their "..._change" (points, paired), speed, sizes, latencies and memory.

    Raises:
        ExportError: the model loses more than allowed; nothing is written.
        DataError: too few pictures.
        UsageError: a method that such models do not have, none or both, or `output` is the model's own folder.
    """
    target, method = Path(output), check_method(model, methods)
    check_folder(target, "model", [model.bundle.path])
    need_regions(material.dataset, model)
    for part, pictures in (("validation", material.val), ("test", material.test)):
        if len(pictures) < LEAST:
            raise DataError(
                f"a loss cannot be measured on {len(pictures)} {part} pictures, at least {LEAST} are needed: add more"
            )
    own = reserved(target, "model", [model.bundle.path])
    with own, tempfile.TemporaryDirectory(prefix="photovision-") as scratch:
        step = _steps(method)(model, material, Path(scratch), max_drop, minutes, say)
        say("learning confidence anew")
        changed = type(model)(Bundle(Path(scratch) / "made", {**model.info, **step.changes}))
        write_changed(model.bundle, step.graph, changed.bundle.info, changed.bundle.path, weights=step.weights)
        changed = learned_anew(changed, material.val)
        say("judging on test")
        before, after = hold(model, material.test), hold(changed, material.test)
        _refuse(method, before, after, max_drop, "test")
        profiles = profile([one.bundle for one in (model, changed)])
        stages = RegionOptimizeStep("original", before, profiles[0]), RegionOptimizeStep(method, after, profiles[1])
        report = _report(method, losses(*stages, max_drop), proof(changed, material), material, max_drop)
        _finish(changed, model, report, material, target)
    return report


def check_method(model: Places, methods: Collection[str]) -> str:
    """The one method that is asked for; raises UsageError where such models do not have it."""
    kind = model.bundle.row.text.noun
    for name in methods:
        if name not in METHODS:
            flag = "--distill-to" if name == "distill" else f"--{name}"
            raise UsageError(f"{flag} is for classifiers; a {kind} is made faster by --int8 or --bf16")
    if len(set(methods)) != 1:
        raise UsageError(f"ask for one of --int8 and --bf16 for a {kind}, got {' and '.join(methods) or 'none'}")
    if model.info.get("quantized"):
        raise UsageError(f"this {kind} has 8 bits already: optimise the model that it was made from")
    return next(iter(methods))


def _steps(method: str) -> Callable[[Places, TrainingSplits, Path, float, float, Say], _Step]:
    return {"int8": _int8, "bf16": _bf16}[method]


def _bf16(model: Places, material: TrainingSplits, scratch: Path, max_drop: float, minutes: float, say: Say) -> _Step:
    """The graph as it is, computed in bf16 where the processor can, whatever the first parity check said."""
    changes = {"parity": {**(model.info.get("parity") or {}), "precision": "bf16"}}
    after = type(model)(Bundle(model.bundle.path, {**model.info, **changes}), precision="bf16")
    _refuse("bf16", hold(model, material.val), hold(after, material.val), max_drop, "validation")
    return _Step(model.bundle.graph, changes, True)


def _int8(model: Places, material: TrainingSplits, scratch: Path, max_drop: float, minutes: float, say: Say) -> _Step:
    """The fastest setting that loses little enough on validation, else the one that loses least."""
    nncf = compressor()
    images, shown = pictures_of(model, material.train, CALIBRATING), pictures_of(model, material.val, _COMPARED)
    before, began = hold(model, material.val), time.monotonic()
    tried, refused = list[tuple[float, Evaluation, _Step]](), list[ExportError]()
    for done, setting in enumerate(SETTINGS):
        if done and (time.monotonic() - began) * (1 + 1 / done) > 60 * minutes:
            break
        say(f"int8, setting '{setting.name}': ranges of {len(images)} pictures")
        graph = scratch / setting.name / "model.onnx"
        try:
            quantize_graph(nncf, model.bundle.graph, images, setting, graph)
            agree = _engines(model, graph, shown)
        except ExportError as error:
            refused.append(error)
            continue
        # What is left in float is much here, and may be in bf16 where the original may: else bf16 alone were faster.
        parity = {"precision": model.bundle.precision, "pictures": len(shown), "engines_agree": agree}
        changes = {"parity": parity, "quantized": {**vars(setting), "pictures": len(images)}}
        after = hold(type(model)(Bundle(graph.parent, {**model.info, **changes})), material.val)
        lost = -_lead(before.gains(after).figures).value
        tried.append((lost, after, _Step(graph, changes, False)))
        say(f"int8, setting '{setting.name}': {100 * lost:.1f} points lost on validation")
        if lost <= max_drop + 1e-9:
            break
    if not tried:
        raise refused[-1]
    _, after, step = min(tried, key=lambda one: one[0])
    _refuse("int8", before, after, max_drop, "validation")
    return step


def _engines(model: Places, graph: Path, images: Image) -> float:
    """The share of boxes, or places, that OpenVINO and ONNX Runtime agree on; their integer arithmetic differs.

    Raises:
        ExportError: it is too small.
    """
    said: list[list[Outputs]] = []
    for engine in ("openvino", "onnxruntime"):
        session = open_session(graph, engine=engine, precision="f32", outputs=model.bundle.row.outputs)
        said.append(batched(session.run, images))
    alike: GraphParity = model.bundle.row.part("parity")(model, *said, quantized=True)
    if not alike.enough:
        raise ExportError(
            f"OpenVINO and ONNX Runtime agree on only {100 * alike.agreement:.1f} % of {alike.of} in 8 bits: leave out"
            " --int8"
        )
    return alike.agreement


def pictures_of(model: Places, dataset: Dataset, most: int) -> Image:
    """Evenly spread pictures as the network sees them, uint8 (N, H, W, 3); unreadable ones are left out.

    Of a model that looks through windows, the middle window of each.
    """
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(most, len(dataset))).astype(int))
    images = []
    for sample in dataset.subset(rows).samples:
        with contextlib.suppress(UnreadableImage):
            whole = model.preprocess.decode(sample.image)
            images.append(model.preprocess.resize(whole, _middle(model, whole.width, whole.height)))
    if not images:
        raise DataError("none of the pictures could be read: check the files")
    return np.stack(images)


def _middle(model: Places, width: int, height: int) -> Window:
    tile = model.tile if isinstance(model, Segmenter) else None
    if tile is None:
        return model.preprocess.window(width, height)
    wide, high = min(tile[1], width), min(tile[0], height)
    left, top = (width - wide) // 2, (height - high) // 2
    return float(left), float(top), float(left + wide), float(top + high)


def _lead(gains: dict[str, Metric]) -> Metric:
    return next(iter(gains.values()))


def _refuse(method: str, before: Evaluation, after: Evaluation, max_drop: float, which: str) -> None:
    gains = before.gains(after).figures
    name, change = next(iter(gains.items()))
    if -change.value <= max_drop + 1e-9:
        return
    raise ExportError(
        f"{method} would lose {-100 * change.value:.1f} points of {FIGURES[name]} on {len(before.samples):,} {which}"
        f" pictures (95 % interval {-100 * (change.high or 0):.1f} to {-100 * (change.low or 0):.1f}), more than the"
        f" {100 * max_drop:g} allowed: allow more with --max-drop; nothing was written"
    )


def _report(method: str, losses_: Finding, proved: Report, material: TrainingSplits, max_drop: float) -> Report:
    evaluation = {name: metric.to_json() for name, metric in proved.metrics.items()}
    # The proof's leading figures are among the losses already.
    rest = Finding((), {}, proved.tables, proved.figures, proved.warnings, {"evaluation": evaluation})
    report = Report(
        kind="optimize",
        title=f"Smaller and faster: {method}",
        provenance={
            "data": {"fingerprint": material.dataset.fingerprint, "pictures": len(material.dataset)},
            "split": list(material.splits.notes),
            **provenance(),
        },
        data={"methods": [method], "max_drop": max_drop},
    )
    return report.including(losses_, rest)


def _finish(changed: Places, model: Places, report: Report, material: TrainingSplits, target: Path) -> None:
    document = report.to_json()
    before: Sequence[str] = (model.info.get("optimized") or {}).get("methods", ())
    info = {
        **changed.info,
        "metrics": document["evaluation"],
        "warnings": [*(changed.info.get("warnings") or ()), *report.warnings],
        "optimized": {
            "methods": [*before, *document["methods"]],
            "max_drop": document["max_drop"],
            "data": document["provenance"]["data"],
            "stages": document["stages"],
        },
    }
    weights = (changed.bundle.path / "model.safetensors").is_file()
    write_changed(changed.bundle, changed.bundle.graph, info, target, weights=weights, report=report, material=material)
