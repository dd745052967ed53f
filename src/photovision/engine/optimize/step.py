"""One step of an optimisation: a bundle made from another one by a method."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photovision.core.errors import UsageError
from photovision.core.registry import Registry
from photovision.core.task import Task
from photovision.data.dataset import Dataset
from photovision.engine.bundle_writer import changed_bundle
from photovision.engine.similarity import accuracy_by_similarity
from photovision.engine.splits import TrainingSplits
from photovision.runtime.bundle import Bundle
from photovision.runtime.similarity import NAME

Say = Callable[[str], None]
OF_TASKS = ("distill", "prune")
"""Methods that only some tasks have, as parts of these names; they make other networks, so they come first."""
METHODS = Registry(
    "method",
    {
        "int8": "photovision.engine.optimize.quantize:int8",
        "bf16": "photovision.engine.optimize.quantize:bf16",
    },
    "photovision.methods",
)
"""Methods for graphs of every task. Every method is a function (run: OptimizeRun) -> Path that writes one new bundle
and returns its folder."""


@dataclass(frozen=True, eq=False)
class OptimizeRun:
    """One step: the model to make smaller, the images to do it with, and where the new bundle goes.

    Attributes:
        model: the opened model to make smaller.
        training: labelled images to calibrate and to fine-tune with.
        validation: labelled images that choose settings and fit confidence; never those of the final test. Both data
            sets have the model's classes, in its order.
        unseen: test images, which choose nothing: for what a bundle remembers of new images.
        folder: where to write the new bundle.
        work: folder for unfinished work; it exists.
        minutes: wall time that the step may take.
        backbone: architecture of the smaller network, for methods that need one.
        say: called with a line that tells what is going on.
        out_of_fold: whether what is known of the model's limits was learned out-of-fold and is taken over, since it
            learned from all pictures that they could be fitted to again; `validation` only measures then.
        max_drop: how much of the leading metric may be lost, for methods that can try something more careful.
    """

    model: Any
    training: Dataset
    validation: Dataset
    unseen: Dataset
    folder: Path
    work: Path
    minutes: float
    backbone: str | None
    say: Say
    max_drop: float = 0.005
    out_of_fold: bool = False

    @property
    def row(self) -> Task:
        """The model's task."""
        row: Task = self.model.bundle.row
        return row

    def opened(self, folder: Path, changes: Mapping[str, Any], **options: Any) -> Any:
        """A model like this step's, whose graph lies in another folder, and whose bundle.json says something else."""
        return self.row.part("model")(Bundle(folder, {**self.model.info, **changes}), **options)

    def refit(self, bundle: Bundle) -> Mapping[str, Any]:
        """What a bundle in the making knows of its own limits, fitted to what its graph answers; files are written.

        The part "refit" of a task is a function (bundle, training, validation, unseen) -> entries of bundle.json; the
        part "transfer" is (bundle, model, training, pictures, unseen) -> entries, where the limits are those of the
        model that was changed, learned out-of-fold.
        """
        images = self.training, self.validation, self.unseen
        if self.out_of_fold:
            moved: Mapping[str, Any] = self.row.part("transfer", "optimize")(bundle, self.model, *images)
            return {**moved, NAME: self.model.info.get(NAME)}
        entries: Mapping[str, Any] = self.row.part("refit", "optimize")(bundle, *images)
        complete = Bundle(bundle.path, {**bundle.info, **entries})
        return {**entries, NAME: accuracy_by_similarity(self.row, complete, self.validation)}

    def write_copy(self, graph: Path, changes: Mapping[str, Any], *, weights: bool) -> Path:
        """Write a bundle like the model's, with another graph and other facts, its confidence fitted again.

        Args:
            graph: ONNX file to put into it.
            changes: entries of bundle.json that differ.
            weights: whether the network's weights for torch come along; not where the graph has others.

        Returns:
            `folder`.
        """
        with changed_bundle(self.model.bundle, self.folder, keep="weights" if weights else "record") as draft:
            shutil.copyfile(graph, draft.folder / "model.onnx")
            draft.info |= changes
            draft.info |= self.refit(draft.bundle)
        return self.folder


def learned_out_of_fold(model: Any, splits: TrainingSplits) -> bool:
    """Whether these are the data of a training that finally learned from val, too, so that nothing is fitted to val."""
    own = (model.bundle.info.get("data") or {}).get("fingerprint") == splits.dataset.fingerprint
    return bool(own and model.bundle.learned_val)


def ordered(row: Task, methods: Collection[str], backbone: str | None) -> list[str]:
    """Methods in the order in which they are applied.

    Args:
        row: the task.
        methods: names.
        backbone: architecture of the smaller network, for "distill" only.

    Raises:
        UsageError: the task does not have a method, or nothing is asked for.
    """
    if isinstance(methods, str):
        raise UsageError(f"methods should be a list of names such as ['int8'], got '{methods}'")
    added = set(METHODS.names()) - {"int8", "bf16"}  # by other packages, for every task
    named = {name: True for name in methods if name not in added and name != "distill"}
    row.check_options("optimize", {"distill_to": backbone or "distill" in methods, **named})
    if ("distill" in methods) != (backbone is not None):
        raise UsageError("distilling needs the architecture of the smaller network (backbone), and nothing else does")
    if not methods:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(row.options["optimize"]))
        raise UsageError(f"nothing to do: choose at least one of {flags}")
    return [name for name in (*OF_TASKS, *METHODS.names()) if name in set(methods)]


def apply_method(name: str, run: OptimizeRun) -> None:
    """Write one step's bundle."""
    method = run.row.part(name) if name in OF_TASKS else METHODS.load(name)
    method(run)
