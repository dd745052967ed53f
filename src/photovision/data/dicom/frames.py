"""Frames of DICOM files and slices of NIfTI files as files of their own, unpacked once into the user's cache.

A frame keeps what shows its pixels and says where it lies, and nothing of the patient.
"""

from __future__ import annotations

import hashlib
import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from photovision.core.dicom_file import library, read_header, with_pixels
from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import open_regular
from photovision.core.quiet import quiet
from photovision.core.system import cache_folder
from photovision.data.dicom.volume import read_nifti

_GROUPS = (0x0018, 0x0020, 0x0028, 0x7FE0)
_KEPT = ("SOPClassUID", "Modality", "AcquisitionDate", "AcquisitionTime", "Manufacturer", "ManufacturerModelName")
_LEFT_OUT = (0x00180010, 0x00181000, 0x00200010, 0x0020000D, 0x0020000E)
"""Of these groups: what may name a patient, a study or a device's serial number."""


def unpacked_frames(path: Path, frames: int) -> list[Path]:
    """A file for each frame of a DICOM file; raises UnreadableImage with its name, and DataError for a full disk."""

    def write(folder: Path) -> None:
        for frame in range(frames):
            with open_regular(path) as file, quiet:
                header, stream = read_header(file)
                one = with_pixels(header, stream, frame)
                for tag in [tag for tag in one.keys() if tag.group not in _GROUPS or int(tag) in _LEFT_OUT]:  # noqa: SIM118
                    if tag not in [library("pydicom.tag").Tag(name) for name in _KEPT]:
                        del one[tag]
                one.preamble = b"\0" * 128
                one.save_as(folder / f"{frame + 1:05d}.dcm", enforce_file_format=False)

    return _cached(path, write)


def unpacked_slices(path: Path) -> list[Path]:
    """A NIfTI file for each slice of one, from foot to head; raises as `read_nifti` does, and DataError."""

    def write(folder: Path) -> None:
        volume = read_nifti(path).canonical()
        nifti = importlib.import_module("nibabel")
        affine = volume.nifti_affine()
        for number, values in enumerate(volume.values):
            here = affine.copy()
            here[:3, 3] += affine[:3, 2] * number
            image = nifti.Nifti1Image(np.ascontiguousarray(values.T[..., None]), here)
            nifti.save(image, folder / f"{number + 1:05d}.nii")

    return _cached(path, write)


def _cached(path: Path, write: Callable[[Path], None]) -> list[Path]:
    """The files that a function writes for another file, in order; there as a whole or not at all."""
    facts = path.stat()
    key = hashlib.sha256(f"{path.resolve()}|{facts.st_size}|{facts.st_mtime_ns}".encode("utf-8", "replace")).hexdigest()
    folder = cache_folder() / "frames" / key[:16]
    if not folder.is_dir():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as temporary:
                new = Path(temporary) / folder.name
                new.mkdir()
                write(new)
                try:
                    new.rename(folder)
                except OSError:
                    if not folder.is_dir():  # else another process was quicker
                        raise
        except OSError as error:
            raise DataError(
                f"the frames of {path} cannot be unpacked into {folder.parent} ({error.strerror}): make room, or name"
                " another folder with the environment variable PHOTOVISION_CACHE"
            ) from None
        except UnreadableImage as error:
            raise UnreadableImage(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    return sorted(folder.iterdir())
