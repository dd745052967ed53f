"""Kept: what a changed model takes over from the one that it was made from, because it stays true."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from photovision.engine.splits import TrainingSplits
from photovision.runtime.training_images import TRAINING_IMAGES_FILE, read_training_images, write_training_images

_ALWAYS = ("DATASHEET.md", TRAINING_IMAGES_FILE)
_WEIGHTS = ("model.safetensors", "config.json")


def keep(source: Path, folder: Path, *, weights: bool) -> None:
    """Copy the data sheet and the record of the training pictures into a bundle in the making.

    Args:
        source: folder of the bundle that it is made from.
        folder: of the new one.
        weights: whether the network's weights for torch come along; not where the graph has others.
    """
    for name in (*_ALWAYS, *(_WEIGHTS if weights else ())):
        if (source / name).is_file():
            shutil.copy2(source / name, folder / name)


def keep_more(folder: Path, info: Mapping[str, Any], material: TrainingSplits) -> None:
    """Add pictures that are not those of the model's training to the record of a bundle in the making.

    Args:
        folder: of the bundle; without a record nothing is written, for it would tell of a part only.
        info: what its bundle.json says.
        material: that a step calibrated, fine-tuned and chose with.
    """
    record = read_training_images(folder)
    own = (info.get("data") or {}).get("fingerprint") == material.dataset.fingerprint
    if record is not None and material.record is not None and not own:
        write_training_images(record.joined(material.record), folder)
