"""Accuracy by similarity: a planted fall is found, a flat curve stays flat, and estimates hold where they should."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from photovision.core.errors import ModelError
from photovision.core.report import Metric
from photovision.runtime.bundle_schema import check_info
from photovision.runtime.similarity import (
    NAME,
    ExpectedAccuracy,
    SimilarityIndex,
    read_expected,
    why_missing,
)
from photovision.trust.similarity import estimate, fit_expected_accuracy
from photovision.trust.similarity_text import ScoredPictures, falling, finding, headline

Pictures = tuple[np.ndarray, np.ndarray, np.ndarray]


def _pictures(count: int, low: float, high: float, seed: int, fall: float = 8.0) -> Pictures:
    """Confidence, similarity and whether right: overconfident where similarity is low, by `fall` logits a unit."""
    rng = np.random.default_rng(seed)
    similarity = rng.uniform(low, high, count)
    logits = rng.normal(2.5, 1, count)
    right = rng.random(count) < 1 / (1 + np.exp(-(logits - fall * (0.85 - similarity))))
    return 1 / (1 + np.exp(-logits)), similarity, right.astype(float)


def _fitted(*pictures: Any, **choices: Any) -> ExpectedAccuracy:
    found = fit_expected_accuracy(*pictures, **choices)
    assert found is not None
    return found


def test_a_planted_fall_is_estimated_without_labels() -> None:
    expected = _fitted(*_pictures(400, 0.45, 0.95, 0))
    for seed, (low, high) in enumerate([(0.8, 0.95), (0.6, 0.8), (0.45, 0.7)]):
        confidence, similarity, right = _pictures(300, low, high, 10 + seed)
        found = estimate(expected, confidence, similarity, seed=1)
        assert found.n == 300
        assert found.value == pytest.approx(right.mean(), abs=0.06)
        assert found.low is not None
        assert found.high is not None
        assert found.low <= right.mean() <= found.high
        assert found.high - found.low < 0.3


def test_intervals_hold_the_truth_for_most_places() -> None:
    inside = 0
    for seed in range(20):
        expected = _fitted(*_pictures(150, 0.5, 0.95, seed, fall=4 + seed % 3))
        confidence, similarity, right = _pictures(200, 0.4, 0.7, 100 + seed, fall=4 + seed % 3)
        found = estimate(expected, confidence, similarity)
        inside += bool(found.low is not None and found.high is not None and found.low <= right.mean() <= found.high)
    assert inside >= 18


def test_expectations_never_fall_with_similarity_or_confidence() -> None:
    confidence, similarity, _ = _pictures(200, 0.3, 0.9, 0)
    backwards = (similarity + confidence < np.median(similarity + confidence)).astype(float)  # a relation upside down
    expected = _fitted(confidence, similarity, backwards)
    grid = np.linspace(0.05, 0.95, 20)
    for values in (expected.of(np.full(20, 0.7), grid), expected.of(grid, np.full(20, 0.6))):
        assert (np.diff(values) >= 0).all()
    assert (expected.resampled[:, 1:] >= 0).all()


def test_where_nothing_goes_wrong_nothing_is_promised_to_be_perfect() -> None:
    rng = np.random.default_rng(0)
    confidence, similarity = np.full(200, 0.97), rng.uniform(0.6, 0.95, 200)
    all_right = _fitted(confidence, similarity, np.ones(200))
    three_wrong = _fitted(confidence, similarity, np.r_[np.zeros(3), np.ones(197)])
    for expected in (all_right, three_wrong):
        value = expected.of(np.float32([0.97]), np.float32([0.8]))[0]
        assert 0.96 < value < 0.9999
        assert np.isfinite(expected.resampled).all()
    assert all_right.curve[-1].low < 1


def test_too_few_pictures_give_no_curve() -> None:
    assert fit_expected_accuracy(*_pictures(29, 0.4, 0.9, 0)) is None


def test_components_that_stand_together_count_once() -> None:
    confidence, similarity, right = _pictures(40, 0.4, 0.9, 0)
    once = _fitted(confidence, similarity, right)
    tenfold = [np.repeat(part, 10) for part in (confidence, similarity, right)]
    together = _fitted(*tenfold, np.repeat(np.arange(40), 10))
    apart = _fitted(*tenfold)
    spread = [found.resampled[:, 2].std() for found in (once, together, apart)]
    assert spread[1] > 0.7 * spread[0]
    assert spread[2] < 0.8 * spread[1]
    assert together.curve[0].high - together.curve[0].low > 2 * (apart.curve[0].high - apart.curve[0].low)


def test_scores_between_0_and_1_are_estimated_too() -> None:
    confidence, similarity, _ = _pictures(300, 0.4, 0.9, 0)
    expected = _fitted(confidence, similarity, similarity**2, name="IoU")
    assert estimate(expected, confidence, np.full(300, 0.6)).value == pytest.approx(0.36, abs=0.06)
    assert finding(expected).tables[0].columns[2] == "IoU"


def test_the_headline_names_what_falls_and_is_short_where_nothing_does() -> None:
    lead = Metric(0.997, 0.99, 1.0, 300)
    fall = _fitted(*_pictures(600, 0.45, 0.95, 0))
    sentence = headline(fall, lead, "accuracy")
    assert sentence.startswith(
        "99.7% accuracy on pictures like those of the test (median similarity to the nearest training picture 0."
    )
    assert "0.6 to 0.7" in sentence
    confidence, similarity, right = _pictures(600, 0.45, 0.95, 0, fall=0.0)
    flat = _fitted(confidence, similarity, right)
    assert falling(flat) == []
    assert headline(flat, lead, "accuracy").endswith(".")
    assert "about" not in headline(flat, lead, "accuracy")
    assert "Too few" not in headline(flat, lead, "accuracy")
    untold = _fitted(*_pictures(60, 0.91, 0.99, 0, fall=0.0))
    assert "Too few held-out pictures were less similar" in headline(untold, lead, "accuracy")


def test_a_model_that_learned_nothing_has_nothing_to_lose() -> None:
    rng = np.random.default_rng(3)
    for seed in range(5):
        confidence, similarity, _ = _pictures(800, 0.4, 0.95, seed)
        chance = (rng.random(800) < 0.1).astype(float)
        assert falling(_fitted(confidence, similarity, chance)) == []


def test_the_table_holds_measured_beside_expected() -> None:
    held_out, place = _pictures(400, 0.45, 0.95, 0), _pictures(200, 0.45, 0.7, 1)
    expected = _fitted(*held_out)
    measured = ScoredPictures(place[2], expected.of(place[0], place[1]), place[1].astype(np.float32))
    found = finding(expected, {"these pictures": measured.similarity}, measured)
    table = found.tables[0]
    assert table.columns[-3:] == ("these pictures", "measured", "expected")
    assert sum(row[3] for row in table.rows) == 200
    assert found.figures[0].svg.startswith("<svg")
    assert "was to be expected" in found.summary[0]


def test_json_keeps_everything_and_old_bundles_have_none() -> None:
    expected = _fitted(*_pictures(100, 0.4, 0.9, 0))
    info = {"classes": ["a", "b"], NAME: json.loads(json.dumps(expected.to_json()))}
    again = read_expected(info)
    assert again is not None
    assert again.curve == expected.curve
    assert again.reliability == expected.reliability
    assert np.allclose(again.resampled, expected.resampled, rtol=1e-4, atol=1e-6)
    assert why_missing(info) == ""
    assert read_expected({}) is None
    assert "older Photovision" in why_missing({})
    assert why_missing({NAME: {"version": 1, "missing": "Too few."}}) == "Too few."
    assert read_expected({NAME: {"version": 2, "n": 3}}) is None


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("coefficients", [1.0, 2.0]),
        ("coefficients", [1.0, -2.0, 1.0]),
        ("resampled", []),
        ("resampled", [[1.0, 1.0], [1.0, 1.0]]),
        ("resampled", [[0.0, 1.0, 1.0]] * 5000),
        ("curve", None),
        ("coefficients", None),
        ("reliability", {"error": 0.1, "spread": -1.0, "folds": 3}),
        ("score", "accuracy\x1b[31m"),
    ],
)
def test_a_damaged_one_is_refused(part: str, value: object) -> None:
    stored = {**_fitted(*_pictures(100, 0.4, 0.9, 0)).to_json(), part: value}
    with pytest.raises(ModelError, match="accuracy_by_similarity"):
        read_expected({NAME: stored})


@pytest.mark.parametrize("value", [3, {"version": "1"}, {"version": 1, "curve": [{"start": "x"}]}, {"n": 3}])
def test_values_of_another_kind_are_refused_when_a_bundle_is_opened(value: object) -> None:
    plain = {"classes": ["a"], "preprocess": {"size": [8, 8], "hash": ""}, "training": {}, "licences": []}
    with pytest.raises(ModelError, match="accuracy_by_similarity"):
        check_info({**plain, NAME: value}, "model")


def test_similarity_is_the_cosine_without_what_all_pictures_share() -> None:
    rng = np.random.default_rng(0)
    shared = np.zeros(16)
    shared[0] = 5
    kinds = np.eye(16)[1:5].repeat(10, 0)
    known = kinds + shared + rng.normal(0, 0.02, (40, 16))
    index = SimilarityIndex.around(known / np.linalg.norm(known, axis=1, keepdims=True))
    new = np.eye(16)[[1, 9]] + shared
    alike, strange = index.of((new / np.linalg.norm(new, axis=1, keepdims=True)).astype(np.float32))
    assert alike > 0.95
    assert strange < 0.5
    with pytest.raises(ModelError, match="numbers"):
        index.of(np.zeros((1, 3), np.float32))


def _changed(sudden: bool) -> ExpectedAccuracy:
    """Fitted to 80 pictures, and to as many after four changes, of which the last may ruin what it makes less alike."""
    rng = np.random.default_rng(5)
    change = np.repeat(np.arange(5), [80, 20, 20, 20, 20])
    similarity = np.where(change == 0, rng.uniform(0.6, 0.9, 160), rng.uniform(0.2, 0.6, 160))
    score = np.clip(similarity + rng.normal(0, 0.05, 160), 0, 1)
    score[change == 4] *= 0.0 if sudden else 1.0
    found = fit_expected_accuracy(np.full(160, 0.7), similarity, score, np.arange(160) % 80, name="F1", change=change)
    assert found is not None
    return found


def test_changed_pictures_tell_what_less_similar_ones_score() -> None:
    found = _changed(sudden=False)
    assert (found.changed, found.n) == (80, 160)
    assert found.usual == pytest.approx(0.75, abs=0.05)  # of those as they are
    assert found.reliability is not None
    assert found.reliability.error < 0.05
    assert estimate(found, np.full(50, 0.7), np.full(50, 0.3)).value == pytest.approx(0.3, abs=0.08)
    assert "80 of the 160 are others of them, made darker" in finding(found).tables[0].note
    assert read_expected({NAME: found.to_json()}).changed == 80  # type: ignore[union-attr]


def test_changes_that_others_do_not_foretell_are_not_learned_from() -> None:
    found = _changed(sudden=True)
    assert (found.changed, found.n) == (0, 80)
    assert "darker" not in finding(found).tables[0].note
