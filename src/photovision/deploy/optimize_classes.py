"""Optimise a classifier: smaller and faster, step by step, with what every step loses measured.

The rule: no step may bring the loss of accuracy, on the validation pictures, above what is allowed, and in the end the
whole chain is judged once on the test pictures, where it may not lose more either. Both go by the plain paired
difference, for a user who allows half a point means what is seen; the interval is told beside it. Test pictures choose
nothing: they can only refuse.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from photovision.core.drawing import percent
from photovision.core.errors import DataError, ExportError, UsageError
from photovision.core.files import beside, write_json
from photovision.core.folder import new_folder, reserved
from photovision.core.output import check_folder
from photovision.core.page import write_report
from photovision.core.registry import Registry
from photovision.core.report import Finding, Report
from photovision.core.seal import write_sealed
from photovision.core.system import provenance
from photovision.data.dataset import Dataset
from photovision.deploy.cost_report import OptimizeStep, gain, losses
from photovision.deploy.kept import keep_more
from photovision.engine.evaluate import evaluation_report
from photovision.engine.model_card import model_card
from photovision.engine.optimize.profile import profile
from photovision.engine.splits import TrainingSplits
from photovision.tasks.classify.evaluation import ClassifyEvaluation, evaluate
from photovision.tasks.classify.fit_novelty import remember_unseen
from photovision.tasks.classify.recognizer import Recognizer, load

LEAST = 20
"""Validation and test pictures below which no loss can be told."""


@dataclass(frozen=True, eq=False)
class OptimizeRun:
    """One step: the model to make smaller, the pictures to do it with, and where the new bundle goes.

    Attributes:
        model: the bundle to make smaller.
        training: labelled pictures to calibrate and to fine-tune with.
        validation: labelled pictures that choose settings and learn confidence; never those that judge at the end.
            Both data sets have the model's classes, in its order.
        folder: where to write the new bundle, through `core.folder.new_folder`.
        work: folder for unfinished work; it exists.
        minutes: wall time that the step may take.
        backbone: architecture of the smaller network, for methods that need one.
        say: called with a line that tells what is going on.
        max_drop: share of the validation pictures that may be lost, for methods that can try something more careful.
    """

    model: Recognizer
    training: Dataset
    validation: Dataset
    folder: Path
    work: Path
    minutes: float
    backbone: str | None
    say: Callable[[str], None]
    max_drop: float = 0.005


METHODS = Registry(
    "method",
    {
        "distill": "photovision.deploy.distill:distill",
        "prune": "photovision.deploy.prune:prune",
        "int8": "photovision.deploy.quantize:int8",
        "bf16": "photovision.deploy.quantize:bf16",
    },
    "photovision.methods",
)
"""Every method is a function (job: Job) -> Path that writes one new bundle and returns its folder; they are applied in
this order."""


def optimize_classes(
    model: Recognizer,
    material: TrainingSplits,
    output: str | Path,
    methods: Collection[str],
    *,
    max_drop: float = 0.005,
    minutes: float = 10.0,
    backbone: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Apply methods one after the other, and write the last model with its proof, or refuse.

    Args:
        model: the original.
        material: of `aligned`: train calibrates and fine-tunes, val chooses, test judges once.
        output: folder of the new bundle; a model already there is replaced, whole.
        methods: names of METHODS, applied in the order of that table.
        max_drop: share of pictures that may be lost, 0.005 for half a point of accuracy.
        minutes: wall time for everything.
        backbone: architecture of the smaller network, for "distill".
        say: called with lines that tell what is going on.

    Returns:
        A report of kind "optimize", which is in the bundle, too: the metrics of `losses.losses`.

    Raises:
        ExportError: the model loses more than allowed; the message names the step to blame. Nothing is written.
        DataError: too few pictures.
        UsageError: no method, or `output` is the model's own folder.
    """
    target, names = Path(output), [name for name in METHODS.names() if name in set(methods)]
    _check(model, material, target, names, methods)
    key = _key(model, material, names, max_drop, backbone)
    deadline = time.monotonic() + 60 * minutes
    with reserved(target, "model", [model.bundle.path]) as place, _unfinished(beside(place, "optimize"), key) as work:
        made, held = [model], [evaluate(model, material.val)]
        for number, name in enumerate(names):
            lost = -gain(held[0], held[-1]).value
            left = max(0.0, (deadline - time.monotonic()) / 60) / (len(names) - number)
            job = OptimizeRun(made[-1], material.train, material.val, work / f"{number}-{name}", work /
            f"{number}-{name}.work",
                      left, backbone, say, max_drop - max(0.0, lost))  # fmt: skip
            made.append(_step(name, job))
            held.append(evaluate(made[-1], material.val))
            _refuse(names, held, max_drop, "validation")
        say("judging on test")
        judged = [evaluate(one, material.test) for one in made]
        _refuse(names, judged, max_drop, "test")
        report = _report(made, judged, material, names, max_drop)
        _write(made, report, material, target)
    return report


def aligned(dataset: Dataset, model: Recognizer) -> Dataset:
    """The data with the model's classes, in its order; raises DataError where it has others."""
    unknown = sorted(set(dataset.classes) - set(model.classes))
    if unknown:
        raise DataError(f"the model does not know the class '{unknown[0]}': give pictures of its classes")
    return replace(dataset, classes=model.classes, multilabel=model.multilabel)


def _check(
    model: Recognizer, material: TrainingSplits, target: Path, names: Sequence[str], methods: Collection[str]
) -> None:
    check_methods(methods)
    check_folder(target, "model", [model.bundle.path])
    for part, pictures in (("validation", material.val), ("test", material.test)):
        if len(pictures) < LEAST:
            raise DataError(
                f"a loss cannot be measured on {len(pictures)} {part} pictures, at least {LEAST} are needed: add more"
            )


def check_methods(methods: Collection[str]) -> None:
    """Raise UsageError where a method does not exist, or none is asked for."""
    for name in methods:
        if name not in METHODS.names():
            METHODS.load(name)  # names the nearest ones
    if not methods:
        raise UsageError("nothing to do: ask for --int8, --bf16, --prune or --distill-to BACKBONE")


def _step(name: str, job: OptimizeRun) -> Recognizer:
    if not (job.folder / "bundle.json").is_file():  # else it was finished before an interruption
        job.work.mkdir(parents=True, exist_ok=True)
        METHODS.load(name)(job)
    return load(job.folder)


def _refuse(names: Sequence[str], answers: Sequence[ClassifyEvaluation], max_drop: float, which: str) -> None:
    """Raise ExportError where the last model lost too much, with the step that lost most."""
    whole = gain(answers[0], answers[-1])
    if -whole.value <= max_drop + 1e-9:
        return
    own = [-gain(before, after).value for before, after in itertools.pairwise(answers)]
    worst = names[own.index(max(own))]
    n = len(answers[-1].samples)
    several = f"; {worst} is to blame for {100 * max(own):.1f} of them" if len(own) > 1 else ""
    raise ExportError(
        f"{' and '.join(names[: len(own)])} would lose {-100 * whole.value:.1f} points of accuracy on {n:,} {which}"
        f" pictures (95 % interval {-100 * whole.high:.1f} to {-100 * whole.low:.1f}), more than the"
        f" {100 * max_drop:g} allowed{several}: leave {worst} out, or allow more with --max-drop; nothing was written"
    )


def _report(
    made: Sequence[Recognizer],
    judged: Sequence[ClassifyEvaluation],
    material: TrainingSplits,
    names: Sequence[str],
    max_drop: float,
) -> Report:
    profiles = profile([one.bundle for one in made])
    stages = [OptimizeStep(*parts) for parts in zip(("original", *names), judged, profiles, strict=True)]
    found = losses(stages)
    last, change = profiles[-1], found.metrics["accuracy_change"]
    n, speed = len(judged[-1].samples), found.metrics["speedup"].value
    summary = (
        f"{', then '.join(names)}: {speed:.1f} times as many pictures a second as the original"
        f" ({last.throughput.value:,.0f}), and {last.graph.value:.1f} MB instead of {profiles[0].graph.value:.1f}.",
        f"On {n:,} test pictures, which chose nothing, {100 * change.value:+.1f} points of accuracy"
        f" (95 % interval {100 * (change.low or 0):+.1f} to {100 * (change.high or 0):+.1f}); {100 * max_drop:g} may be"
        f" lost. The same answer as the original: {percent(found.metrics['agreement'].value)}.",
        "Temperature, prediction sets, gate and references were learned anew for the new graph.",
    )
    return Report(
        kind="optimize",
        title=f"Smaller and faster: {', '.join(names)}",
        summary=summary,
        provenance={
            "data": {"fingerprint": material.dataset.fingerprint, "pictures": len(material.dataset)},
            "split": list(material.splits.notes),
            **provenance(),
        },
        warnings=["It is not faster than the original on this machine."] if speed < 1 else [],
        data={"methods": list(names), "max_drop": max_drop},
    ).including(found, _proof(made[-1], judged[-1], material))


def _proof(model: Recognizer, answers: ClassifyEvaluation, material: TrainingSplits) -> Finding:
    """The evaluation of the last model."""
    found = evaluation_report(model, answers, material.test, material.leaked.tolist())
    metrics = {name: metric.to_json() for name, metric in found.metrics.items()}
    parts = found.metrics, found.tables, found.figures, found.warnings
    return Finding((), *parts, data={"evaluation": metrics})


def _write(made: Sequence[Recognizer], report: Report, material: TrainingSplits, target: Path) -> None:
    """Put the last model into its place, with the figures of this optimisation instead of the original's."""
    last, document = made[-1], report.to_json()
    before = last.info.get("optimized") or {}
    info: dict[str, Any] = {
        **last.info,
        "metrics": document["evaluation"],
        "warnings": [*(last.info.get("warnings") or ()), *report.warnings],
        "optimized": {
            "methods": [*before.get("methods", ()), *document["methods"]],
            "max_drop": document["max_drop"],
            "data": document["provenance"]["data"],
            "stages": document["stages"],
        },
    }
    with new_folder(target, "model", [made[0].bundle.path]) as folder:
        shutil.copytree(last.bundle.path, folder, dirs_exist_ok=True)
        remember_unseen(last, material.unseen, folder, int((last.info.get("training") or {}).get("seed", 0)))
        keep_more(folder, info, material)
        write_json(folder / "bundle.json", info)
        write_report(report, folder)
        write_sealed(folder / "README.md", model_card(info, document))
        load(folder)  # refuses what it cannot read, before an older model is replaced


def _key(
    model: Recognizer, material: TrainingSplits, names: Sequence[str], max_drop: float, backbone: str | None
) -> dict[str, Any]:
    graph = hashlib.sha256(model.bundle.graph.read_bytes()).hexdigest()
    return {
        "graph": graph,
        "data": material.dataset.fingerprint,
        "methods": list(names),
        "max_drop": max_drop,
        "backbone": backbone,
    }


@contextmanager
def _unfinished(work: Path, key: dict[str, Any]) -> Iterator[Path]:
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
