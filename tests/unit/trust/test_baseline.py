"""The handcrafted baseline learns from fewer pictures than features, and from more."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.trust.baseline import LinearSvm


@pytest.mark.parametrize("count", [60, 400])
def test_what_tells_two_classes_apart_is_found_among_many_features(count: int) -> None:
    rng = np.random.default_rng(0)

    def drawn(rows: int) -> tuple[np.ndarray, np.ndarray]:
        truth = np.arange(rows) % 2
        features = rng.normal(0, 1, (rows, 200))
        features[:, :20] += 2 * truth[:, None] - 1
        return (features * np.linspace(0.1, 20, 200)).astype(np.float32), truth  # of all scales

    machine = LinearSvm.fit(*drawn(count), 2)
    features, truth = drawn(300)
    assert machine.weight.shape == (2, 200)
    assert (machine(features).argmax(1) == truth).mean() > 0.95
