"""Out-of-fold: the limits of a network that learned from val, too, rest on what it predicted for val before.

The network that was chosen is exported and completed as a bundle of its own, in the work folder, as if it were the last
one. Its prediction sets, its novelty detection and its accuracy by similarity, fitted to pictures that it did not learn
from, stand for those of the final network, which learned from a few more (cross-conformal prediction: Vovk 2015;
jackknife+ and CV+: Barber et al. 2021).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photovision.engine.training_run import TrainingRun
from photovision.models.backbones import Backbone
from photovision.models.export import Decider, export_graph
from photovision.runtime.bundle import Bundle
from photovision.runtime.similarity import NAME
from photovision.tasks.classify.fit_novelty import fit_limits, remember_out_of_fold
from photovision.tasks.classify.recognizer import Recognizer

if TYPE_CHECKING:
    from torch import nn


def complete_out_of_fold(run: TrainingRun, bundle: Bundle, before: nn.Module, source: Backbone) -> dict[str, Any]:
    """Complete the bundle of a network that learned from val, too.

    Args:
        run: the training.
        bundle: of the final network, as far as it is written.
        before: the network as it was before.
        source: what both are and expect.

    Returns:
        the entries "doubt" and "accuracy_by_similarity" of bundle.json.
    """
    folder = run.work.folder / "before"
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was interrupted
    folder.mkdir()
    first = Recognizer(_bundle_before(run, folder, before, source, bundle.info))
    splits, seed = run.splits, run.config.seed
    doubt = remember_out_of_fold(Recognizer(bundle), splits.train_and_val, first, bundle.path, seed)
    return {"doubt": doubt, NAME: first.bundle.info[NAME]}


def _bundle_before(
    run: TrainingRun, folder: Path, before: nn.Module, source: Backbone, info: Mapping[str, Any]
) -> Bundle:
    decider = Decider(before, source.preprocess, float(info["temperature"]), bool(info["multilabel"]))
    export_graph(decider, source.preprocess.size, decider.outputs, folder / "model.onnx")
    splits, seed = run.splits, run.config.seed
    component = splits.component[splits.splits.val]
    plain = Bundle(folder, dict(info))
    limits = fit_limits(Recognizer(plain), splits.train, splits.val, folder, seed, component=component)
    return Bundle(folder, {**info, **limits})
