"""Groups: values, bins and intersections, each once."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.core.errors import UsageError
from photovision.trust.fairness.groups import make_groups, read_attribute, read_attributes


def test_words_and_few_numbers_are_their_own_groups() -> None:
    attribute = read_attribute("grade", ["10", "2", "", " 2 ", "1"])
    assert attribute.values == ("1", "2", "10")
    assert not attribute.binned
    assert attribute.labels.tolist() == ["10", "2", "", "2", "1"]


def test_ages_fall_into_decades_and_strays_into_the_outer_ones() -> None:
    ages = [*range(20, 80), *range(20, 80), 104]
    attribute = read_attribute("age", [str(age) for age in ages])
    assert attribute.binned
    assert attribute.values == ("20 to 29", "30 to 39", "40 to 49", "50 to 59", "60 to 69", "70 to 104")
    assert attribute.label("20") == "20 to 29"
    assert attribute.label("29") == "20 to 29"
    assert attribute.label("30") == "30 to 39"
    assert attribute.label("") == ""


def test_lopsided_numbers_fall_into_equal_shares() -> None:
    values = np.random.default_rng(0).exponential(size=500) ** 3
    attribute = read_attribute("dose", [f"{value:.4f}" for value in values])
    counts = [(attribute.labels == value).sum() for value in attribute.values]
    assert len(counts) == 5
    assert max(counts) < 120


def test_numbers_with_a_few_words_among_them_are_still_numbers() -> None:
    attribute = read_attribute("age", [*(str(age) for age in range(100)), "unknown"])
    assert attribute.binned
    assert attribute.labels[-1] == ""
    assert not read_attribute("name", [*(str(i) for i in range(20)), *"abcdefghijkl"]).binned


def test_groups_are_single_values_pairs_and_all_together() -> None:
    attributes = [
        read_attribute("sex", list("fmfmfmfm")),
        read_attribute("site", list("aabbaabb")),
        read_attribute("age", list("yyyyoooo")),
    ]
    names = [group.name for group in make_groups(attributes)]
    assert len(names) == 6 + 12 + 8
    assert names[0] == "sex = f"
    assert "sex = f, site = a" in names
    assert names[-1] == "sex = m, site = b, age = y"


def test_unknown_values_belong_neither_to_a_group_nor_to_the_others() -> None:
    (group, _) = make_groups([read_attribute("sex", ["f", "m", "", "f"])])
    assert group.member.tolist() == [True, False, False, True]
    assert group.known.tolist() == [True, True, False, True]


def test_nested_attributes_make_no_group_twice() -> None:
    attributes = [read_attribute("town", list("aabb")), read_attribute("land", list("xxyy"))]
    assert [group.name for group in make_groups(attributes)] == ["town = a", "town = b"]
    assert make_groups([read_attribute("one", ["a", "a"])]) == []


def test_unknown_attributes_are_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"no attribute 'sx'; they have: sex"):
        read_attributes({"sex": ["f"]}, ["sx"], 1)
    with pytest.raises(UsageError, match="one value a picture"):
        read_attributes({"sex": ["f"]}, ["sex"], 2)
