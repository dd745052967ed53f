"""A classifier in torch, for programs that run torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch

from photovision.core.types import Image
from photovision.engine.parity import Outputs
from photovision.models.calibrated_head import fold_temperature
from photovision.models.export import Decider
from photovision.models.load_network import calibration_of, trained_network
from photovision.runtime.bundle import Bundle
from photovision.tasks.classify.recognizer import Recognizer


def network(bundle: Bundle) -> Decider:
    """From uint8 images (N, H, W, 3) to the outputs of the bundle's graph; its `outputs` names them in order.

    Raises:
        ModelError: the bundle has no weights for torch, or lacks its temperature.
    """
    temperature = calibration_of(bundle, lambda info: float(info["temperature"]))
    decider = Decider(trained_network(bundle), bundle.preprocess, temperature, bundle.multilabel)
    return decider.eval()


def timm_outputs(model: Recognizer, folder: Path) -> Callable[[Image], Outputs]:
    """The probabilities that a folder gives which timm reads: from uint8 images (N, H, W, 3) to "probs"."""
    fold_temperature(folder, model.info)  # older bundles have other weights
    loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    normalise, multilabel = model.preprocess.normalise, model.multilabel

    @torch.no_grad()
    def run(images: Image) -> Outputs:
        logits = loaded(torch.from_numpy(np.stack([normalise(image) for image in images])))
        return {"probs": (logits.sigmoid() if multilabel else logits.softmax(1)).numpy()}

    return run
