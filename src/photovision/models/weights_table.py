"""The table of `weights list`: what each of the weights is for, how large, how accurate, how costly, how licensed.

Accuracies are published ones, each with its source; they compare networks, and say little about a user's own images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from photovision.core.task import Task
from photovision.models.checkpoints import CHECKPOINTS, available
from photovision.models.checkpoints import LICENCE as DETECTOR_LICENCE
from photovision.models.hub_folder import bounded_json
from photovision.models.licences import licence_note
from photovision.models.weights import CARRIERS, CLASSIFIERS, CUTTERS, DETECTORS, FACES, locate
from photovision.models.weights_folder import RECORD
from photovision.models.weights_store import kept, place_of

_PLAIN_TRANSFORMERS = ("vit", "deit", "beit", "eva", "cait")
"""What the names of architectures begin with that have maps of one resolution only."""
_TIMM = "timm, results-imagenet.csv"
_DINOV2 = "DINOv2's README: a linear classifier on frozen features"
_DFINE, _RTDETR, _RFDETR = "D-FINE's README", "RT-DETRv2's README", "RF-DETR's benchmarks"


@dataclass(frozen=True)
class PublishedFacts:
    """What is published or counted of a network.

    Attributes:
        parameters: in millions.
        macs: billions of multiply-adds for one image at the usual size; None where nobody counted them.
        score: published, in percent; metric: what it is; source: who published it.
    """

    parameters: float
    macs: float | None = None
    score: float | None = None
    metric: str = "top-1"
    source: str = ""


def _coco(parameters: float, macs: float | None, score: float, source: str) -> PublishedFacts:
    return PublishedFacts(parameters, macs, score, "mAP", source)


FACTS = {
    "efficientnet_lite0": PublishedFacts(4.7, 0.4, 74.8, "top-1", _TIMM),
    "efficientnet_lite1": PublishedFacts(5.4, 0.6, 76.6, "top-1", _TIMM),
    "efficientnet_lite2": PublishedFacts(6.1, 0.9),
    "mobilenet_v2": PublishedFacts(3.5, 0.3, 71.9, "top-1", "torchvision's table of weights"),
    "yolov4-tiny": PublishedFacts(6.1, 3.5, 40.2, "mAP50", "darknet's README"),
    "mobilesam": PublishedFacts(9.8, 27.0),
    "yunet": PublishedFacts(0.1, 0.6),
    "sface": PublishedFacts(9.5, 0.6),
    "dfine-n": _coco(3.8, 3.6, 42.8, _DFINE),
    "dfine-s": _coco(10.3, 13.7, 48.5, _DFINE),
    "dfine-m": _coco(19.6, 30.0, 52.3, _DFINE),
    "dfine-l": _coco(31.3, 47.5, 54.0, _DFINE),
    "dfine-x": _coco(62.7, 104.4, 55.8, _DFINE),
    "rtdetr-v2-r18": _coco(20.2, 30.5, 48.1, _RTDETR),
    "rtdetr-v2-r34": _coco(31.4, 46.5, 49.9, _RTDETR),
    "rtdetr-v2-r50": _coco(42.9, 68.6, 53.4, _RTDETR),
    "rtdetr-v2-r101": _coco(76.7, 129.9, 54.3, _RTDETR),
    "rf-detr-nano": _coco(30.4, None, 48.4, _RFDETR),
    "rf-detr-small": _coco(32.1, None, 53.0, _RFDETR),
    "rf-detr-medium": _coco(33.6, None, 54.7, _RFDETR),
    "rf-detr-base": _coco(32.2, None, 53.3, _RFDETR),
    "rf-detr-large": _coco(33.9, None, 56.5, _RFDETR),
}
"""Of weights that come in packages, and of published detectors."""


@dataclass(frozen=True)
class Recommended:
    """Weights of timm that suit a budget and a device.

    Attributes:
        name: of timm.
        licence: as timm states it.
        facts: what is published.
        suits: for what budget, on what device.
    """

    name: str
    licence: str
    facts: PublishedFacts
    suits: str


RECOMMENDED = (
    Recommended(
        "mobilenetv3_large_100.ra_in1k", "apache-2.0", PublishedFacts(5.5, 0.2, 75.8, "top-1", _TIMM), "CPU, 2 minutes"
    ),
    Recommended(
        "convnext_atto.d2_in1k", "apache-2.0", PublishedFacts(3.7, 0.5, 77.0, "top-1", _TIMM), "CPU, 5 minutes"
    ),
    Recommended(
        "convnext_nano.in12k_ft_in1k", "apache-2.0", PublishedFacts(15.6, 2.4, 82.9, "top-1", _TIMM), "CPU, 20 minutes"
    ),
    Recommended(
        "vit_small_patch14_dinov2.lvd142m",
        "apache-2.0",
        PublishedFacts(21.6, 5.5, 81.1, "top-1", _DINOV2),
        "CPU, 30 minutes",
    ),
    Recommended(
        "vit_base_patch14_dinov2.lvd142m", "apache-2.0", PublishedFacts(85.7, 21.9, 84.5, "top-1", _DINOV2), "GPU"
    ),
    Recommended(
        "vit_small_patch16_dinov3.lvd1689m", "dinov3-license", PublishedFacts(21.6, 4.3), "GPU; read its licence first"
    ),
    Recommended(
        "convnextv2_nano.fcmae_ft_in22k_in1k",
        "cc-by-nc-4.0",
        PublishedFacts(15.6, 2.4, 82.7, "top-1", _TIMM),
        "research only",
    ),
)
"""From the least to the most costly; all of them are fetched only where the user asks for it."""


@dataclass(frozen=True)
class WeightsRow:
    """One row of the table.

    Attributes:
        name: as 'photovision weights get' takes it.
        task: what they are for.
        backbone: architecture of the network.
        megabytes: size of the weights.
        parameters: in millions.
        score, metric, source: published accuracy in percent, what it is, who states it.
        gmacs: billions of multiply-adds for one image at the usual size.
        licence: in lower case; licence_note: what to know of it.
        origin: who made them, or where they come from.
        sha256: of the file, where it is known.
        suits: budget and device.
        available: whether they are on this machine.
        trains: whether a training can start from them.
        text: whether they read text, too.
    """

    name: str
    task: str
    backbone: str
    megabytes: float
    parameters: float
    score: float | None
    metric: str
    source: str
    gmacs: float | None
    licence: str
    licence_note: str
    origin: str
    sha256: str | None
    suits: str
    available: bool
    trains: bool = True
    text: bool = False

    def suits_task(self, task: Task) -> bool:
        """Whether a training of that task can start from them."""
        if not self.trains or "backbone" not in task.accepted("train"):
            return False
        if self.name in CHECKPOINTS:  # a whole network
            return self.task == task.name
        return not (task.pyramid and self.backbone.startswith(_PLAIN_TRANSFORMERS))

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def rows() -> Iterator[WeightsRow]:
    """All weights that are known by name: in packages, on the Hub, and those that were fetched or imported."""
    tasks = {
        **dict.fromkeys(CARRIERS, "classify"),
        **dict.fromkeys(DETECTORS, "detect"),
        **dict.fromkeys(CUTTERS, "cut"),
        **dict.fromkeys(FACES, "faces"),
        **dict.fromkeys(CLASSIFIERS, "classify"),
    }
    for name, carrier in {**CARRIERS, **CLASSIFIERS, **DETECTORS, **CUTTERS, **FACES}.items():
        package = f"{carrier.origin}; the package {carrier.package} {carrier.version}"
        trains, facts = name in CARRIERS, FACTS[carrier.name]
        suits = "CPU, a few minutes" if trains else "ready to use"
        row = _row(name, tasks[name], carrier.backbone, facts, carrier.licence, package, carrier.sha256, suits,
                   locate(name) is not None)  # fmt: skip
        yield replace(row, trains=trains)
    for name, one in CHECKPOINTS.items():
        origin = f"https://huggingface.co/{one.repo}"
        yield _row(name, "detect", one.family, FACTS[name], DETECTOR_LICENCE, origin, None, "ready to use; GPU",
                   available(name))  # fmt: skip
    for best in RECOMMENDED:
        here = (place_of(best.name) / RECORD).is_file()
        if not here:  # else it is among those that are kept
            origin = f"https://huggingface.co/timm/{best.name}"
            architecture = best.name.partition(".")[0]
            yield _row(best.name, "classify", architecture, best.facts, best.licence, origin, None, best.suits, False)
    yield from _kept()


def _kept() -> Iterator[WeightsRow]:
    known = {best.name: best for best in RECOMMENDED}
    for folder in kept():
        record = bounded_json(folder / RECORD)
        name = str(record["name"])
        best = known.get(name)
        stated = best.facts if best else PublishedFacts(0.0)
        facts = PublishedFacts(
            record["parameters"] / 1e6, record["macs"] / 1e9, stated.score, stated.metric, stated.source
        )
        licence, suits = str(record["licence"]), best.suits if best else ""
        by_text = bool(record.get("text"))
        task = "classify, by text" if by_text else "classify"
        told = (str(record[key]) for key in ("architecture", "origin", "sha256"))
        architecture, origin, sha256 = told
        row = _row(name, task, architecture, facts, licence, origin, sha256, suits, True, record["bytes"] / 1e6)
        yield replace(row, text=by_text)


def _row(
    name: str,
    task: str,
    architecture: str,
    facts: PublishedFacts,
    licence: str,
    origin: str,
    sha256: str | None,
    suits: str,
    available: bool,
    megabytes: float | None = None,
) -> WeightsRow:
    size = 4 * facts.parameters if megabytes is None else megabytes
    return WeightsRow(
        name,
        task,
        architecture,
        round(size, 1),
        round(facts.parameters, 1),
        facts.score,
        facts.metric if facts.score is not None else "",
        facts.source,
        None if facts.macs is None else round(facts.macs, 1),
        licence,
        licence_note(licence),
        origin,
        sha256,
        suits,
        available,
    )
