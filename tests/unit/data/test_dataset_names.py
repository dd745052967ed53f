"""The old spelling of what is known of the images of a data set."""

from __future__ import annotations

import pytest

from photovision.core.errors import DataError
from photovision.data.dataset import Dataset


@pytest.mark.parametrize(("old", "new"), [("classify", "labels"), ("detect", "boxes"), ("segment", "masks")])
def test_the_task_of_data_is_the_old_spelling_of_the_type_of_its_annotations(old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match="annotation_type"):
        data = Dataset((), ("a",), task=old)  # type: ignore[call-arg]
    assert data.annotation_type == new
    with pytest.warns(DeprecationWarning, match="Dataset.annotation_type"):
        assert data.task == old


def test_annotations_of_no_kind_are_refused() -> None:
    with pytest.raises(DataError, match="labels, boxes, masks, defects, got 'dots'"):
        Dataset((), (), annotation_type="dots")  # type: ignore[arg-type]
