"""Evaluation and comparison know nothing of tasks: they work for one without classes, boxes or labels."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from photovision.core.errors import DataError, UsageError
from photovision.core.page import to_html
from photovision.core.progress import ProgressCallback
from photovision.core.report import Finding, Metric
from photovision.core.task import Task, TaskText
from photovision.core.types import Ints, Sample
from photovision.data.dataset import Dataset, Problem
from photovision.engine.compare import check_comparable, compare_on
from photovision.engine.evaluate import evaluate_on, evaluation_options
from photovision.engine.evaluation import Comparison, Evaluation
from photovision.runtime.held_out import HeldOut
from photovision.tasks.classify.evaluation import ClassifyEvaluation
from photovision.tasks.detect.evaluation import DetectEvaluation
from photovision.tasks.segment.evaluation import SegmentEvaluation
from photovision.trust.metrics.paired_tests import Gains
from photovision.trust.metrics.rates import Rate, of_pictures
from photovision.trust.metrics.statistics import Vector, paired_proportions, proportion

N = 120


@dataclass(frozen=True, eq=False)
class LightEvaluation:
    """Whether the light that a meter reads from each image is the true one."""

    samples: tuple[Sample, ...]
    positions: Ints
    problems: tuple[Problem, ...]
    near: np.ndarray
    score_name: str = "nearness"

    def metrics(self) -> dict[str, Metric]:
        return {"near": Metric(*proportion(int(self.near.sum()), len(self.near)), len(self.near))}

    @property
    def answers(self) -> HeldOut:
        return HeldOut(np.zeros(len(self.near), np.int64), self.near.astype(np.float32), positions=self.positions)

    def score(self) -> Vector:
        return self.near.astype(np.float64)

    def rates(self) -> list[Rate]:
        return [of_pictures("near", "near", self.score())]

    def gains(self, other: LightEvaluation) -> Gains:
        return Gains({"near": Metric(*paired_proportions(self.near, other.near), len(self.near), "points")}, {})

    def at(self, rows: Ints) -> LightEvaluation:
        samples = tuple(self.samples[int(row)] for row in rows)
        return replace(self, samples=samples, positions=self.positions[rows], near=self.near[rows])


def evaluate(
    model: Any, dataset: Dataset, *, progress: ProgressCallback | None = None, embeddings: bool = False
) -> LightEvaluation:
    lit = [row for row, sample in enumerate(dataset.samples) if "light" in sample.groups]
    read = [row for row in lit if isinstance(dataset.samples[row].image, np.ndarray)]
    problems = tuple(Problem(dataset.samples[row].id, "unreadable", "no pixels") for row in lit if row not in read)
    off = []
    for row in read:
        sample = dataset.samples[row]
        assert isinstance(sample.image, np.ndarray)
        off.append(abs(sample.image.mean() * model.scale - float(sample.groups["light"])))
    samples = tuple(dataset.samples[row] for row in read)
    return LightEvaluation(samples, np.array(read, np.int64), problems, np.array(off) < 8)


def findings(evaluation: LightEvaluation) -> Finding:
    return Finding((f"{int(evaluation.near.sum())} readings are near the truth.",), data={"read": len(evaluation.near)})


def compare(a: LightEvaluation, b: LightEvaluation) -> Comparison:
    return Comparison(a.gains(b), finding=Finding(data={"both": int((a.near & b.near).sum())}))


ROW = Task(
    name="light",
    text=TaskText("light meter", "light meters", "how bright an image is"),
    outputs=("light",),
    lead={"near": "nearness"},
    parts={name: f"{__name__}:{name}" for name in ("evaluate", "findings", "compare")},
)


def meter(scale: float = 1.0, row: Task = ROW) -> Any:
    return SimpleNamespace(
        scale=scale, bundle=SimpleNamespace(name="meter", row=row, info={"backbone": {"name": "selenium"}})
    )


def pictures() -> Dataset:
    """Grey images of known light; the last one has none, the one before has no pixels, neither has a class."""
    lights = np.linspace(0, 240, N).round()
    samples = [
        Sample(f"{i}.png", np.full((8, 8, 3), light, np.uint8), None, {"light": str(light)})
        for i, light in enumerate(lights)
    ]
    samples += [
        Sample("lost.png", Path("lost.png"), None, {"light": "9"}),
        Sample("dark.png", np.zeros((8, 8, 3), np.uint8)),
    ]
    return Dataset(tuple(samples), (), problems=(Problem("half.png", "damaged", "the file is truncated"),))


def test_the_report_of_an_evaluation_is_the_same_for_every_task() -> None:
    report = evaluate_on(meter(0.9), pictures(), leaked=range(40))
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["task"] == "light"
    assert report.title == "meter on 120 pictures"
    near = int((np.linspace(0, 240, N).round() * 0.1 < 8).sum())
    assert document["metrics"]["near"]["value"] == pytest.approx(near / N)
    assert document["metrics"]["near_leak_free"]["value"] == pytest.approx((near - 40) / (N - 40))
    assert document["summary"] == [f"{near} readings are near the truth."]
    assert document["read"] == N
    assert document["unreadable"] == [{"id": "lost.png", "message": "no pixels"}]
    assert document["provenance"]["model"] == {"backbone": "selenium"}
    leaked, unread, damaged, unlabelled = report.warnings
    assert "without them the nearness is" in leaked
    assert "1 picture could not be evaluated and was left out: 'lost.png'" in unread
    assert "half.png (damaged)" in damaged
    assert unlabelled == "1 picture without a label was left out."
    assert "meter on 120 pictures" in to_html(report)


def test_the_better_of_two_models_is_found_whatever_they_predict() -> None:
    report = compare_on(meter(0.8), meter(1.0), pictures())
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["verdict"] == "b"
    assert "points of nearness" in report.summary[0]
    of_a, of_b, gain = (document["metrics"][f"near_{name}"]["value"] for name in ("a", "b", "difference"))
    assert gain == pytest.approx(of_b - of_a)
    assert "by_class" not in document
    assert document["both"] == round(of_a * N)
    assert "'lost.png'" in report.warnings[0]
    assert compare_on(meter(1.0), meter(0.8), pictures()).to_json()["verdict"] == "a"
    assert compare_on(meter(), meter(), pictures()).to_json()["verdict"] == "undecided"


def test_what_a_task_does_not_have_is_refused_in_one_sentence() -> None:
    other = replace(ROW, name="dark", text=replace(ROW.text, noun="dark meter"))
    with pytest.raises(DataError, match="A is a light meter and B a dark meter: only models of one task"):
        check_comparable(meter(), meter(row=other))
    with pytest.raises(UsageError, match="A light meter does not accept 'unknown'"):
        evaluation_options(meter(), "evaluate", pictures())
    with pytest.raises(UsageError, match="should be a Dataset"):
        evaluation_options(meter(row=replace(ROW, options={"evaluate": frozenset({"unknown"})})), "evaluate", "x")  # type: ignore[arg-type]


def of_every_task(
    one: ClassifyEvaluation, two: DetectEvaluation, three: SegmentEvaluation, four: LightEvaluation
) -> tuple[Evaluation, ...]:
    """Type checkers see here that the evaluation of every task is one."""
    return one, two, three, four
