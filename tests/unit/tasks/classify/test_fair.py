"""Groups by attribute, the choice among fair variants, and what it finds on data without any bias."""

from __future__ import annotations

import numpy as np
import pytest
from stand_in import stripes

from photovision.core.errors import DataError
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.split import Splits
from photovision.engine.splits import TrainingSplits
from photovision.tasks.classify.fair import Fairness, cells_of, choose_fair, groups_of, values_of
from photovision.trust.fairness.group_accuracy import Served


def dataset(values: list[str | None], labels: list[str] | None = None) -> Dataset:
    names = labels or ["x"] * len(values)
    samples = tuple(
        Sample(str(i), stripes(0), (label,), {"site": value, "age": "7"} if value else {"age": "7"})
        for i, (value, label) in enumerate(zip(values, names, strict=True))
    )
    return Dataset(samples, ("x", "y"))


def test_unknown_attributes_name_the_known_ones() -> None:
    with pytest.raises(DataError, match="attribute 'sex' to be fair by: known are age, site"):
        values_of(dataset(["a", "b"]), "sex")
    with pytest.raises(DataError, match="these pictures have none"):
        values_of(Dataset((Sample("1", stripes(0), ("x",)),), ("x",)), "sex")


def test_an_attribute_must_make_groups() -> None:
    with pytest.raises(DataError, match="one value only"):
        values_of(dataset(["a", "a"]), "site")
    with pytest.raises(DataError, match="30 different values"):
        values_of(dataset([f"patient {i}" for i in range(30)]), "site")


def test_pictures_without_the_attribute_are_groups_of_their_own_and_small_cells_are_put_together() -> None:
    data = dataset(["a"] * 12 + [None] * 6 + ["b"] * 8, ["x"] * 6 + ["y"] * 6 + ["x"] * 6 + ["x", "y"] * 2 + ["y"] * 4)
    groups = groups_of(data, "site", values_of(data, "site"))
    assert groups.tolist() == [0] * 12 + [-1] * 6 + [1] * 8
    cells = cells_of(data, groups)
    assert cells.max() + 1 == len(np.unique(cells)) == 5
    assert len({cells[0], cells[6], cells[12], cells[18], cells[19]}) == 5  # b has 2 of x, put by themselves
    assert cells[18] == cells[20]


def material(values: list[str | None]) -> TrainingSplits:
    n = len(values)
    data = dataset(values, [("x", "y")[i % 2] for i in range(n)])
    parts = [np.arange(start, n, 3) for start in range(3)]
    splits = Splits(*parts, leaked=np.array([], int), published=False, notes=())
    return TrainingSplits(data, splits, (), np.full(n, 24, np.int32))


def test_groups_are_judged_where_validation_and_test_have_ten_pictures() -> None:
    found = Fairness.of(material(["a"] * 60 + ["b"] * 60 + ["c"] * 6 + [None] * 3), "site")
    assert found.judged
    assert list(found.val.strata) == list(found.test.strata) == ["a", "b"]
    assert found.sizes(material(["a"] * 60 + ["b"] * 60 + [None] * 3))["not given"] == {"train": 1, "val": 1, "test": 1}
    assert not Fairness.of(material(["a"] * 60 + ["b"] * 6), "site").judged


GROUPS, LABELS = np.repeat([0, 1], 100), np.arange(200) % 2
JUDGES = Served.of(GROUPS, ("a", "b"), LABELS)


def answers(rng: np.random.Generator, a: float, b: float) -> np.ndarray:
    return rng.random(200) < np.where(GROUPS == 0, a, b)


def test_a_fairer_variant_is_kept_and_its_price_limited() -> None:
    rng = np.random.default_rng(0)
    plain, fair, dear = answers(rng, 0.95, 0.5), answers(rng, 0.93, 0.8), answers(rng, 0.5, 0.62)
    kept, reason = choose_fair(JUDGES, {"plain": plain, "fair": fair}, "plain")
    assert kept == "fair"
    assert "'b'" in reason
    assert choose_fair(JUDGES, {"plain": plain, "dear": dear}, "plain")[0] == "plain"


def test_on_equal_variants_the_plain_one_is_nearly_always_kept() -> None:
    """Three variants without any effect: by chance one is kept in few of 200 cases, for each must beat chance."""
    rng, kept = np.random.default_rng(1), 0
    for _ in range(200):
        right = {name: answers(rng, 0.8, 0.8) for name in ("plain", "1", "2", "3")}
        kept += choose_fair(JUDGES, right, "plain")[0] != "plain"
    assert kept / 200 < 0.15
