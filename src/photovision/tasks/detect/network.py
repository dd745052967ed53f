"""A detector in torch, for programs that run torch."""

from __future__ import annotations

from typing import Any

from photovision.models.detector import BoxDecider
from photovision.models.load_network import calibration_of, trained_detector
from photovision.runtime.bundle import Bundle


def network(bundle: Bundle) -> BoxDecider:
    """From uint8 images (N, H, W, 3) to the outputs of the bundle's graph; its `outputs` names them in order.

    Raises:
        ModelError: the bundle has no weights for torch, or lacks its calibration.
    """

    def read(info: dict[str, Any]) -> tuple[list[float], list[float]]:
        slope, shift = ([float(value) for value in info["calibration"][name]] for name in ("slope", "shift"))
        if not len(slope) == len(shift) == len(bundle.classes):
            raise ValueError(f"{len(slope)} values for {len(bundle.classes)} classes")
        return slope, shift

    slope, shift = calibration_of(bundle, read)
    return BoxDecider(trained_detector(bundle), bundle.preprocess, slope, shift).eval()
