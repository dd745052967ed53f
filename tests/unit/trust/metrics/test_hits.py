"""Boxes are matched with objects as the reference does it, and what follows from it counts pictures, not boxes."""

from __future__ import annotations

import numpy as np
import pytest
from test_detection import CLASSES, said, some_pairs, truth

from photovision.trust.metrics.detection import Pair, best_thresholds, f1, match, resamples, scores
from photovision.trust.metrics.matching import f1_of, find_hits


@pytest.mark.parametrize("seed", range(4))
def test_every_box_is_judged_as_by_the_reference(seed: int) -> None:
    pairs = some_pairs(30, seed)
    found, reference = find_hits(pairs, CLASSES), match(pairs, CLASSES)
    for label, one in enumerate(reference.by["all"]):
        own, counts = found.found.labels == label, one.counts[0]
        assert found.scores[own].tolist() == one.scores[counts].tolist()
        assert found.right[own].tolist() == one.right[0][counts].tolist()
        assert found.objects[:, label].tolist() == one.objects.tolist()


def test_average_precision_is_that_of_the_reference_in_every_resample() -> None:
    pairs = some_pairs(25, 3)
    weights = resamples(25, 20)
    reference = np.stack([one.precisions(weights)[:, 0] for one in match(pairs, CLASSES).by["all"]])
    assert find_hits(pairs, CLASSES).ap50(weights) == pytest.approx(np.nanmean(reference, axis=0))
    assert find_hits(pairs, CLASSES).ap50(weights)[0] == pytest.approx(
        scores(match(pairs, CLASSES))[0]["map50"].value, abs=1e-9
    )


def test_the_tally_counts_what_is_shown() -> None:
    pairs = some_pairs(40, 5)
    found, matches = find_hits(pairs, CLASSES), match(pairs, CLASSES)
    limits = best_thresholds(matches)
    tally = found.tally(limits)
    hits, spare, missed = tally.sum(0)
    assert 2 * hits / (2 * hits + spare + missed) == pytest.approx(f1(matches, limits).value)
    assert found.seen(limits).sum() == hits
    assert (tally[:, 0] + tally[:, 2]).tolist() == found.objects.sum(1).tolist()
    assert 0 < f1_of(tally).mean() < 1


def test_pictures_without_anything_are_no_mistakes() -> None:
    empty = Pair(truth(), said())
    wrong = Pair(truth(), said((0, 0.9, 0, 0, 9, 9)))
    found = find_hits([empty, wrong], CLASSES)
    assert f1_of(found.tally(np.array([0.5] * 3, np.float32))).tolist() == [1, 0]
    assert np.isnan(found.ap50(np.ones((1, 2)))).all()


def test_an_object_is_shared_by_the_box_that_is_on_it() -> None:
    pairs = [
        Pair(truth((1, 0, 0, 5, 5), crowd=[True]), said((1, 0.9, 0, 0, 5, 5))),
        Pair(
            truth((0, 0, 0, 9, 9), (1, 20, 20, 29, 29), crowd=[True, False]),
            said((1, 0.3, 20, 20, 29, 27), (1, 0.8, 50, 50, 60, 60)),
        ),
    ]
    found = find_hits(pairs, CLASSES)
    assert (found.there.picture.tolist(), found.there.row.tolist()) == ([1], [1])
    assert found.object.tolist() == [-1, 0]
    assert found.shared[1] == pytest.approx(7 / 9)
    assert found.found.row.tolist() == [1, 0]
