"""A box explained by gradients: fast, but it needs the network in torch.

Source: HiResCAM, Draelos & Carin 2020, with the score of a box in place of that of a class; a pass back for every box.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Floats, Image
from photovision.trust.explain.explained_model import resized
from photovision.trust.explain.target import BoxTarget, ExplanationTarget, TargetExplainer, TargetScorer

if TYPE_CHECKING:
    import torch

SMOOTH = 0.01
"""How far maps are smoothed, by the picture's sides."""


def _hires_cam(viewer: TargetScorer, image: Image, aims: Sequence[ExplanationTarget]) -> Floats:
    """The map at 1/8 of the resolution, each place weighed by how the box's logit grows with it."""
    import torch
    from scipy.ndimage import gaussian_filter

    network, found = viewer.network, []
    batch = torch.from_numpy(viewer.bundle.preprocess.normalise(image)[None])
    maps = network.lower(batch).detach().requires_grad_()  # type: ignore[operator]
    answer = network.upper(maps)[0]  # type: ignore[operator]
    for aim in aims:
        if not isinstance(aim, BoxTarget):
            raise UsageError("gradients explain boxes only: choose drise")
        (slope,) = torch.autograd.grad(_logit(answer, aim), maps, retain_graph=True)
        found.append((slope * maps.detach()).sum(1)[0].clamp(min=0).numpy())
    sigma = (0, SMOOTH * viewer.size[0], SMOOTH * viewer.size[1])
    return np.asarray(gaussian_filter(resized(np.stack(found), viewer.size), sigma, mode="nearest"), np.float32)


def _logit(answer: torch.Tensor, aim: BoxTarget) -> torch.Tensor:
    """The logit of the place that tells of the box: the one of the best probability times overlap."""
    rows = answer.detach().numpy()
    outputs = {"boxes": rows[None, :, :4], "scores": 1 / (1 + np.exp(-np.clip(rows[None, :, 4:], -60, 60)))}
    each = [aim.score({name: value[:, [row]] for name, value in outputs.items()})[0] for row in range(len(rows))]
    return answer[int(np.argmax(each)), 4 + aim.label]


HIRESCAM = TargetExplainer(
    "hirescam",
    "The maps at an eighth of the resolution, weighed by how the box's class grows with each place (HiResCAM).",
    torch=True,
    kinds=("box",),
    heatmaps=_hires_cam,
)
