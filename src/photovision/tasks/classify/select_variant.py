"""Vary: the best rung learned again, robustly and fairly; validation decides what is kept, test what it bought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from photovision.core.types import Floats
from photovision.data.dataset import Dataset
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.tasks.classify import fair, robust
from photovision.tasks.classify.fair import Fairness, fairness_of, right_of
from photovision.tasks.classify.objective import objective_of
from photovision.tasks.classify.trained_stage import TrainedStage
from photovision.tasks.classify.variants import PLAIN, Variant, fair_variants, robust_variants
from photovision.trust.fairness.group_accuracy import MIN_PICTURES


def planned(config: TrainConfig, fairness: Fairness | None) -> list[str]:
    """Names of the variants that time is kept for."""
    fairly = fair_variants(frozen=False) if fairness is not None and fairness.judged else []
    return [variant.name for variant in [*robust_variants(config.robust), *fairly]]


@dataclass(frozen=True, eq=False)
class Varied:
    """What came of the variants.

    Attributes:
        rungs: the variants that were climbed.
        chosen: the rung to keep: one of them, or the one they vary.
        trials: what was asked for, with the validation's figures.
    """

    rungs: list[TrainedStage]
    chosen: TrainedStage
    trials: list[Robustly | Fairly]

    def judge(self) -> dict[str, Any]:
        """What every variant reaches on test, JSON-ready; empty where none was asked for. Called by all processes."""
        return {trial.kind: trial.judge() for trial in self.trials}


def learn_variants(run: TrainingRun, plain: TrainedStage) -> Varied:
    """Learn `plain` again in all ways that were asked for: first robustly, then, from what is kept of that, fairly.

    Args:
        run: the training.
        plain: the best rung of the ladder.
    """
    varied = Varied([], plain, [])
    if run.config.robust:
        varied = _add(varied, Robustly(run, plain, _learned(run, plain, robust_variants(run.config.robust))))
    fairness = fairness_of(run)
    if fairness is None:
        return varied
    base, frozen = varied.chosen, plain.result.name == "frozen"
    start = next((one for one in robust_variants(run.config.robust) if one.name == base.result.name), PLAIN)
    variants = fair_variants(frozen, start) if fairness.judged else []
    # A fair variant is `plain` learned again with the robust change that was kept, so both compare with `base`.
    return _add(varied, Fairly(run, base, fairness, _learned(run, plain, variants)))


def _add(varied: Varied, trial: Robustly | Fairly) -> Varied:
    rungs = {reached.result.name: reached for reached in [trial.plain, *trial.variants]}
    return Varied([*varied.rungs, *trial.variants], rungs[trial.kept[0]], [*varied.trials, trial])


def _learned(run: TrainingRun, plain: TrainedStage, variants: list[Variant]) -> list[TrainedStage]:
    assert plain.again is not None
    found = []
    for variant in variants:
        run.ahead.pop(variant.name, None)  # its own time comes
        found.append(plain.again(variant))
        if found[-1] is not None:
            run.reached(found[-1].result)
    return [reached for reached in found if reached is not None]


class Fairly:
    """Fair variants against the rung without that change.

    Attributes:
        plain, variants: the rungs.
        kept: the name of the one to keep, and why.
    """

    kind = "fair"

    def __init__(self, run: TrainingRun, plain: TrainedStage, fairness: Fairness, variants: list[TrainedStage]) -> None:
        self.run, self.plain, self.fairness, self.variants = run, plain, fairness, variants
        self._right = _of_val(run, [plain, *variants])
        self.kept = self._choose()

    def _choose(self) -> tuple[str, str]:
        name = self.plain.result.name
        if not self.fairness.judged:
            return name, (
                f"'{name}' is kept without change. Fewer than two groups have {MIN_PICTURES} pictures both for"
                f" validation and"
                " for test, so that no variant could be chosen or judged: give more pictures of the small groups."
            )
        return fair.choose_fair(self.fairness.val, self._right, name)

    def judge(self) -> dict[str, Any]:
        """What the rungs reach for the groups, on validation and on test."""
        fairness, material = self.fairness, self.run.splits
        found: dict[str, Any] = {
            "attribute": fairness.attribute,
            "kept": self.kept[0],
            "reason": self.kept[1],
            "sizes": fairness.sizes(material),
            "rungs": [],
        }
        if not fairness.judged:
            return found
        worst = fairness.val.worst(self._right[self.plain.result.name])[0]
        first: np.ndarray | None = None
        for reached in [self.plain, *self.variants]:
            right = right_of(reached.answer(material.test, "test"), material.test)
            entry = {
                "name": reached.result.name,
                "val": fair.measured(fairness.val, self._right[reached.result.name]),
                "test": fair.measured(fairness.test, right),
                "gain": None if first is None else fair.gains(fairness.test, worst, first, right),
            }
            first = right if first is None else first
            found["rungs"].append(entry)
        return {**found, "worst": worst, "balanced": fairness.val.balanced}


class Robustly:
    """Robust variants against the rung without that change; attributes as of `Fairly`."""

    kind = "robust"

    def __init__(self, run: TrainingRun, plain: TrainedStage, variants: list[TrainedStage]) -> None:
        self.run, self.plain, self.variants = run, plain, variants
        self._clean = _of_val(run, [plain, *variants])
        self._worse, self._rows = self._corrupted("val")
        self.kept = robust.choose_robust(self._clean, self._worse, plain.result.name)

    def _corrupted(self, part: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
        assert self.plain.source is not None
        rows, dataset = robust.corrupted(self.run, self.plain.source, part)
        rungs = [self.plain, *self.variants]
        return {one.result.name: _right(one, dataset, f"corrupted-{part}") for one in rungs}, rows

    def judge(self) -> dict[str, Any]:
        """What the rungs reach on pictures as they are and on corrupted ones, on validation and on test."""
        worse, rows = self._corrupted("test")
        test, name = self.run.splits.test, self.plain.result.name
        clean = {one.result.name: _right(one, test, "test") for one in [self.plain, *self.variants]}
        entries = [
            {
                "name": one,
                "val": robust.measured(self._clean[one], self._worse[one], self._rows),
                "test": robust.measured(clean[one], worse[one], rows),
                "gain": None
                if one == name
                else robust.gains((clean[name], worse[name]), (clean[one], worse[one]), rows),
            }
            for one in clean
        ]
        return {
            "corruptions": list(robust.judged_corruptions(self.run)),
            "severity": robust.SEVERITY,
            "seen": self.kept[0] == "robust",
            "kept": self.kept[0],
            "reason": self.kept[1],
            "rungs": entries,
        }


def _of_val(run: TrainingRun, rungs: list[TrainedStage]) -> Mapping[str, np.ndarray]:
    """Rung -> bool (N,), which validation pictures it has right."""
    val = run.splits.val
    return {one.result.name: right_of(objective_of(run).decode(one.val_logits), val) for one in rungs}


def _right(reached: TrainedStage, dataset: Dataset, name: str) -> np.ndarray:
    probs: Floats = reached.answer(dataset, name)
    return right_of(probs, dataset)
