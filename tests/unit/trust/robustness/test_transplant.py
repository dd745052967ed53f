"""Transplants paste what they say, and count donors, not copies of donors."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.trust.robustness.patch_transplant import Bench, TransplantRegion, border_regions, centred


@pytest.mark.parametrize("size", [(28, 28), (33, 61), (224, 224)])
def test_regions_lie_at_the_border_and_are_small(size: tuple[int, int]) -> None:
    regions = border_regions(*size)
    assert len({region.name for region in regions}) == len(regions)
    middle = np.zeros(size, bool)
    middle[size[0] // 4 + 1 : -size[0] // 4 - 1, size[1] // 4 + 1 : -size[1] // 4 - 1] = True
    for region in regions:
        assert region.masks.shape == (1, *size)
        assert 0 < region.masks.mean() < 0.3
        assert not (region.masks[0] & middle).any()
    cells = np.sum([region.masks[0] for region in regions[:12]], axis=0)
    assert cells.max() == 1  # the twelve cells do not overlap
    assert regions[0].masks[0, 0, 0]
    assert "corner" in regions[0].name


def test_the_centre_to_compare_with_is_as_large_and_in_the_middle() -> None:
    for region in border_regions(224, 224):
        centre = centred(224, 224, region.pixels)
        assert centre.pixels == pytest.approx(region.pixels, rel=0.05)
        rows, columns = np.nonzero(centre.masks[0])
        assert abs(rows.mean() - 111.5) <= 0.5
        assert abs(columns.mean() - 111.5) <= 0.5


def test_pasting_takes_the_masked_places_from_the_donor() -> None:
    images = np.stack([np.full((8, 8, 3), value, np.uint8) for value in (10, 20, 30)])
    bench = Bench(lambda pictures: pictures[:, :1, 0, 0].astype(np.float32), lambda p: p > 0, images, np.eye(3) > 0)
    corner = border_regions(8, 8)[0]
    (pasted,) = bench.paste(corner.masks, np.array([2]), np.array([0]))
    assert (pasted[:2, :2] == 30).all()
    assert (pasted[2:] == 10).all()
    assert (pasted[:, 2:] == 10).all()
    own = TransplantRegion("own", np.stack([corner.masks[0], ~corner.masks[0]]))
    assert bench.ask(own, np.array([2, 2]), np.array([0, 0])).ravel().tolist() == [30, 10]
