"""The metrics of anomaly detection, beside scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from photovision.core.errors import UsageError
from photovision.tasks.anomaly.metrics import by_kind, picture_metrics, place_metrics


def test_picture_metrics_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    bad = rng.random(200) < 0.4
    scores = rng.normal(size=200) + bad
    found = picture_metrics(scores, bad, threshold=1.5)
    assert found["auroc"].value == pytest.approx(roc_auc_score(bad, scores))
    assert found["false_alarms"].value == pytest.approx((scores[~bad] >= 1.5).mean())
    allowed = np.sort(scores[~bad])[-2]  # 1% of about 120 is one picture
    assert found["recall_at_1"].value == pytest.approx((scores[bad] > allowed).mean())


def test_each_kind_is_compared_with_all_good_pictures() -> None:
    scores = np.array([0.0, 1, 2, 3, 10, 11, 1.5, 0.5])
    kinds = ["good"] * 4 + ["hole"] * 2 + ["scar"] * 2
    found = by_kind(scores, kinds)
    assert found["hole"].value == 1
    assert found["scar"].value == pytest.approx(roc_auc_score([0] * 4 + [1] * 2, [0, 1, 2, 3, 1.5, 0.5]))


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mask = np.zeros((64, 64), bool)
    mask[10:20, 10:20] = True
    mask[40:43, 40:43] = True
    return rng.random((64, 64)).astype(np.float32), mask


def test_pixel_auroc_agrees_with_scikit_learn_and_chance_is_chance() -> None:
    scenes = [scene(seed) for seed in range(6)]
    heat = [noise + 0.5 * mask.astype(np.float32) for noise, mask in scenes]
    masks = [mask for _, mask in scenes]
    expected = roc_auc_score(np.concatenate([m.ravel() for m in masks]), np.concatenate([h.ravel() for h in heat]))
    assert place_metrics(heat, masks)["pixel_auroc"].value == pytest.approx(expected, abs=0.003)
    # By chance the overlap is the share of false positives: half of the limit on average.
    assert place_metrics([noise for noise, _ in scenes], masks)["aupro"].value == pytest.approx(0.15, abs=0.04)


def test_aupro_counts_small_regions_as_much_as_large_ones() -> None:
    _, mask = scene(0)
    only_large, only_small = np.zeros((64, 64), np.float32), np.zeros((64, 64), np.float32)
    only_large[10:20, 10:20] = 1
    only_small[40:43, 40:43] = 1
    large, small = (place_metrics([heat], [mask])["aupro"].value for heat in (only_large, only_small))
    assert large == pytest.approx(small, abs=0.02)
    assert place_metrics([mask.astype(np.float32)], [mask])["aupro"].value == pytest.approx(1, abs=0.01)


def test_metrics_without_a_truth_are_refused() -> None:
    with pytest.raises(UsageError, match="one good and one bad"):
        picture_metrics(np.ones(3), np.ones(3, bool))
    with pytest.raises(UsageError, match="mask"):
        place_metrics([np.zeros((4, 4), np.float32)], [np.zeros((4, 4), bool)])
