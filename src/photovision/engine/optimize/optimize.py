"""optimize: a model made smaller and faster, with what that loses measured on images that it did not learn from.

The rule: no step may bring the loss of the leading metric, on the validation images, above what is allowed, and in the
end the whole chain is evaluated once on the test images, where it may not lose more either. Both go by the plain paired
difference, for a user who allows half a point means what is seen; the interval stands beside it. Test images choose
nothing: they can only refuse.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, ExportError, UsageError
from photovision.core.files import beside
from photovision.core.folder import reserved
from photovision.core.output import check_folder
from photovision.core.progress import Listener, counted, visible
from photovision.core.report import Report
from photovision.core.types import Ints
from photovision.data.dataset import SPLITS, Dataset
from photovision.data.read import Labels, Pictures
from photovision.engine.evaluation import Evaluation
from photovision.engine.holdout import NO_RECORD, exposures
from photovision.engine.load import load, opened
from photovision.engine.optimize.cost_report import OptimizeStep, gains
from photovision.engine.optimize.finish import optimize_report, unfinished, work_key, write_optimized
from photovision.engine.optimize.profile import profile
from photovision.engine.optimize.step import OptimizeRun, Say, apply_method, learned_out_of_fold, ordered
from photovision.engine.progress import narrated
from photovision.engine.read import data_for
from photovision.engine.remember import names_of
from photovision.engine.splits import TrainingSplits, gather
from photovision.runtime.training_images import ROLES

MAX_MINUTES = 10_000


def _silent(line: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, eq=False)
class OptimizeConfig:
    """What a whole optimisation may cost.

    Attributes:
        max_drop: how much of the leading metric may be lost, 0 to 1; 0.005 is half a point.
        minutes: wall time for everything.
        backbone: architecture of the smaller network, for "distill" only.
        say: called with lines of progress.
    """

    max_drop: float = 0.005
    minutes: float = 10.0
    backbone: str | None = None
    say: Say = _silent

    def check(self) -> None:
        """Raise UsageError for a value that is out of its range."""
        if not 0 <= self.max_drop <= 1:
            raise UsageError(f"max_drop should be a share from 0 to 1, got {self.max_drop}")
        if not 0 <= self.minutes <= MAX_MINUTES:
            raise UsageError(f"minutes should be from 0 to {MAX_MINUTES:,}, got {self.minutes}")


@narrated
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
    say: Say = _silent,
    listener: Listener = visible,
) -> Report:
    """Make a model smaller and faster, and write it with its proof, or refuse where it loses more than allowed.

    Args:
        model: an opened model of any task that can be optimised, or its folder.
        data: labelled images, best those of the training, as for `evaluate`: they are split as a training splits them.
            Train calibrates and fine-tunes, val chooses, test judges once; images that the model learned from neither
            choose nor judge. Of the data of a training whose network learned from val, too, half of the test images
            choose in its place.
        output: folder of the new bundle.
        methods: any of "int8" and "bf16", of classifiers also "distill" and "prune"; applied in the order of `METHODS`.
        labels: as for `evaluate`.
        max_drop: how much of the leading metric may be lost: accuracy, mean average precision, mean IoU ..., 0 to 1;
            0.005 is half a point.
        minutes: wall time for everything.
        backbone: architecture of the smaller network, for "distill" only.
        say: called with lines of progress.
        listener: called with the progress of checking images.

    Returns:
        A report of kind "optimize", which is in the bundle, too: the metrics of `cost_report`, and of the evaluation of
        the last model.

    Raises:
        ExportError: the model loses more than allowed; the message names the step to blame. Nothing is written.
        DataError: too few images that the model did not learn from.
        UsageError: a method or a choice that such models do not have, or `output` is the model's own folder.
    """
    own = opened(model, "optimize", "refit")
    config = OptimizeConfig(max_drop, minutes, backbone, say)
    config.check()
    ordered(own.bundle.row, methods, backbone)
    dataset = data_for(own, data, labels)
    seed = int((own.info.get("training") or {}).get("seed", 0))
    splits = gather(aligned(dataset, own), seed=seed, progress=counted(listener, "checking pictures"))
    return optimize_on(own, fair(splits, own, dataset), output, methods, config)


def optimize_on(
    model: Any, splits: TrainingSplits, output: str | Path, methods: Collection[str], config: OptimizeConfig
) -> Report:
    """`optimize` on images that are split already.

    Args:
        model: the original, opened.
        splits: of data that are `aligned` with the model.
        output: folder of the new bundle; a model already there is replaced, whole.
        methods: names.
        config: what it may cost.
    """
    names = ordered(model.bundle.row, methods, config.backbone)
    check_folder(output, "model", [model.bundle.path])
    _check_counts(model, splits)
    key = work_key(model, splits, names, config.max_drop, config.backbone)
    with reserved(output, "model", [model.bundle.path]) as place, unfinished(beside(place, "optimize"), key) as work:
        made = _steps(model, splits, names, config, work)
        config.say("judging on test")
        evaluations = [evaluated(one, splits.test) for one in made]
        _refuse(model, names, evaluations, config.max_drop, "test")
        profiles = profile([one.bundle for one in made])
        steps = [OptimizeStep(*one) for one in zip(("original", *names), evaluations, profiles, strict=True)]
        report = optimize_report(model, made[-1], steps, splits, config.max_drop)
        write_optimized(made[-1], report, splits, Path(output))
    return report


def evaluated(model: Any, dataset: Dataset) -> Evaluation:
    """A model's predictions beside the truth."""
    evaluation: Evaluation = model.bundle.row.part("evaluate", "optimize")(model, dataset)
    return evaluation


def _steps(model: Any, splits: TrainingSplits, names: Sequence[str], config: OptimizeConfig, work: Path) -> list[Any]:
    """The original and what each method made; raises ExportError where one loses too much on validation."""
    deadline = time.monotonic() + 60 * config.minutes
    made, evaluations = [model], [evaluated(model, splits.val)]
    for number, name in enumerate(names):
        lost = -next(iter(gains(evaluations[0], evaluations[-1]).values())).value
        run = OptimizeRun(
            model=made[-1],
            training=splits.train,
            validation=splits.val,
            unseen=splits.unseen,
            folder=work / f"{number}-{name}",
            work=work / f"{number}-{name}.work",
            minutes=max(0.0, (deadline - time.monotonic()) / 60) / (len(names) - number),
            backbone=config.backbone,
            say=config.say,
            max_drop=config.max_drop - max(0.0, lost),
            out_of_fold=learned_out_of_fold(model, splits),
        )
        if not (run.folder / "bundle.json").is_file():  # else it was finished before an interruption
            run.work.mkdir(parents=True, exist_ok=True)
            apply_method(name, run)
        made.append(load(run.folder))
        evaluations.append(evaluated(made[-1], splits.val))
        _refuse(model, names, evaluations, config.max_drop, "validation")
    return made


def aligned(dataset: Dataset, model: Any) -> Dataset:
    """The data as those of the model's training were; a task without a part "align" takes them as they are.

    The part "align" of a task is a function (model, dataset) -> Dataset with the model's classes, in its order; it
    raises DataError where the data has others.
    """
    row = model.bundle.row
    found: Dataset = row.part("align")(model, dataset) if row.has("align") else dataset
    return found


def fair(material: TrainingSplits, model: Any, dataset: Dataset) -> TrainingSplits:
    """The images, split so that those which the model learned from neither choose nor judge.

    Raises:
        DataError: none are left that could.
    """
    (known,) = exposures(dataset, [model])
    if known.roles is not None:  # the data of the training, split as they were then
        train, val, test = (np.flatnonzero(known.roles == ROLES[name]) for name in SPLITS)
        leaked, notes = np.intersect1d(np.flatnonzero(known.related), test), material.splits.notes
        if model.bundle.learned_val:
            seed = int((model.bundle.info.get("training") or {}).get("seed", 0))
            half, _ = halves(dataset, np.setdiff1d(test, leaked), seed)
            train, val, test = np.union1d(train, val), half, np.setdiff1d(test, half)
            notes = (
                *notes,
                f"The model learned from val, too: {len(half):,} of the test pictures choose in its place.",
            )
        splits = replace(material.splits, train=train, val=val, test=test, leaked=leaked, notes=notes)
        return replace(material, splits=splits)
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


def halves(dataset: Dataset, rows: Ints, seed: int) -> tuple[Ints, Ints]:
    """Positions of a data set in two halves, of every class as many in one as in the other."""
    shuffled = np.random.default_rng(seed).permutation(rows)
    order = np.array(sorted(shuffled.tolist(), key=lambda row: names_of(dataset.samples[row])), np.int64)
    return np.sort(order[::2]), np.sort(order[1::2])


def _check_counts(model: Any, splits: TrainingSplits) -> None:
    needed = model.bundle.row.min_images
    for part, images in (("validation", splits.val), ("test", splits.test)):
        if len(images) < needed:
            raise DataError(
                f"a loss cannot be measured on {len(images)} {part} pictures, at least {needed} are needed: add more"
            )


def _refuse(model: Any, names: Sequence[str], evaluations: Sequence[Evaluation], max_drop: float, which: str) -> None:
    """Raise ExportError where the last model lost too much, with the step that lost most."""
    name, whole = next(iter(gains(evaluations[0], evaluations[-1]).items()))
    if -whole.value <= max_drop + 1e-9:
        return
    own = [-next(iter(gains(*pair).values())).value for pair in itertools.pairwise(evaluations)]
    worst = names[own.index(max(own))]
    several = f"; {worst} is to blame for {100 * max(own):.1f} of them" if len(own) > 1 else ""
    raise ExportError(
        f"{' and '.join(names[: len(own)])} would lose {-100 * whole.value:.1f} points of"
        f" {model.bundle.row.lead.get(name, name)} on {len(evaluations[-1].samples):,} {which} pictures (95% interval"
        f" {-100 * (whole.high or 0):.1f} to {-100 * (whole.low or 0):.1f}), more than the {100 * max_drop:g}"
        f" allowed{several}: leave {worst} out, or allow more with --max-drop; nothing was written"
    )
