"""The classifier of ImageNet's 1,000 classes that is ready to use: published weights, written as a bundle.

Nobody's labelled pictures are here, so its confidence is as published, not calibrated, and it has no figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from photovision.core.preprocess import Preprocess
from photovision.core.types import Image
from photovision.models.weights import WeightsPackage

CLASSES = 1000


def write_classifier(carrier: WeightsPackage, images: Image, folder: Path) -> tuple[Preprocess, int, dict[str, Any]]:
    """Write the graph of the weights with their own last layer.

    Args:
        carrier: of the weights, which are on this machine.
        images: uint8 (N, H, W, 3), on which graph and network are compared.
        folder: where model.onnx goes.

    Returns:
        how an image becomes the graph's input, the number of parameters, and how graph and network compare.

    Raises:
        ExportError: the graph does not decide like the network.
    """
    from photovision.models.backbones import Backbone, count_parameters, create
    from photovision.models.export import Decider, check_parity, export_graph

    size, crop = carrier.size, carrier.crop
    preprocess = Preprocess(size, "crop", crop, carrier.interpolation, mean=carrier.mean, std=carrier.std)
    network = create(Backbone(carrier.backbone, carrier.name, preprocess), CLASSES).eval()
    decider = Decider(network, preprocess, temperature=1.0, multilabel=False)
    export_graph(decider, size, decider.outputs, folder / "model.onnx")
    parity = check_parity(decider, folder / "model.onnx", images).to_json()
    # These images are drawn, so they do not show whether reduced precision would decide alike on photographs.
    return preprocess, count_parameters(network), {**parity, "precision": "f32"}


def class_names() -> list[str]:
    """The names of ImageNet's classes, in the order of all networks that learned from it; no two are the same."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    whole = [info.index_to_description(number, detailed=True).partition(": ") for number in range(CLASSES)]
    return unlike([[*names.split(", "), meaning.split(";")[0]] for names, _, meaning in whole])


def unlike(synonyms: Sequence[Sequence[str]]) -> list[str]:
    """The first synonym of each; where several have the same, as many more as it takes.

    Example:
        >>> unlike([["crane", "wading bird"], ["crane", "machine"], ["tench"]])
        ['crane, wading bird', 'crane, machine', 'tench']
    """
    names = [words[0] for words in synonyms]
    for length in range(2, max(map(len, synonyms)) + 1):
        often = Counter(names)
        names = [
            ", ".join(words[:length]) if often[name] > 1 else name for name, words in zip(names, synonyms, strict=True)
        ]
    return names
