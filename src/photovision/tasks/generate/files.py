"""Files of generated images: PNG, each with a note in its metadata on how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

import photovision
from photovision.core.folder import new_folder
from photovision.core.types import Image
from photovision.tasks.generate.generator import GeneratedImages, Generator
from photovision.tasks.generate.grid import grid

KEYWORD = "Generated"
"""Of the text chunk that holds the note, JSON."""
_CONTACT_SHEET = 256  # images on the picture of all


def write_samples(model: Generator, samples: GeneratedImages, output: str | Path, seed: int) -> list[tuple[Path, str]]:
    """Write samples into a new folder, with a picture of all; gives their files and classes.

    Raises UsageError where the folder is there and not such a folder.
    """
    names = [samples.classes[label] for label in samples.labels.tolist()]
    files = write_images(model, samples.images, output, {"seed": seed}, [{"class": name} for name in names])
    return list(zip(files, names, strict=True))


def write_images(
    model: Generator,
    images: Image,
    output: str | Path,
    note: Mapping[str, Any],
    notes: list[dict[str, Any]] | None = None,
) -> list[Path]:
    """Write images into a new folder, whole or not at all, with a picture of all.

    Args:
        model: that made them.
        images: uint8 (N, H, W, 3).
        output: the folder.
        note: on all of them.
        notes: on each.
    """
    said = {
        "generated_by": f"photovision {photovision.__version__}",
        "model": model.bundle.name,
        "model_sha256": model.bundle.fingerprint,
        "synthetic": True,
        **note,
    }
    width = len(str(len(images) - 1))
    names = [f"{number:0{width}d}.png" for number in range(len(images))]
    with new_folder(Path(output), "export") as folder:
        for number, (name, image) in enumerate(zip(names, images, strict=True)):
            own = notes[number] if notes else {}
            save(image, folder / name, {**said, "number": number, **own})
        shown = images[:_CONTACT_SHEET]
        save(grid(shown, max(1, 96 // images.shape[1]), 16), folder / "all.png", {**said, "images": len(shown)})
    return [Path(output) / name for name in names]


def save(image: Image, file: Path, note: Mapping[str, Any]) -> None:
    """Write a PNG file with a note."""
    info = PngInfo()
    info.add_itxt(KEYWORD, json.dumps(note))
    Pillow.fromarray(image).save(file, pnginfo=info)
