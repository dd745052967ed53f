"""Old names of public things still work, and warn."""

from dataclasses import replace

import numpy as np
import pytest

from photovision.core.regions import Detections
from photovision.core.types import Sample

BOXES = Detections(np.float32([[0, 0, 4, 4]]), np.array([0]), ("bolt",))


def test_a_samples_regions_are_its_annotations_and_warn() -> None:
    sample = Sample("a", np.zeros((8, 8, 3), np.uint8), ("bolt",), annotations=BOXES)
    with pytest.warns(DeprecationWarning, match="'regions' is now called 'annotations'") as seen:
        assert sample.regions is BOXES  # type: ignore[attr-defined]
    assert seen[0].filename == __file__


def test_the_old_keyword_makes_and_replaces_a_sample() -> None:
    with pytest.warns(DeprecationWarning, match="annotations"):
        sample = Sample("a", np.zeros((8, 8, 3), np.uint8), ("bolt",), regions=BOXES)  # type: ignore[call-arg]
    assert sample.annotations is BOXES
    with pytest.warns(DeprecationWarning, match="annotations"):
        assert replace(sample, regions=None).annotations is None  # type: ignore[call-arg]
