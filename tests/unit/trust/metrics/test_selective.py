"""Answering less: the curve rises where confidence means something and is flat where it means nothing."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.trust.metrics.selective import area_of_risk, selective, selective_finding


def test_good_confidence_makes_the_surest_answers_right() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random(2000).astype(np.float32)
    right = rng.random(2000) < confidence
    curve = selective(confidence, right)
    assert curve.accuracy[0] > 0.9
    assert curve.share[-1] == 1
    assert curve.accuracy[-1] == pytest.approx(right.mean())
    assert ((curve.low <= curve.accuracy) & (curve.accuracy <= curve.high)).all()


def test_confidence_without_meaning_buys_nothing() -> None:
    rng = np.random.default_rng(0)
    right = rng.random(4000) < 0.7
    blind = area_of_risk(rng.random(4000), right)
    assert blind == pytest.approx(0.3, abs=0.04)
    assert area_of_risk(right + rng.random(4000) / 10, right) < 0.06


def test_the_finding_counts_the_surest_four_in_five() -> None:
    confidence = np.linspace(0, 1, 100, dtype=np.float32)
    found = selective_finding(confidence, np.arange(100) >= 20)
    assert found.metrics["selective_accuracy"].value == 1
    assert found.metrics["selective_accuracy"].n == 80
    assert "100.0% are right instead of 80.0%" in found.summary[0]


def test_few_pictures_say_nothing() -> None:
    assert not selective_finding(np.ones(49, np.float32), np.ones(49, bool)).metrics
