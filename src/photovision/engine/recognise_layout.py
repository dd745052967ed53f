"""What a foreign graph means, decided: the layout of its outputs, and the preparation of its pictures."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.core.progress import ProgressCallback
from photovision.core.task import Task, tasks
from photovision.data.dataset import Dataset
from photovision.data.scan import scan
from photovision.data.split import make_splits, usable_positions
from photovision.engine import adopt_text
from photovision.engine.evaluation import Evaluation
from photovision.engine.find_preparation import FoundPreparation, find
from photovision.engine.foreign_layout import Layout, Probe
from photovision.engine.splits import TrainingSplits
from photovision.models.composed_graph import TrialSession
from photovision.models.foreign_graph import ForeignGraph, with_free_batch
from photovision.models.preparation import IMAGENET, NORMALISATIONS, Preparation, StatedPreparation
from photovision.runtime.bundle import Bundle
from photovision.runtime.training_images import TrainingImages

SIZES = ((224, 224), (256, 256), (288, 288), (320, 320), (384, 384), (448, 448))
"""Inputs that are tried where a graph takes any, the commonest first."""
JUDGING, CHOOSING = 0.5, 0.25
"""Shares of pictures without a published split that judge the adopted model, and that its confidence is fitted to."""


@dataclass(frozen=True, eq=False)
class ForeignModel:
    """A foreign graph, and what is stated of it.

    Attributes:
        graph: the graph.
        classes: names, in the order of its outputs.
        given: what the user states of the preparation of pictures.
        layout: what the user states of its outputs; None to recognise it.
    """

    graph: ForeignGraph
    classes: tuple[str, ...]
    given: StatedPreparation
    layout: str | None = None

    @cached_property
    def usual(self) -> Preparation:
        """What is stated, and for all else the commonest."""
        graph = self.graph
        mean, std = IMAGENET if graph.dtype != np.uint8 else NORMALISATIONS["0 to 255"]
        base = graph.stated or Preprocess(SIZES[0], "squash", 1.0, "bilinear", mean, std)
        fixed = graph.size[0] or base.size[0], graph.size[1] or base.size[1]
        if self.given.sides is not None and any(
            own not in (None, side) for own, side in zip(graph.size, self.given.sides, strict=True)
        ):
            raise UsageError(
                f"{graph.name} takes pictures of {graph.size[0]} x {graph.size[1]} pixels: leave out --size"
            )
        return self.given.onto(Preparation(replace(base, size=fixed), graph.channels or "rgb"))

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Inputs that are to be tried."""
        free = None in self.graph.size and self.graph.stated is None and self.given.size is None
        return SIZES if free else ()


@dataclass(frozen=True, eq=False)
class Meaning:
    """What a graph means.

    Attributes:
        row: its task.
        layout: of its outputs.
        graph: the graph, for the number of pictures that it can take.
        classes: names, in the order of its outputs.
        preparation: of its pictures.
        found: how the preparation was found; None where it was stated and there were no pictures.
        origin: whether the origin of the model states its preparation.
    """

    row: Task
    layout: Layout
    graph: ForeignGraph
    classes: tuple[str, ...]
    preparation: Preparation
    found: FoundPreparation | None = None
    origin: bool = False

    def trial(self) -> TrialSession:
        """The graph with the outputs of its task, whose pixels NumPy prepares."""
        session = TrialSession(self.graph, self.preparation.preprocess.size, self.layout.tail)
        session.preprocess, session.channels = self.preparation.preprocess, self.preparation.channels
        return session


def halves(dataset: Dataset, seed: int, progress: ProgressCallback | None = None) -> TrainingSplits:
    """The pictures that an adopted model is fitted to, and those that judge it: a published split, else one half each.

    Of the first, those under `val` fit its confidence, and those under `train` are what new pictures are compared with.
    """
    found = scan(dataset, progress=progress)
    splits = make_splits(dataset, found, seed=seed, val=CHOOSING, test=JUDGING, min_classes=1)
    for name in ("train", "val", "test"):
        if not len(getattr(splits, name)):
            raise DataError(
                f"the data has {len(usable_positions(dataset, found))} usable pictures, too few to fit an adopted model"
                " with some and judge it with others: give at least 8"
            )
    sides = np.minimum(found.height, found.width).astype(np.int32)
    ranges = found.value_ranges(splits.train)
    record = TrainingImages.of(found, splits)
    problems = (*dataset.problems, *found.problems)
    return TrainingSplits(dataset.shown_by(ranges), splits, problems, sides, record, ranges)


def decide(model: ForeignModel, splits: TrainingSplits | None, progress: ProgressCallback | None = None) -> Meaning:
    """Recognise the outputs, and find the preparation where there are labelled pictures.

    Raises:
        ModelError: the outputs are of no kind that is known.
        UsageError: nothing states the preparation, and there are no pictures, or these cannot decide.
        DataError: the pictures are labelled for another task.
    """
    size = model.usual.preprocess.size
    graph = with_free_batch(model.graph, size)
    model = replace(model, graph=graph)
    meanings = _recognised(model, size, None if splits is None else splits.dataset.multilabel)
    if splits is None:
        return _stated(model, meanings)
    fitting = [one for one in meanings if one.row.fits(splits.dataset)]
    if not fitting:
        row, dataset = meanings[0].row, splits.dataset
        raise DataError(
            f"{graph.name} is {row.text.a_noun} ({meanings[0].layout.about}), but the pictures have"
            f" {dataset.annotation_type}: give data with {row.annotation_type}"
        )
    return _chosen(model, fitting, splits, progress)


def _recognised(model: ForeignModel, size: tuple[int, int], several: bool | None) -> list[Meaning]:
    """All meanings that the outputs may have, the likeliest first."""
    probe = Probe.of(model.graph, size, model.classes, several)
    rows = [row for row in tasks() if row.has("adopt")]
    found = [(row, layout) for row in rows for layout in row.part("adopt")(probe)]
    named = [(row, layout) for row, layout in found if model.layout in (None, layout.name)]
    if found and not named:
        names = ", ".join(dict.fromkeys(layout.name for _, layout in found))
        raise UsageError(f"the outputs of {model.graph.name} cannot be of the layout '{model.layout}', but of {names}")
    if not named:
        raise ModelError(adopt_text.unrecognised(probe))
    origin = model.graph.stated is not None
    return [Meaning(row, layout, model.graph, model.classes, model.usual, origin=origin) for row, layout in named]


def _stated(model: ForeignModel, meanings: list[Meaning]) -> Meaning:
    """Without pictures everything has to be stated, by the origin of the model or by the user."""
    names = [one.layout.name for one in meanings]
    if len(meanings) > 1:
        raise UsageError(
            f"the outputs of {model.graph.name} may be of the layouts {', '.join(names)}: give labelled pictures with"
            " --data, or the layout with --layout"
        )
    if model.sizes:
        raise UsageError(
            f"{model.graph.name} takes pictures of any size: give labelled pictures with --data, or --size"
        )
    settled = model.given.states("normalisation") and model.given.states("channels")
    if model.graph.stated is None and not settled:
        raise UsageError(adopt_text.NEEDS_PICTURES.format(name=model.graph.name))
    return meanings[0]


def _chosen(
    model: ForeignModel, meanings: list[Meaning], splits: TrainingSplits, progress: ProgressCallback | None
) -> Meaning:
    pictures = _fitting(splits)
    found = [replace(one, found=_found(model, one, pictures, progress)) for one in meanings]
    best = max(found, key=lambda one: one.found.best.lead.value if one.found else 0.0)
    assert best.found is not None
    others = [one.found.best for one in found if one is not best and one.found is not None]
    if any(not best.found.best.better(other) and not best.found.best.alike(other) for other in others):
        names = ", ".join(one.layout.name for one in found)
        raise UsageError(f"the pictures cannot tell which layout the outputs have ({names}): give it with --layout")
    if best.found.undecided:
        raise UsageError(adopt_text.undecided(best))
    return replace(best, preparation=best.found.best.preparation, layout=_resized(model, best).layout)


def _resized(model: ForeignModel, best: Meaning) -> Meaning:
    """The same layout for the size of the input that was found: some of what is added depends on it."""
    assert best.found is not None
    size = best.found.best.preparation.preprocess.size
    if size == model.usual.preprocess.size:
        return best
    return _at(model, best, size)


def _at(model: ForeignModel, meaning: Meaning, size: tuple[int, int]) -> Meaning:
    several = meaning.layout.facts.get("multilabel")
    found = _recognised(replace(model, layout=meaning.layout.name), size, several)
    return next(one for one in found if one.row is meaning.row)


def _fitting(splits: TrainingSplits) -> Dataset:
    """The pictures that do not judge, in random order; those that are least likely training pictures first."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.permutation(splits.splits.val), rng.permutation(splits.splits.train)])
    if not splits.splits.published:
        rows = rng.permutation(rows)
    return splits.dataset.subset(rows)


@dataclass(eq=False)
class _Trials:
    """Runs one meaning with any preparation."""

    model: ForeignModel
    meaning: Meaning
    pictures: Dataset
    folder: Path
    progress: ProgressCallback | None = None
    done: int = 0
    sessions: dict[tuple[int, int], TrialSession] = field(default_factory=dict)

    def __call__(self, preparation: Preparation, rows: np.ndarray) -> Evaluation:
        meaning, size = self.meaning, preparation.preprocess.size
        if size not in self.sessions:
            at = meaning if size == self.model.usual.preprocess.size else _at(self.model, meaning, size)
            self.sessions[size] = TrialSession(meaning.graph, size, at.layout.tail)
        session = self.sessions[size]
        session.preprocess, session.channels = preparation.preprocess, preparation.channels
        info: dict[str, Any] = {
            "task": meaning.row.name,
            "classes": list(meaning.classes),
            "preprocess": preparation.preprocess.to_json(),
            "training": {},
            "licences": [],
            **meaning.layout.facts,
        }
        opened = meaning.row.part("model")(Bundle(self.folder, info, runner=session))
        evaluation: Evaluation = meaning.row.part("evaluate")(opened, self.pictures.subset(rows))
        self.done += 1
        if self.progress:
            self.progress(self.done, max(self.done + 1, 20))
        return evaluation


def _found(
    model: ForeignModel, meaning: Meaning, pictures: Dataset, progress: ProgressCallback | None
) -> FoundPreparation:
    usual, origin = meaning.preparation, meaning.origin
    if not origin and model.given.fit is None:
        fit, crop = meaning.layout.views[0]
        usual = replace(usual, preprocess=replace(usual.preprocess, fit=fit, crop=model.given.crop or crop))
    with tempfile.TemporaryDirectory(prefix="photovision-") as folder:
        trial = _Trials(model, meaning, pictures, Path(folder), progress)
        return find(
            trial,
            len(pictures),
            usual,
            model.given,
            origin=origin,
            views=meaning.layout.views,
            sizes=model.sizes,
            learns_colour=model.graph.dtype != np.uint8,
        )
