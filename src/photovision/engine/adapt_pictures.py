"""Models whose bundles keep no outputs for labelled images, adapted to a place: all is tried on labelled images.

Of them a task gives what its network sees of an image, and what of its limits follows a changed network.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError
from photovision.core.report import Finding, Metric
from photovision.data.dataset import Dataset, Problem
from photovision.engine.adapt import MIN_PICTURES, Adaptation, AdaptRequest, AdaptStep
from photovision.engine.adapt_normalisation import Look, TriedNetwork, try_normalisation
from photovision.engine.expectation import Estimator, expectation
from photovision.runtime.held_out import HeldOut, write_held_out

Change = Callable[[Path], Mapping[str, Any]]
"""Fits the files in the folder of a bundle, and returns the entries of bundle.json that differ."""


@dataclass(frozen=True, eq=False)
class Refit:
    """A step of a task that rests on the labelled images given the look of the place, and what it changes."""

    step: AdaptStep
    change: Change


def adapt_pictures(
    request: AdaptRequest,
    look: Look,
    refit: Callable[[TriedNetwork], Refit] | None = None,
    others: Sequence[AdaptStep] = (),
) -> Adaptation:
    """Adapt a model's normalisation to a place, and what its task fits again there.

    Args:
        request: of `engine.adapt`.
        look: what the network sees of an image.
        refit: a step of the task, where labelled images could be tried.
        others: steps that such models cannot take, with why.

    Raises:
        DataError: too few readable images.
    """
    place, answers, problems = _place(request)
    model = request.model
    known = Estimator.of(model.bundle)

    def expected(one: Any, answers: HeldOut) -> Metric | None:
        if known is None or answers.embedding is None:
            return None
        return expectation(known, one.bundle.row.part("drift")(one), answers, seed=request.seed).metric

    before = expected(model, answers)

    def fall(adapted: Any) -> float:
        after = expected(adapted, adapted.bundle.row.part("drift")(adapted).predict(place))
        return 0.0 if before is None or after is None else before.value - after.value

    tried = try_normalisation(replace(request, dataset=place), look, fall)
    fitted = None if refit is None or tried.before is None else refit(tried)
    steps = [tried.step, *(() if fitted is None else (fitted.step,)), *others]
    figures = {} if before is None else {"expected_score_before": before}
    finding = Finding(metrics={**figures, **_measured(tried)})
    return Adaptation(steps, finding, len(place), problems, _change(model, place, tried, fitted))


def _place(request: AdaptRequest) -> tuple[Dataset, HeldOut, list[Problem]]:
    """The readable images of the place, what is predicted of them, and the others."""
    dataset = request.dataset
    answers: HeldOut = request.model.bundle.row.part("drift")(request.model).predict(dataset, request.progress)
    assert answers.positions is not None
    if len(answers) < MIN_PICTURES:
        raise DataError(
            f"adapting needs at least {MIN_PICTURES} readable pictures that the model did not learn from, got"
            f" {len(answers)}: give more"
        )
    rest = np.delete(np.arange(len(dataset)), answers.positions).tolist()
    problems = [Problem(dataset.samples[row].id, "unreadable", "it cannot be read") for row in rest]
    return dataset.subset(answers.positions), answers, problems


def _measured(tried: TriedNetwork) -> dict[str, Metric]:
    """The score of labelled images that are given the look of the place, before and after."""
    pairs = {"held_out_score_before": tried.before, "held_out_score_after": tried.after}
    return {
        name: Metric(float(one.score().mean()), n=len(one.samples), title=f"{one.score_name} {name.rpartition('_')[2]}")
        for name, one in pairs.items()
        if one is not None
    }


def _change(model: Any, place: Dataset, tried: TriedNetwork, fitted: Refit | None) -> Change:
    def change(folder: Path) -> Mapping[str, Any]:
        entries: dict[str, Any] = {}
        if tried.step.taken:
            for name in ("model.onnx", "model.safetensors"):
                shutil.copyfile(tried.model.bundle.path / name, folder / name)
        if fitted is not None and fitted.step.taken:
            entries |= fitted.change(folder)
        bundle = replace(model.bundle, path=folder, info={**model.info, **entries}, stamp=None)
        adapted = model.bundle.row.part("model")(bundle)
        write_held_out(model.bundle.row.part("drift")(adapted).predict(place), folder)
        return entries

    return change
