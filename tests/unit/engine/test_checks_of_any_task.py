"""Checks of an audit that are written once know no classes, boxes or labels; each finds what is planted, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from photovision.core.errors import DataError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.core.progress import Progress
from photovision.core.types import Image, Ints, Sample
from photovision.engine import checks
from photovision.engine.audit import run_checks
from photovision.engine.audit_context import AuditContext, AuditRequest
from photovision.trust.metrics.detection import resamples
from photovision.trust.metrics.rates import Rate, of_pictures
from photovision.trust.metrics.statistics import Vector

N = 240


@dataclass(frozen=True, eq=False)
class Readings:
    """Whether the light that a meter reads from each of N images is near the true one."""

    samples: tuple[Sample, ...]
    near: Vector
    score_name: str = "nearness"

    def score(self) -> Vector:
        return self.near

    def rates(self) -> list[Rate]:
        return [of_pictures("nearness", "near", self.near)]

    def at(self, rows: Ints) -> Readings:
        return Readings(tuple(self.samples[int(row)] for row in rows), self.near[rows])


def image(light: float, number: int) -> Image:
    noise = np.random.default_rng(number).normal(0, 6, (32, 32, 1))
    return np.clip(light + noise, 0, 255).repeat(3, 2).astype(np.uint8)


def context(unfair: float = 0.0, dim: bool = False, **choice: Any) -> AuditContext:
    """A meter whose readings fail for this share of the images of an old camera, or for dark images."""
    rng, lights = np.random.default_rng(0), np.linspace(20, 230, N)[np.random.default_rng(1).permutation(N)]
    samples, near = [], []
    for number, light in enumerate(lights):
        camera = "old" if number % 3 == 0 else "new"
        fails = (camera == "old" and rng.random() < unfair) or (dim and light < 60) or rng.random() < 0.05
        samples.append(Sample(f"{number}.png", image(light, number), None, {"camera": camera}))
        near.append(0.0 if fails else 1.0)
    model = SimpleNamespace(preprocess=Preprocess((32, 32)), info={"data": {"groups": {"camera": {"old": 3}}}})
    request = AuditRequest(seed=3, **choice)
    return AuditContext(model, Readings(tuple(samples), np.array(near)), request, 2.0)


def test_a_group_with_worse_rates_is_found_and_none_where_there_is_none() -> None:
    found = checks.groups(context(unfair=0.5))
    assert found.data["fairness"]["found"] == ["camera = old"]
    assert found.metrics["worst_group_nearness"].value < 0.8
    assert checks.groups(context()).data["fairness"]["found"] == []


def test_images_without_attributes_cannot_be_compared() -> None:
    one = context()
    plain = tuple(Sample(sample.id, sample.image) for sample in one.samples)
    bare = AuditContext(one.model, Readings(plain, one.evaluation.near), one.request, 1.0)
    assert checks.groups(bare).summary == (checks.NOT_COMPARED,)
    with pytest.raises(DataError, match="no picture has the attribute 'shift' to compare groups by; known: camera"):
        _ = context(by=("shift",)).groups


def test_a_kind_of_image_with_low_scores_is_found_and_none_where_there_is_none() -> None:
    assert any("dark" in sentence for sentence in checks.slices(context(dim=True)).summary)
    sound = checks.slices(context())
    assert not sound.warnings
    assert not any("brightness" in sentence and "dark" in sentence for sentence in sound.summary)


@dataclass(frozen=True, eq=False)
class Meter:
    """What corruptions do to the readings of a meter: a share of images whose reading stays near."""

    context: AuditContext
    left_out: Sequence[str] = ("rotation",)
    max_images: int = 40

    def views(self, rows: Sequence[int]) -> tuple[list[Image], list[float]]:
        images = [*self.context.pixels(rows)]
        return images, [float(one.mean()) for one in images]

    def predict(self, images: Sequence[Image]) -> list[float]:
        return [float(np.asarray(one).mean()) for one in images]

    def measure(self, truth: Sequence[float], name: str, severity: int, predicted: list[float]) -> dict[str, Vector]:
        near = (np.abs(np.array(truth) - predicted) < 8).astype(np.float64)
        return {"nearness": resamples(len(truth), 50, self.context.seed) @ near / len(truth)}

    def example(self, rows: Sequence[int], truth: Sequence[float]) -> int:
        return 0

    def drawn(
        self, image: Image, truth: float, predicted: float, name: str, severity: int, seed: tuple[int, int]
    ) -> checks.Shown:
        return image, f"reads {predicted:.0f}"


def test_conditions_that_cost_something_are_found_and_others_are_not() -> None:
    one = context()
    found = checks.conditions(one, Meter(one))
    told = found.data["robustness"]["conditions"]
    assert told["night"]["p"] < 0.01
    assert told["noise"]["p"] > 0.05
    assert "rotation" not in told
    assert found.data["robustness"]["left_out"] == ["rotation"]
    assert 0 < found.metrics["corrupted_nearness"].value < found.metrics["uncorrupted_nearness"].value == 1
    (strip,) = (figure for figure in found.figures if figure.title == "What was done to the pictures")
    assert strip.pictures[0][1].startswith("as it is\nreads ")
    few = AuditContext(one.model, one.evaluation.at(np.arange(5)), one.request, 1.0)
    assert "takes 10 pictures, there are 5" in checks.conditions(few, Meter(few)).summary[0]


def test_checks_run_in_their_order_and_say_how_far_they_are() -> None:
    heard: list[Progress] = []
    one = context()
    listening = AuditContext(one.model, one.evaluation, one.request, 1.0, heard.append)
    found, seconds = run_checks({"groups": checks.groups, "nothing": lambda _: None}, listening)
    assert len(found) == 1
    assert list(seconds) == ["groups", "nothing"]
    assert [(event.stage, event.done) for event in heard] == [(n, d) for n in seconds for d in (0, 1)]


def test_a_request_is_checked_before_the_work() -> None:
    known = ("groups", "slices", "conditions")
    assert AuditRequest().chosen(known, "a meter") == list(known)
    assert AuditRequest(only=("conditions", "groups")).chosen(known, "a meter") == ["groups", "conditions"]
    with pytest.raises(UsageError, match="no check 'gruops' of a meter; did you mean groups"):
        AuditRequest(only=("gruops",)).chosen(known, "a meter")
    with pytest.raises(UsageError, match="minutes should be above 0"):
        AuditRequest(minutes=0)


def test_pixels_are_those_of_images_spread_over_the_evaluation() -> None:
    one = context()
    assert one.rows.tolist() == list(range(N))
    assert one.images.shape == (N, 32, 32, 3)
    np.testing.assert_array_equal(one.pixels([7])[0], one.samples[7].image)
    assert one.part.near.tolist() == one.evaluation.near.tolist()
    assert one.train_counts == {"camera": {"old": 3}}
