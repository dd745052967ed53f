"""DICOM files as tests need them, written with pydicom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.8.498."


def dicom(pixels: np.ndarray, syntax: str = ExplicitVRLittleEndian, bits: int | None = None, **tags: Any) -> Any:
    """A data set of pixels (H, W), (H, W, 3) or (frames, H, W), with any other tags."""
    ds = pydicom.Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = ROOT + str(tags.pop("number", 1))
    ds.Modality, ds.PhotometricInterpretation = "CT", "MONOCHROME2"
    ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "P1", ROOT + "1.1", ROOT + "1.2"
    colour = pixels.ndim == 3 and pixels.shape[2] == 3
    ds.Rows, ds.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    ds.SamplesPerPixel = 3 if colour else 1
    if colour:
        ds.PhotometricInterpretation, ds.PlanarConfiguration = "RGB", 0
    if pixels.ndim == 3 and not colour:
        ds.NumberOfFrames = len(pixels)
    ds.BitsAllocated = 8 * pixels.dtype.itemsize
    ds.BitsStored = bits or ds.BitsAllocated
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    big = syntax == pydicom.uid.ExplicitVRBigEndian
    ds.PixelData = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).tobytes()
    if len(ds.PixelData) % 2:
        ds.PixelData += b"\0"
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    for name, value in tags.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    return ds


def saved(path: Path, pixels: np.ndarray, **tags: Any) -> Path:
    """The same in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dicom(pixels, **tags).save_as(path, enforce_file_format=True)
    return path


def table(first: int, entries: list[int], bits: int) -> pydicom.Sequence:
    """A table of values, for the modality or for what is shown."""
    item = pydicom.Dataset()
    item.LUTDescriptor, item.LUTData = [len(entries), first, bits], entries
    for name in ("LUTDescriptor", "LUTData"):
        item[name].VR = "US"
    return pydicom.Sequence([item])
