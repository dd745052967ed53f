"""Gradients: explanations that need the network in torch.

Sources: Grad-CAM: Selvaraju et al. 2017. HiResCAM: Draelos & Carin 2020, "Use HiResCAM instead of Grad-CAM for faithful
explanations". Integrated gradients: Sundararajan, Taly & Yan 2017, through Captum.

Grad-CAM is written here, since Captum's takes the second axis for channels, which in transformers is that of the
tokens; on convolutional networks the two agree, and a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from photovision.core.errors import MissingExtra
from photovision.core.types import Floats, Image, Ints
from photovision.trust.explain.explained_model import ExplainedModel, Explainer, blurred, resized
from photovision.trust.explain.hooks import as_maps, blocks_of, outputs_of

if TYPE_CHECKING:
    import torch
    from torch import nn

    Weigh = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

BATCH = 16
STEPS, SMOOTH = 32, 0.02
"""Points on the way from the blurred picture to the picture, at which integrated gradients are taken; and how far
pixels are smoothed, by the picture's sides, since of scattered pixels nothing can be seen."""


def _grad_cam(subject: ExplainedModel, images: Image, classes: Ints) -> Floats:
    """Each map counts by the mean of its gradient; what speaks against the class is cut off, as in the paper."""
    return _weighed(subject, images, classes, lambda maps, slope: (slope.mean((2, 3), True) * maps).sum(1).clamp(min=0))


def _hires_cam(subject: ExplainedModel, images: Image, classes: Ints) -> Floats:
    """Each place of each map counts by its own gradient."""
    return _weighed(subject, images, classes, lambda maps, slope: (slope * maps).sum(1))


def _integrated(subject: ExplainedModel, images: Image, classes: Ints) -> Floats:
    try:
        from captum.attr import IntegratedGradients
    except ImportError:
        raise MissingExtra("captum", "the method integrated-gradients") from None
    import torch
    from scipy.ndimage import gaussian_filter

    method, found = IntegratedGradients(subject.network), []
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH]
        values = method.attribute(
            _normalised(subject, part).requires_grad_(),
            baselines=_normalised(subject, blurred(part)),
            target=torch.from_numpy(classes[start : start + BATCH]),
            n_steps=STEPS,
            internal_batch_size=BATCH,
        )
        found.append(values.detach().sum(1).numpy())
    sigma = (0, SMOOTH * subject.size[0], SMOOTH * subject.size[1])
    return np.asarray(gaussian_filter(np.concatenate(found), sigma, mode="nearest"), np.float32)


def _weighed(subject: ExplainedModel, images: Image, classes: Ints, weigh: Weigh) -> Floats:
    import torch

    network, found = subject.network, []
    for start in range(0, len(images), BATCH):
        batch = _normalised(subject, images[start : start + BATCH]).requires_grad_()
        places, logits = _last_features(network, batch)
        own = logits.gather(1, torch.from_numpy(classes[start : start + BATCH])[:, None]).sum()
        (slope,) = torch.autograd.grad(own, places)
        found.append(weigh(as_maps(network, places.detach()), as_maps(network, slope)).numpy())
    return resized(np.concatenate(found), subject.size)


def _last_features(network: nn.Module, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the last layer that keeps places apart gives, and the logits made of it.

    In transformers it is the normalisation before the last block's attention: behind it the class token alone is read,
    and the gradients of all places are zero. Elsewhere it is the end of `forward_features`.
    """
    blocks = blocks_of(network)
    if blocks is None:
        features = network.forward_features(batch)  # type: ignore[operator]
        return features, network.forward_head(features)  # type: ignore[operator]
    with outputs_of([blocks[-1].norm1]) as kept:  # type: ignore[list-item]
        logits = network(batch)
    return kept[0], logits


def _normalised(subject: ExplainedModel, images: Image) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.stack([subject.bundle.preprocess.normalise(image) for image in images]))


GRADCAM = Explainer(
    "gradcam",
    "The last feature maps, weighed by how the class grows with each map as a whole (Grad-CAM).",
    torch=True,
    of_class=True,
    heatmaps=_grad_cam,
)
HIRESCAM = Explainer(
    "hirescam",
    "The last feature maps, weighed by how the class grows with each map at each place (HiResCAM).",
    torch=True,
    of_class=True,
    heatmaps=_hires_cam,
)
INTEGRATED_GRADIENTS = Explainer(
    "integrated-gradients",
    "What each pixel adds to the class on the way from the blurred picture to the sharp one (integrated gradients).",
    torch=True,
    of_class=True,
    heatmaps=_integrated,
)
