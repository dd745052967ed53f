"""A pretrained detector with queries as a bundle, without training: what it knows is found at once.

Making one needs torch and transformers; using it does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from photovision.core.folder import new_folder
from photovision.core.system import cache_folder
from photovision.core.types import Image
from photovision.models.checkpoint_folder import FILES, Described
from photovision.models.checkpoints import checkpoint_ledger, describe
from photovision.models.hub_folder import digest
from photovision.runtime.bundle_info import describe_model, write_info

if TYPE_CHECKING:
    from photovision.models.export import Parity

THRESHOLD, IOU = 0.5, 1.0
"""As their authors have it: the least score of a box that is shown; queries do not repeat each other."""
_MADE = 1  # counts up when the same weights would become another bundle


def kept(name: str) -> Path:
    """Where the bundle of a published detector lies once `keep` has made it."""
    return cache_folder() / "models" / f"published-{_MADE}" / name


def keep(name: str) -> Path:
    """Download a published detector where it is not in the Hub's cache, and keep its bundle in the user's.

    Raises:
        As `photovision.models.checkpoints.describe` and `adopt`.
    """
    return adopt(describe(name, allow_download=True), kept(name))


def adopt(found: Described, output: Path) -> Path:
    """Write the bundle of a detector with the classes that its weights know; an older folder there is replaced.

    Args:
        found: with a folder of weights.
        output: the bundle.

    Raises:
        ModelError: the weights do not fit their description.
        UsageError: transformers is too old for it.
        ExportError: the graph does not find what the network finds.
    """
    from photovision.models.backbones import count_macs, count_parameters
    from photovision.models.box_parity import check_boxes
    from photovision.models.detector import BoxDecider
    from photovision.models.export import export_graph
    from photovision.models.query_detector import QueryDetector

    size = found.preprocess.size
    network = QueryDetector(found, size).eval()
    count = len(found.classes)
    decider = BoxDecider(network, found.preprocess, [1.0] * count, [0.0] * count)
    with new_folder(output, "model", [] if found.folder is None else [found.folder]) as folder:
        export_graph(decider, size, decider.outputs, folder / "model.onnx")
        parity = check_boxes(decider, folder / "model.onnx", drawn_images(size), ranked=True)
        sizes = {"params": count_parameters(network), "macs": count_macs(network, size)}
        write_info(folder, _description(found, parity, sizes))
    return output


def _description(found: Described, parity: Parity, sizes: dict[str, int]) -> dict[str, Any]:
    assert found.folder is not None
    sha256, hub = digest(found.folder / FILES[2]), bool(found.revision)
    return describe_model(
        "detect",
        found.classes,
        found.preprocess,
        backbone={"name": found.name, "weights": "hub" if hub else found.folder.resolve().name, **sizes},
        chosen="adopted",
        training={"by": found.family.title, "sha256": sha256, "revision": found.revision},
        data={"source": "COCO 2017" if hub else "unknown", "counts": {}},
        # Nobody's images are here to show whether reduced precision would find the same.
        parity={**parity.to_json(), "precision": "f32"},
        licences=checkpoint_ledger(found, own=False),
        facts={"thresholds": [THRESHOLD] * len(found.classes), "iou": IOU},
    )


def drawn_images(size: tuple[int, int]) -> Image:
    """uint8 (4, H, W, 3): shaded grainy grounds with coloured blocks on them."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]] / max(size)
    shade = 120 + 80 * np.sin(8 * rows + 5 * columns)[None, ..., None] + rng.normal(0, 15, (4, *size, 3))
    for picture in shade:
        for top, left in rng.uniform(0, 0.7, (3, 2)) * size:
            block = slice(int(top), int(top + 0.25 * size[0])), slice(int(left), int(left + 0.2 * size[1]))
            picture[block] = rng.uniform(20, 235, 3)
    return np.asarray(np.clip(shade, 0, 255), dtype=np.uint8)
