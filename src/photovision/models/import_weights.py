"""Weights brought into the user's cache: from a file, from a folder, or fetched from the Hugging Face Hub.

Whatever way they come, they are the same folder in the end, checked by building the network with them once.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import timm
import torch

from photovision.core.errors import ModelError, UsageError
from photovision.core.files import write_json
from photovision.models.backbones import build, count_macs, count_parameters
from photovision.models.hub import published, snapshot
from photovision.models.licences import licence_sentence
from photovision.models.text_folder import OPEN_CLIP_WEIGHTS
from photovision.models.weights_folder import CONFIG, WEIGHTS, WeightsFolder, check_file, read_weights_folder
from photovision.models.weights_store import FILES, PREFIX, damaged, find, full_name, keep, repository, unknown

Tell = Callable[[str], None]


def fetch(name: str, tell: Tell = lambda sentence: None) -> WeightsFolder:
    """Weights of a network of timm or of a repository on the Hub, downloaded where they are not kept yet.

    Args:
        name: of timm ("resnet50", "resnet50.a1_in1k"), or "hf-hub:owner/name".
        tell: called with a sentence on size and licence before anything is downloaded.

    Raises:
        UsageError: nobody publishes such weights.
        ModelError: they could not be fetched, or are not what they should be.
    """
    if not Path(name).is_dir():
        here = find(name)
        if here is not None:
            return here
    repo = repository(name)
    if repo is None:
        raise UsageError(f"timm publishes no weights for {name}: --weights none learns from scratch")
    info = published(repo)
    weights = next((file for file in (WEIGHTS, OPEN_CLIP_WEIGHTS) if file in info.sizes), None)
    if weights is None:
        raise ModelError(f"{repo} has no {WEIGHTS}: weights in other files (pickles, parts) are not fetched")
    licence = info.licence if info.licence != "unknown" else _stated_by_timm(full_name(name))
    tell(f"{repo}: {info.sizes[weights] / 1e6:,.0f} MB. {licence_sentence(licence)}")
    folder = snapshot(repo, (weights, *FILES), allow_download=True, revision=info.revision or None)
    assert folder is not None
    found = replace(read_weights_folder(folder), licence=licence, origin=f"{repo} at {info.revision[:12]}")
    return bring(found, full_name(name))


def bring(found: WeightsFolder, name: str) -> WeightsFolder:
    """Build the network once with the weights, strictly, and keep them.

    Raises:
        ModelError: they do not fit, or the network is larger than its file can fill.
    """
    try:
        with torch.device("meta"):  # nothing takes memory yet
            network = build(found.architecture, found.outputs, found.args)
        parameters = count_parameters(network)
        if parameters > found.file.stat().st_size:  # a byte for each at least
            raise ModelError(f"{found.file} is too small for a network of {parameters:,} parameters")
        macs = count_macs(network, found.preprocess.size)
        build(found.architecture, found.outputs, found.args, found)
    except (ValueError, AssertionError, TypeError, RuntimeError) as error:
        raise damaged(error, found) from None
    return keep(found, name, parameters, macs)


def import_weights(path: Path, name: str | None = None, architecture: str | None = None) -> WeightsFolder:
    """Weights from a folder with config.json and model.safetensors, or from a safetensors file of a network of timm.

    Args:
        path: of the folder or the file.
        name: under which they are kept; default: the folder's or the file's.
        architecture: of timm; of a file alone; default: what its name says.
    """
    if path.is_dir():
        if architecture is not None:
            raise UsageError("--architecture is for a file: a folder's config.json names it")
        found = read_weights_folder(path)
        return bring(found, name or found.name)
    if not path.exists():
        raise UsageError(f"{path} is not there: give a folder or a .safetensors file")
    if path.suffix != ".safetensors":
        raise ModelError(f"{path} should be a .safetensors file: others can run code when they are read")
    wanted = architecture or path.stem.removeprefix(PREFIX)
    if not timm.is_model(wanted.partition(".")[0]):
        hint = unknown(wanted) if architecture else f"the name of {path.name} tells no architecture of timm"
        raise UsageError(f"{hint}: name it with --architecture")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "weights"
        folder.mkdir()
        shutil.copyfile(check_file(path), folder / WEIGHTS)
        write_json(folder / CONFIG, _described(folder / WEIGHTS, wanted))
        found = replace(read_weights_folder(folder), origin=f"the file {path.name}")
        return bring(found, name or path.stem)


def _described(file: Path, wanted: str) -> dict[str, object]:
    """config.json of a file alone: what timm knows of its architecture, with as many classes as the file has."""
    from safetensors import SafetensorError, safe_open

    stem = wanted.partition(".")[0]
    config = timm.get_pretrained_cfg(wanted if wanted in timm.list_pretrained() else stem)
    plain = {
        "input_size": list(config.input_size) if config else [3, 224, 224],
        "interpolation": config.interpolation if config else "bicubic",
        **({"mean": list(config.mean), "std": list(config.std)} if config else {}),
    }
    head = config.classifier if config else None
    head = head[0] if isinstance(head, tuple | list) else head
    try:
        with safe_open(file, "pt") as opened:
            key = f"{head}.weight"
            outputs = opened.get_slice(key).get_shape()[0] if key in opened.keys() else 0  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file.name} is damaged ({str(error)[:100]}): copy it again") from None
    return {"architecture": stem, "num_classes": outputs, "pretrained_cfg": plain}


def _stated_by_timm(name: str) -> str:
    config = timm.get_pretrained_cfg(name) if name in timm.list_pretrained() else None
    return str(config.license or "unknown").lower() if config else "unknown"
