"""TrainingImages: by which a model recognises the pictures that it was trained with, whatever they are called now.

Kept are a digest of each file and its perceptual hash, about a hundred bytes a picture, never pixels or names. Renamed,
moved and re-encoded copies are recognised; mirrored, turned and cropped ones are not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from photovision.core.errors import ModelError
from photovision.core.types import Ints
from photovision.data.near_duplicates import Looks, Words
from photovision.data.scan import Scan
from photovision.data.split import Splits

TRAINING_IMAGES_FILE = "training_images.safetensors"
NONE, TRAIN, VAL, TEST, RECALIBRATION = range(5)
"""What a picture was used for."""
ROLES = {"train": TRAIN, "val": VAL, "test": TEST}
"""Split of a training -> the role of its pictures."""


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """The N pictures of a training, in the order of its data set, and those of later steps after them.

    Attributes:
        role: uint8 (N,): NONE, TRAIN, VAL, TEST or RECALIBRATION.
        leaked: bool (N,): test pictures that resemble, or share a group with, pictures of train or val.
        digest: uint64 (N,), the first 8 bytes of the SHA-256 of the file.
        pixels: uint64 (N,), equal for pictures that look exactly the same, in whatever format they are stored.
        hash, colour, detail, contrast, stretch: as in `photovision.data.near_duplicates.Looks`.

    Raises:
        ModelError: the parts differ in length or kind.
    """

    role: npt.NDArray[np.uint8]
    leaked: npt.NDArray[np.bool_]
    digest: Words
    pixels: Words
    hash: Words
    colour: npt.NDArray[np.int8]
    detail: npt.NDArray[np.uint8]
    contrast: npt.NDArray[np.float32]
    stretch: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.role)
        for field in fields(self):
            part = getattr(self, field.name)
            if part.dtype != _KINDS[field.name] or part.shape != (n, *_WIDTHS.get(field.name, ())):
                raise ModelError(f"the record of training pictures has an unfit '{field.name}'")

    def __len__(self) -> int:
        return len(self.role)

    @classmethod
    def of(cls, scan: Scan, used: Splits | int) -> TrainingImages:
        """From what was found in N pictures, and how they were split, or the one role that all have."""
        n = len(scan)
        roles = np.full(n, used, np.uint8) if isinstance(used, int) else roles_of(used, n)
        leaked = np.isin(np.arange(n), () if isinstance(used, int) else used.leaked)
        return cls(roles, leaked, scan.digest, pixels_of(scan), *scan.looks[1:])

    @property
    def looks(self) -> Looks:
        """How the pictures look."""
        return Looks(self.digest, self.hash, self.colour, self.detail, self.contrast, self.stretch)

    def at(self, rows: Ints | npt.NDArray[np.bool_]) -> TrainingImages:
        """Some of the pictures."""
        return TrainingImages(*(getattr(self, field.name)[rows] for field in fields(self)))

    def joined(self, more: TrainingImages) -> TrainingImages:
        """These pictures, and then those of another step."""
        return TrainingImages(
            *(np.concatenate([getattr(self, field.name), getattr(more, field.name)]) for field in fields(self))
        )


_KINDS = {
    "role": np.uint8,
    "leaked": np.bool_,
    "digest": np.uint64,
    "pixels": np.uint64,
    "hash": np.uint64,
    "colour": np.int8,
    "detail": np.uint8,
    "contrast": np.float32,
    "stretch": np.float64,
}
_WIDTHS = {"hash": (4,), "colour": (32,)}


def roles_of(splits: Splits, count: int) -> npt.NDArray[np.uint8]:
    """uint8 (N,): what each of `count` pictures is used for."""
    roles = np.full(count, NONE, np.uint8)
    for name, role in ROLES.items():
        roles[getattr(splits, name)] = role
    return roles


def pixels_of(scan: Scan) -> Words:
    """uint64 (N,): equal for pictures of equal size whose small versions are equal; 0 for unreadable ones."""
    found = np.zeros(len(scan), np.uint64)
    for row in np.flatnonzero(scan.readable):
        parts = (scan.height, scan.width, scan.hash, scan.colour, scan.detail, scan.brightness, scan.contrast)
        content = b"".join(part[row].tobytes() for part in parts)
        found[row] = int.from_bytes(hashlib.sha256(content).digest()[:8], "little")
    return found


def write_training_images(images: TrainingImages, folder: Path) -> None:
    """Write the record into a bundle's folder."""
    from safetensors.numpy import save_file

    arrays = {field.name: np.ascontiguousarray(getattr(images, field.name)) for field in fields(images)}
    save_file(arrays, folder / TRAINING_IMAGES_FILE)


def read_training_images(folder: Path) -> TrainingImages | None:
    """Read what `write_training_images` wrote; None where there is nothing; raises ModelError for a damaged file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / TRAINING_IMAGES_FILE
    if not path.is_file():
        return None
    try:
        found = load_file(path)
        return TrainingImages(**{name: found[name] for name in _KINDS})
    except (SafetensorError, OSError, KeyError, ValueError, ModelError) as error:
        raise ModelError(f"{path} is damaged ({error}); copy the model again or train it again") from None
