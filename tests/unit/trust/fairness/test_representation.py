"""Representation: groups nearly absent from training are warned of, others are not."""

from __future__ import annotations

from photovision.trust.fairness.groups import read_attribute
from photovision.trust.fairness.representation import representation


def test_an_absent_group_is_warned_of_and_present_ones_are_not() -> None:
    sex = read_attribute("sex", ["f"] * 100 + ["m"] * 100)
    found = representation([sex], {"sex": {"f": 30, "m": 970}}, 20)
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("sex = f is nearly absent from the training data: 30 of 1,000")
    assert representation([sex], {"sex": {"f": 400, "m": 600}}, 20).warnings == ()


def test_few_pictures_are_no_evidence() -> None:
    sex = read_attribute("sex", ["f"] * 4 + ["m"] * 100)
    assert representation([sex], {"sex": {"m": 12}}, 3).warnings == ()
    assert representation([sex], {}, 20) == (None, ())


def test_training_values_fall_into_the_same_bins_and_unseen_groups_are_listed() -> None:
    age = read_attribute("age", [str(20 + i % 40) for i in range(200)])
    site = read_attribute("site", ["a"] * 200)
    found = representation([age, site], {"age": {"25": 10, "29": 20, "": 5, "41": 70}, "site": {"b": 9}}, 20)
    assert found.table is not None
    rows = {row[0]: row for row in found.table.rows}
    label = age.label("25")
    assert rows[f"age = {label}"][1] == sum(n for value, n in (("25", 10), ("29", 20)) if age.label(value) == label)
    assert rows["site = b"][1:4:2] == (9, 0)
