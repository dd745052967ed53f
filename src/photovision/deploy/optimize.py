"""Optimise a model of any task: smaller and faster, with what that loses measured on pictures it did not learn from."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, UsageError
from photovision.core.progress import Listener, counted, silent
from photovision.core.report import Report
from photovision.data.dataset import Dataset
from photovision.data.read import Labels, Pictures, as_dataset
from photovision.deploy.evaluation import need_regions
from photovision.deploy.optimize_classes import aligned, check_methods, optimize_classes
from photovision.deploy.optimize_regions import check_method, optimize_regions
from photovision.engine.holdout import NO_RECORD, exposures
from photovision.engine.load import opened
from photovision.engine.splits import TrainingSplits, gather
from photovision.tasks.classify.recognizer import Recognizer

MOST_MINUTES = 10_000


def optimize(
    model: Any,
    data: Dataset | str | Path | Pictures,
    output: str | Path,
    methods: Collection[str],
    *,
    labels: Labels | None = None,
    max_drop: float = 0.005,
    minutes: float = 10.0,
    backbone: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    listener: Listener = silent,
) -> Report:
    """Make a model smaller and faster, and write it with its proof, or refuse where it loses more than allowed.

    Args:
        model: a classifier, a detector or a segmenter, or its folder.
        data: labelled pictures, best those of the training, as for `evaluate`: they are split as a training splits
            them. Train calibrates and fine-tunes, val chooses, test judges once; pictures that the model learned from
            neither choose nor judge.
        output: folder of the new bundle.
        methods: of classifiers any of "distill", "prune", "int8" and "bf16"; of other models "int8" or "bf16".
        labels: as for `evaluate`.
        max_drop: share of accuracy, mean average precision or mean IoU that may be lost, 0 to 1; 0.005 is half a point.
        minutes: wall time for everything.
        backbone: architecture of the smaller network, for "distill" only.
        say: called with lines that tell what is going on.
        listener: told how many pictures were checked.

    Returns:
        A report of kind "optimize", see `optimize_classes` and `optimize_regions`.

    Raises:
        ExportError: the model loses more than allowed; nothing is written.
        DataError: too few pictures that the model did not learn from.
        UsageError: a method or a choice that such models do not have, or `output` is the model's own folder.
    """
    own = opened(model, "optimize")
    _check(max_drop, minutes, methods, backbone)
    names = list(methods)
    dataset = as_dataset(data, labels, own.classes)
    if isinstance(own, Recognizer):
        check_methods(names)
        fitting = aligned(dataset, own)
    else:
        check_method(own, names)
        fitting = need_regions(dataset, own)
    seed = int((own.info.get("training") or {}).get("seed", 0))
    progress = counted(listener, "checking pictures")
    material = fair(gather(fitting, seed=seed, progress=progress), own, dataset)
    if isinstance(own, Recognizer):
        return optimize_classes(
            own, material, output, names, max_drop=max_drop, minutes=minutes, backbone=backbone, say=say
        )
    return optimize_regions(own, material, output, names, max_drop=max_drop, minutes=minutes, say=say)


def _check(max_drop: float, minutes: float, methods: Collection[str], backbone: str | None) -> None:
    if isinstance(methods, str):
        raise UsageError(f"methods should be a list of names such as ['int8'], got '{methods}'")
    if not 0 <= max_drop <= 1:
        raise UsageError(f"max_drop should be a share from 0 to 1, got {max_drop}")
    if not 0 <= minutes <= MOST_MINUTES:
        raise UsageError(f"minutes should be from 0 to {MOST_MINUTES:,}, got {minutes}")
    if ("distill" in methods) != (backbone is not None):
        raise UsageError("distilling needs the architecture of the smaller network (backbone), and nothing else does")


def fair(material: TrainingSplits, model: Any, dataset: Dataset) -> TrainingSplits:
    """The pictures, split so that those which the model learned from neither choose nor judge.

    Raises:
        DataError: none are left that could.
    """
    (known,) = exposures(dataset, [model])
    if known.roles is not None:  # the data of the training, split as they were then
        return material
    learned = known.learned | known.related
    notes = material.splits.notes if known.recorded else (*material.splits.notes, NO_RECORD.strip())
    splits = replace(material.splits, notes=notes)
    val, test = (part[~learned[part]] for part in (splits.val, splits.test))
    train = np.setdiff1d(np.concatenate([splits.train, splits.val, splits.test]), np.concatenate([val, test]))
    for name, part, before in (("validation", val, splits.val), ("test", test, splits.test)):
        if len(before) and not len(part):
            raise DataError(
                f"the model learned from all {len(before):,} {name} pictures of this data, or from pictures that"
                " resemble them, so that nothing can be measured on them: give the data of its training as it was, or"
                " other pictures"
            )
    leaked = np.intersect1d(splits.leaked, test)
    return replace(material, splits=replace(splits, train=train, val=val, test=test, leaked=leaked))
