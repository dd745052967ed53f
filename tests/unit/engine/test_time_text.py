"""What became of the time of a training."""

from __future__ import annotations

import pytest

from photovision.engine.time_text import enough_minutes, time_told


@pytest.mark.parametrize(("minutes", "seconds"), [(0.5, 37.9), (2, 136.0), (5, 334.0), (5, 12.0)])
def test_a_budget_that_was_kept_is_no_matter(minutes: float, seconds: float) -> None:
    assert time_told({"minutes": minutes, "seconds": seconds, "others": 1.5}) == []


def test_what_took_longer_is_explained_by_the_other_programs_only_where_there_were_some() -> None:
    busy, quiet = (time_told({"minutes": 2, "seconds": 337.0, "others": load}) for load in (1.4, 0.1))
    assert busy[0].startswith("It took 5 min 37 s of 2 min asked: the machine was busy, other programs took 1.4 of")
    assert "busy" not in quiet[0]


def test_what_was_not_tried_is_named_with_minutes_that_would_do() -> None:
    training = {"minutes": 1, "seconds": 60, "not_tried": [{"stage": "whole network", "minutes": 12.0}]}
    assert time_told(training) == ["Not tried for lack of time: whole network (12 min would do)."]
    assert time_told({"minutes": 1, "seconds": 60}) == [], "models of before know nothing of it"


def test_minutes_are_round_and_enough() -> None:
    for seconds in (3, 29, 61, 170, 500, 3000):
        minutes = enough_minutes(seconds)
        assert seconds <= 60 * minutes
        assert minutes <= max(0.5, 1.5 * seconds / 60 + 1)
