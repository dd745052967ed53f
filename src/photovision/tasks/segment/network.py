"""A segmenter in torch, for programs that run torch."""

from __future__ import annotations

from photovision.models.load_network import calibration_of, trained_segmenter
from photovision.models.segmenter import PixelDecider
from photovision.runtime.bundle import Bundle


def network(bundle: Bundle) -> PixelDecider:
    """From uint8 images (N, H, W, 3) to the outputs of the bundle's graph; its `outputs` names them in order.

    Raises:
        ModelError: the bundle has no weights for torch, or lacks its temperature.
    """
    temperature = calibration_of(bundle, lambda info: float(info["temperature"]))
    return PixelDecider(trained_segmenter(bundle), bundle.preprocess, temperature).eval()
