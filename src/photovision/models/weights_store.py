"""Weights that were fetched or imported: folders in the user's cache, found again by their names.

A name is one of timm ("resnet50.a1_in1k"), a repository on the Hugging Face Hub ("owner/name"), or what the user chose.
"""

from __future__ import annotations

import difflib
import re
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from photovision.core.errors import ModelError, UsageError
from photovision.core.files import explained, write_json
from photovision.core.system import cache_folder
from photovision.models.checkpoints import CHECKPOINTS
from photovision.models.hub import REPO
from photovision.models.text_folder import OPEN_CLIP, TOKENIZER
from photovision.models.weights import CARRIERS, CLASSIFIERS, CUTTERS, DETECTORS, FACES
from photovision.models.weights_folder import CONFIG, RECORD, WeightsFolder, read_weights_folder

FILES = (CONFIG, OPEN_CLIP, "preprocessor_config.json", *TOKENIZER, "README.md")
"""What is kept of a folder beside its weights."""
PREFIX = "hf-hub:"
_NAME = re.compile(r"[\w.-]{1,100}(/[\w.-]{1,100})?", re.ASCII)


def full_name(name: str) -> str:
    """The name under which weights are kept: with the tag that timm takes by default, without "hf-hub:".

    Example:
        >>> full_name("resnet50"), full_name("hf-hub:timm/resnet50.a1_in1k"), full_name("hf-hub:timm/ViT-B-16-SigLIP")
        ('resnet50.a1_in1k', 'resnet50.a1_in1k', 'timm/ViT-B-16-SigLIP')
    """
    import timm

    name = name.removeprefix(PREFIX)
    owned = name.removeprefix("timm/")
    name = owned if timm.is_model(owned.partition(".")[0]) else name
    if "." in name or not timm.is_model(name):
        return name
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return f"{name}.{config.tag}" if config and config.tag and config.has_weights else name


def place_of(name: str) -> Path:
    """Where weights of a name are kept; raises UsageError where it cannot be one."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise UsageError(f"a name of weights should have letters, digits, '.', '_' and '-' only, got '{name[:60]}'")
    return cache_folder() / "weights" / name.replace("/", "--")


def find(name: str) -> WeightsFolder | None:
    """Weights of that name, or in that folder; None where there are none on this machine.

    Raises:
        ModelError: they are damaged, or not those that were imported.
    """
    if Path(name).is_dir():
        return read_weights_folder(Path(name))
    for one in dict.fromkeys((name.removeprefix(PREFIX), full_name(name))):
        if _NAME.fullmatch(one) and ".." not in one and (place_of(one) / RECORD).is_file():
            return read_weights_folder(place_of(one))
    return None


def kept() -> list[Path]:
    """Folders of all weights that were fetched or imported, by name."""
    return sorted(path.parent for path in (cache_folder() / "weights").glob(f"*/{RECORD}"))


def keep(found: WeightsFolder, name: str, parameters: int, macs: int) -> WeightsFolder:
    """Copy checked weights into the cache.

    Args:
        found: the weights, with their licence and origin.
        name: to be found by.
        parameters, macs: of the network at the size that it was trained at.

    Raises:
        UsageError: others are kept under that name.
    """
    place = place_of(name)
    if (place / RECORD).is_file():
        before = read_weights_folder(place)
        if before.sha256 == found.sha256:
            return before
        raise UsageError(
            f"other weights are called '{name}' already: choose another name with --name, or delete {place}"
        )
    with explained(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".part-") as made:
            part = Path(made) / "whole"
            part.mkdir()
            shutil.copyfile(found.file, part / found.file.name)
            for file in FILES:
                if (found.folder / file).is_file():
                    shutil.copyfile(found.folder / file, part / file)
            write_json(part / RECORD, _record(found, name, parameters, macs))
            part.rename(place)
    return read_weights_folder(place)


def _record(found: WeightsFolder, name: str, parameters: int, macs: int) -> dict[str, object]:
    return {
        "name": name,
        "architecture": found.architecture,
        "origin": found.origin,
        "licence": found.licence,
        "sha256": found.sha256,
        "bytes": found.file.stat().st_size,
        "parameters": parameters,
        "macs": macs,
        "size": list(found.preprocess.size),
        "text": found.text is not None,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def repository(name: str) -> str | None:
    """The Hub's repository with the weights of that name; None where timm publishes none."""
    import timm

    full = full_name(name)
    if REPO.fullmatch(full):
        return full
    if not timm.is_model(full.partition(".")[0]):
        raise UsageError(unknown(name))
    config = timm.get_pretrained_cfg(full, allow_unregistered=False) if full in timm.list_pretrained() else None
    return str(config.hf_hub_id).partition("@")[0] if config is not None and config.hf_hub_id else None


def unknown(name: str) -> str:
    """The sentence for a name that nobody knows, with the nearest ones."""
    import timm

    own = [*CARRIERS, *DETECTORS, *CUTTERS, *FACES, *CLASSIFIERS, *CHECKPOINTS]
    known = [*own, *(path.name.replace("--", "/") for path in kept()), *timm.list_models()]
    near = difflib.get_close_matches(name.lower(), known, 3, 0.6)
    stem, _, tag = name.partition(".")
    if tag and timm.is_model(stem):
        tags = [one for one in timm.list_pretrained() if one.partition(".")[0] == stem]
        near = difflib.get_close_matches(name, tags, 3, 0.0) or [stem]
    meant = f"; did you mean {' or '.join(near)}?" if near else ": see 'photovision weights list'"
    return f"no weights are called '{name}', and timm has no such architecture{meant}"


def check_name(name: str) -> None:
    """Refuse a name that is neither timm's nor one of a repository on the Hub, nor kept here; raises UsageError."""
    import timm

    stem, _, tag = name.partition(".")
    if REPO.fullmatch(name.removeprefix(PREFIX)) or find(name) is not None:
        return
    if not timm.is_model(stem) or (tag and name not in timm.list_pretrained()):
        raise UsageError(unknown(name))


def damaged(error: Exception, found: WeightsFolder) -> ModelError:
    """The error for weights that do not fit their network."""
    reason = " ".join(str(error).split())[:160]
    return ModelError(f"the weights {found.name} do not fit {found.architecture}: {reason}")
