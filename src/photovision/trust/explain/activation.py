"""Activation maps: what the last feature maps of the network say, without gradients and without torch.

Sources: CAM: Zhou et al. 2016, "Learning deep features for discriminative localization". EigenCAM: Muhammad & Yeasin
2020, "Eigen-CAM: class activation map using principal components".
"""

from __future__ import annotations

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Floats, Image, Ints
from photovision.trust.explain.explained_model import ExplainedModel, Explainer, resized


def _class_activation(subject: ExplainedModel, images: Image, classes: Ints) -> Floats:
    """The last layer's weights of the class, applied at every place of the feature maps.

    The mean of the map over all places is the class's logit without its bias. For such networks Grad-CAM and HiResCAM
    give the same map.
    """
    layer = subject.layer
    if layer is None:
        raise UsageError(
            "a class activation map needs a network whose last layer is linear in the mean of its feature maps, which"
            " this one is not: choose occlusion, gradcam or hirescam"
        )
    maps = subject.maps(images)
    return resized(np.einsum("nk,nkhw->nhw", layer.weights[classes], maps, optimize=True), subject.size)


def _principal(subject: ExplainedModel, images: Image, classes: Ints) -> Floats:
    """The first principal component of the feature maps over places; which class is asked for plays no part.

    A component has no sign of its own: places that differ more from the mean of all places get the higher values, since
    what a network recognises is usually the smaller part of the picture.
    """
    maps = subject.maps(images)
    places = maps.reshape(len(maps), maps.shape[1], -1).transpose(0, 2, 1)
    centred = places - places.mean(1, keepdims=True)
    left, strength, _ = np.linalg.svd(centred, full_matrices=False)
    component = left[..., 0] * strength[:, :1]
    towards = np.sign((component**3).sum(1))  # skewness: the side on which few places stand out
    towards[towards == 0] = 1
    found = (component * towards[:, None]).reshape(len(maps), *maps.shape[2:])
    return resized(found, subject.size)


CAM = Explainer(
    "cam",
    "How strongly each place of the last feature maps speaks for the class (class activation map).",
    torch=False,
    of_class=True,
    heatmaps=_class_activation,
)
EIGENCAM = Explainer(
    "eigencam",
    "What varies most over the last feature maps, whatever the class (EigenCAM).",
    torch=False,
    of_class=False,
    heatmaps=_principal,
)
