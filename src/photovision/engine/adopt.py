"""adopt: somebody else's network as a model of ours, with what is known of it and what is not.

The meaning of its outputs is recognised, the preparation of its pictures found on labelled ones, and both become one
graph from pixels to predictions. Half of the labelled pictures fit what depends on them, the other half judges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from photovision.core.errors import ExportError, ModelError, UsageError
from photovision.core.folder import reserved
from photovision.core.progress import Listener, Progress, counted, silent
from photovision.core.report import Report
from photovision.core.task import Task
from photovision.core.types import Image
from photovision.data.dataset import Dataset
from photovision.data.read import Labels, Pictures, as_dataset
from photovision.engine import adopt_text
from photovision.engine.adopt_function import adopt_function, described, fit_limits
from photovision.engine.bundle_writer import BundleDraft, new_bundle
from photovision.engine.evaluate import evaluate_on
from photovision.engine.export import batched, generated
from photovision.engine.graph_inputs import graph_inputs
from photovision.engine.load import load
from photovision.engine.parity import GraphParity
from photovision.engine.recognise_layout import ForeignModel, Meaning, decide, halves
from photovision.engine.splits import TrainingSplits
from photovision.models.composed_graph import composed, write_composed
from photovision.models.foreign_source import foreign_source, read_classes
from photovision.models.preparation import StatedPreparation
from photovision.models.weights import LedgerEntry
from photovision.runtime.bundle_info import describe_model
from photovision.runtime.session import open_session
from photovision.runtime.similarity import NAME as SIMILARITY
from photovision.runtime.similarity import VERSION as SIMILARITY_VERSION

_COMPARED = 32  # pictures on which the graph is compared with the network that it was made from


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a model comes from.

    Attributes:
        licence: of its weights; "unknown" where nothing states it.
        seed: of all choices by chance.
    """

    licence: str
    seed: int


def adopt(
    source: str | Path | Callable[[Image], Any],
    output: str | Path | None = None,
    *,
    classes: str | Path | Sequence[str] | None = None,
    data: Dataset | str | Path | Pictures | None = None,
    labels: Labels | None = None,
    given: StatedPreparation | None = None,
    weights: str = "auto",
    layout: str | None = None,
    licence: str | None = None,
    seed: int = 0,
    listener: Listener = silent,
) -> Any:
    """Make a model of ours of somebody else's network.

    Args:
        source: an ONNX file, "timm:NAME", "torchvision:NAME", or "hf:FOLDER" of Hugging Face's transformers; or a
            function, see `engine.adopt_function.adopt_function`, whose model stays in memory.
        output: folder of the bundle; a model already there is replaced, whole. None for a function.
        classes: names in the order of the network's outputs, or a file with one a line; None takes those that the
            network states.
        data: labelled images, on which the preparation is found, and confidence fitted and judged; best such as the
            network never saw. Of a function they fit confidence where it returns scores of classes.
        labels: of `data`, where it does not bring them.
        given: what is known of the preparation.
        weights: of timm's and torchvision's networks: "auto" (those on this machine), "none" (random) or a file.
        layout: what the outputs mean, where that cannot be recognised, such as "yolov8".
        licence: of the network; None where it is not known.
        seed: of the halves.
        listener: called with the progress.

    Returns:
        The opened model.

    Raises:
        ModelError: the network cannot be read, or its outputs are of no kind that is known.
        UsageError: the preparation cannot be found; the message names the options that state it.
        DataError: the data does not fit the network.
        ExportError: the graph does not predict what the network predicts.
    """
    if callable(source):
        names, dataset = _of_function(output, classes, data, labels)
        return adopt_function(source, names, given, data=dataset, seed=seed)
    if output is None:
        raise UsageError("an adopted network needs a folder to be written to: give its output")
    inputs = [source] if Path(str(source)).exists() else []
    with reserved(output, "model", inputs):
        listener(Progress("reading the network", 0, 1))
        names = read_classes(classes) if isinstance(classes, str | Path) else tuple(classes or ())
        graph = foreign_source(str(source), weights, len(names) or None)
        names = names or graph.classes
        if not names:
            raise UsageError(f"{graph.name} does not name its classes: give a file with one name a line with --classes")
        dataset = None if data is None else as_dataset(data, labels, names)
        model = ForeignModel(graph, names, given or StatedPreparation(), layout)
        splits = None if dataset is None else halves(dataset, seed, counted(listener, "checking pictures"))
        meaning = decide(model, splits, counted(listener, "trying preparations"))
        origin = Origin(licence or str(graph.facts.get("licence", "unknown")), seed)
        with new_bundle(output, tuple(Path(one) for one in inputs)) as draft:
            _write(draft, meaning, splits, origin, listener)
    return load(output)


def _of_function(
    output: str | Path | None, classes: str | Path | Sequence[str] | None, data: Any, labels: Labels | None
) -> tuple[tuple[str, ...], Dataset | None]:
    """The classes of a function and the images that it is fitted to; raises UsageError where it is to be saved."""
    if output is not None:
        raise UsageError("a function cannot be saved: leave out output, or export its network to ONNX and adopt that")
    names = read_classes(classes) if isinstance(classes, str | Path) else tuple(classes or ())
    if not names:
        raise UsageError("a function does not name its classes: give classes, in the order of its scores")
    return names, None if data is None else as_dataset(data, labels, names)


def _write(
    draft: BundleDraft, meaning: Meaning, splits: TrainingSplits | None, origin: Origin, listener: Listener
) -> None:
    listener(Progress("writing the graph", 0, 1))
    one, row = meaning.preparation, meaning.row
    graph = draft.folder / "model.onnx"
    write_composed(composed(meaning.graph, one.preprocess, one.channels, meaning.layout.tail), graph)
    draft.info = _described(meaning, splits, origin)
    draft.info["parity"] = _compared(draft, meaning, splits)
    if splits is None:
        draft.info["warnings"] = adopt_text.unknowns(draft.info)
        draft.report = adopt_text.unmeasured(draft.info)
        return
    splits.remember(draft.folder)
    listener(Progress("fitting confidence", 0, 1))
    draft.info |= _fitted(row, draft, splits, origin.seed)
    model = row.part("model")(draft.bundle)
    proof = evaluate_on(model, splits.test, leaked=splits.leaked.tolist(), progress=counted(listener, "evaluating"))
    draft.info["metrics"] = {name: metric.to_json() for name, metric in proof.metrics.items()}
    draft.report = _reported(draft, meaning, proof)
    draft.info["warnings"] = list(draft.report.warnings)


def _fitted(row: Task, draft: BundleDraft, splits: TrainingSplits, seed: int) -> dict[str, Any]:
    """What is fitted to the pictures that do not judge, where the task fits anything."""
    found = fit_limits(row, draft.bundle, splits, seed)
    return {**found, "adoption": {**draft.info["adoption"], "calibrated": True}} if found else {}


def _described(meaning: Meaning, splits: TrainingSplits | None, origin: Origin) -> dict[str, Any]:
    graph, one = meaning.graph, meaning.preparation
    info = describe_model(
        meaning.row.name,
        meaning.classes,
        one.preprocess,
        backbone={"name": graph.name, "weights": "adopted", "params": graph.parameters},
        chosen="adopted",
        training={"by": "unknown", "sha256": graph.sha256, "seed": origin.seed},
        data={"train_per_class": {}} if splits is None else described(splits),
        parity={},
        licences=[_code(), LedgerEntry("weights", graph.name, origin.licence, None, "as stated when it was adopted")],
        facts={"rungs": [], **meaning.layout.facts},
    )
    info["adoption"] = adopt_text.facts(meaning)
    info[SIMILARITY] = {"version": SIMILARITY_VERSION, "missing": adopt_text.NO_SIMILARITY}
    return info


def _code() -> LedgerEntry:
    return LedgerEntry("code", "Photovision", "apache-2.0", True)


def _compared(draft: BundleDraft, meaning: Meaning, splits: TrainingSplits | None) -> dict[str, Any]:
    """The composed graph beside the network whose pixels NumPy prepares, on real pictures where there are some."""
    row, size = meaning.row, meaning.preparation.preprocess.size
    model = row.part("model")(draft.bundle)
    real = splits is not None
    images = generated(size)[:_COMPARED] if splits is None else graph_inputs(model, splits.test, _COMPARED)
    expected = batched(meaning.trial().run, images)
    try:
        session = open_session(draft.bundle.graph, precision="f32", outputs=row.outputs, size=size)
        got = batched(session.run, images)
    except ModelError as error:
        raise ExportError(f"{meaning.graph.name} has something that no engine here can run: {error}") from None
    found: GraphParity = row.part("parity")(model, expected, got, real=real)
    if not found.enough:
        raise ExportError(
            f"the composed graph does not predict what {meaning.graph.name} predicts: a {found.measured} differs by"
            f" {found.difference:.2g}, {found.agreement:.1%} of {found.of} agree; report this"
        )
    return {
        "pictures": len(images),
        "agreement": found.agreement,
        "max_abs_difference": found.difference,
        "tolerance": found.allowed,
        "precision": "f32",
    }


def _reported(draft: BundleDraft, meaning: Meaning, proof: Report) -> Report:
    """The evaluation on the half that judges, headed by what is not known."""
    return replace(
        proof,
        kind="adopt",
        title=adopt_text.title(draft.info),
        summary=(*adopt_text.headline(draft.info, proof), *adopt_text.on_preparation(meaning), *proof.summary),
        tables=[*adopt_text.tables(meaning), *proof.tables],
        warnings=[*adopt_text.unknowns(draft.info), *adopt_text.doubts(meaning), *proof.warnings],
    )
