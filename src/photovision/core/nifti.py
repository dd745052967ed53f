"""Slices of NIfTI files as pictures: the middle one, as a radiologist looks at it, from the patient's feet.

nibabel, of the extra "medical", is loaded with the first such file. The header is checked before voxels are read.
"""

from __future__ import annotations

import gzip
import importlib
import io
import zlib
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from photovision.core.errors import UnreadableImage
from photovision.core.installing import pip_install
from photovision.core.value_range import Gauge, ValueRanges, Values, by_type, kind_of, windows_in
from photovision.core.windows import by_range, to_grey

MAX_VOXELS = 1 << 29
"""Voxels of a volume: 2 GB as float32."""
_HEAD = 352
_GZIP = b"\x1f\x8b"


def begins_as_nifti(beginning: bytes) -> bool:
    """Whether the first bytes of a file are those of NIfTI-1 or -2 in one file, compressed or not; never raises."""
    if beginning[:2] == _GZIP:
        try:
            beginning = zlib.decompressobj(31).decompress(beginning, _HEAD)
        except zlib.error:
            return False
    return beginning[344:347] == b"n+1" or beginning[4:7] == b"n+2"


@dataclass(frozen=True)
class NiftiPicture:
    """One slice of a NIfTI file that was opened.

    Attributes:
        values: (H, W), scaled as the header says.
        size: (H, W).
        notes: what was left out, in sentences.
        orientation, profile: as of other pictures.
    """

    values: npt.NDArray[Any]
    size: tuple[int, int]
    notes: tuple[str, ...] = ()
    orientation: int = field(default=1, init=False)
    profile: bytes | None = field(default=None, init=False)
    deep: bool = field(default=True, init=False)

    @property
    def mode(self) -> str:
        """The number type of its values."""
        return str(self.values.dtype)

    def picture(self, ranges: ValueRanges) -> Pillow.Image:
        """Decode to 8 bits: "L", or "RGB" for three windows."""
        kind = kind_of(self.values.dtype)
        chosen = windows_in(ranges) or [one for one in ranges if one.kind == kind][:1]
        ways = [partial(by_range, shown=one) for one in chosen or [by_type(self.values.dtype)]]
        shown = to_grey(self.values, ways, inverted=False)
        return Pillow.fromarray(shown[..., 0] if len(ways) == 1 else np.ascontiguousarray(shown))

    def measured(self) -> Values | None:
        """The lowest and the highest value that count; None where there are none."""
        gauge = Gauge(self.values.dtype, self.values.size)
        gauge.add(self.values)
        return gauge.values()


def open_nifti(stream: BinaryIO) -> NiftiPicture:
    """The middle slice of a NIfTI file; raises UnreadableImage, and what nibabel does."""
    image = nifti_image(stream)
    whole = _library().as_closest_canonical(image)
    voxels = np.asarray(whole.dataobj).reshape(whole.shape[:3])
    middle = voxels.shape[2] // 2
    values = np.ascontiguousarray(voxels[::-1, ::-1, middle].T)
    if values.dtype.kind == "f" and values.dtype.itemsize != 4:
        values = values.astype(np.float32)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    notes = (f"has {voxels.shape[2]} slices, of which number {middle + 1} is shown",) if voxels.shape[2] > 1 else ()
    return NiftiPicture(values, values.shape, notes)


def nifti_cost(stream: BinaryIO) -> tuple[int, int, float, float]:
    """H, W, bytes a pixel and seconds that a slice of a NIfTI file will take; raises UnreadableImage."""
    image = nifti_image(stream)
    height, width, slices = _extent(image)
    voxel = image.get_data_dtype().itemsize + 8
    return height, width, 24.0 + slices * voxel, slices * height * width * 2e-8


def nifti_image(stream: BinaryIO) -> Any:
    """The image of nibabel for a NIfTI file, of a volume of three dimensions within bounds, its voxels not yet read.

    Raises UnreadableImage, and what nibabel does.
    """
    packed = stream.read(2) == _GZIP
    stream.seek(0)
    nibabel = _library()
    file = nibabel.FileHolder(fileobj=gzip.GzipFile(fileobj=stream) if packed else io.BytesIO(stream.read()))
    second = nibabel.Nifti2Image if file.fileobj.read(_HEAD)[4:7] == b"n+2" else nibabel.Nifti1Image
    file.fileobj.seek(0)
    image = second.from_file_map({"image": file, "header": file})
    _extent(image)
    return image


def _extent(image: Any) -> tuple[int, int, int]:
    """(H, W, slices) of a volume as a radiologist looks at it; raises UnreadableImage for what is none."""
    shape = tuple(side for number, side in enumerate(image.shape) if number < 3 or side > 1)
    if len(shape) != 3 or image.get_data_dtype().kind not in "iuf":
        raise UnreadableImage(
            f"has the shape {image.shape} of {image.get_data_dtype()}: a volume of three dimensions is expected"
        )
    if min(shape) < 1 or np.prod(shape, dtype=np.float64) > MAX_VOXELS:
        raise UnreadableImage(f"has {' x '.join(map(str, shape))} voxels, more than the limit of {MAX_VOXELS:,}")
    axes = _library().io_orientation(image.affine)[:, 0]
    if not np.isfinite(axes).all():
        raise UnreadableImage("does not say where its voxels lie")
    sides = {int(axis): shape[number] for number, axis in enumerate(axes)}
    return sides[1], sides[0], sides[2]


def _library() -> Any:
    try:
        return importlib.import_module("nibabel")
    except ImportError:
        raise UnreadableImage(f"is a NIfTI file, which needs a library: {pip_install('nibabel')}") from None
