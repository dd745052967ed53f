"""Volumes: a series of DICOM files or a NIfTI file as one array in its unit, with where its voxels lie.

DICOM and NIfTI agree: both give (slices, rows, columns), and coordinates to the patient's left, to the back and to the
head, in mm, as DICOM and SimpleITK have them (NIfTI's own point to the right and to the front).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from photovision.core.dicom import DicomPicture
from photovision.core.dicom_file import extent, read_header, with_pixels
from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import open_regular
from photovision.core.nifti import MAX_VOXELS, nifti_image
from photovision.core.quiet import quiet
from photovision.core.types import Floats
from photovision.data.dataset import Problem
from photovision.data.dicom.headers import is_dicom
from photovision.data.dicom.series import ScanSlice, Series, group_series

NIFTI = (".nii", ".nii.gz")
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])

Affine = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Volume:
    """One volume.

    Attributes:
        values: float32 (slices, rows, columns), in the unit of the scan: Hounsfield units in CT.
        affine: (4, 4), from (slice, row, column, 1) to (left, posterior, superior, 1) in mm.
        name: of the file or the series.
        series: what it was read from; None where that is NIfTI.
        problems: what was left out of it, by the names of the files.
    """

    values: Floats
    affine: Affine
    name: str
    series: Series | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The distance of neighbours along slices, rows and columns, in mm."""
        slices, rows, columns = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return slices, rows, columns

    @property
    def voxel_ml(self) -> float:
        """What a voxel holds, in ml; a shift between slices changes nothing."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000

    def canonical(self) -> Volume:
        """The same, turned by whole axes: slices from foot to head, rows from front to back, columns to the left.

        Volumes of DICOM and NIfTI files, whatever the order and direction of their axes, are then alike as arrays.
        """
        unit = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        order: list[int] = []
        for world in (2, 1, 0):  # superior, posterior, left
            free = [axis for axis in range(3) if axis not in order]
            order.append(max(free, key=lambda axis: abs(unit[world, axis])))
        values, affine = self.values.transpose(order), self.affine[:, [*order, 3]].copy()
        for axis, world in enumerate((2, 1, 0)):
            if affine[world, axis] < 0:
                affine[:3, 3] += affine[:3, axis] * (values.shape[axis] - 1)
                affine[:3, axis] *= -1
                values = np.flip(values, axis)
        return Volume(np.ascontiguousarray(values), affine, self.name, self.series, self.problems)

    def nifti_affine(self) -> Affine:
        """(4, 4), from (column, row, slice, 1) to (right, anterior, superior, 1), as NIfTI states it."""
        found: Affine = _FLIP @ self.affine[:, [2, 1, 0, 3]]
        return found


def is_nifti(path: str | Path) -> bool:
    """Whether a file is called like NIfTI."""
    return str(path).lower().endswith(NIFTI)


def read_volumes(source: str | Path | Sequence[str | Path]) -> tuple[tuple[Volume, ...], tuple[Problem, ...]]:
    """All volumes of a folder, of files or of one file, read one after the other, and what was left out.

    Raises DataError where there is none.
    """
    given = [source] if isinstance(source, str | Path) else list(source)
    files = [file for one in map(Path, given) for file in ([one] if one.is_file() else sorted(one.rglob("*")))]
    grouped = group_series(file for file in files if file.is_file() and is_dicom(file))
    volumes = [read_nifti(file) for file in files if is_nifti(file)]
    volumes += [read_series(series) for series in grouped.series]
    if not volumes:
        why = f": {grouped.problems[0].id} {grouped.problems[0].message}" if grouped.problems else ""
        raise DataError(f"{given[0]} holds no volume: expected DICOM files of one series, or NIfTI{why}")
    return tuple(volumes), grouped.problems


def read_volume(source: str | Path | Sequence[str | Path]) -> Volume:
    """The one volume of a folder, of files or of a file; raises DataError where there are several, naming them."""
    volumes, problems = read_volumes(source)
    if len(volumes) > 1:
        names = ", ".join(f"{one.name} ({len(one.values)} slices)" for one in volumes[:4])
        apart = [problem for problem in problems if problem.kind != "no slice"] or problems
        why = f"; {apart[0].id} {apart[0].message}" if apart else ""
        raise DataError(f"one volume was expected, but there are {len(volumes)}: {names}{why}: give the files of one")
    one = volumes[0]
    return Volume(one.values, one.affine, one.name, one.series, problems)


def read_series(series: Series) -> Volume:
    """The volume of a series; raises UnreadableImage with the name of the file that cannot be read."""
    size = series.facts.size or (0, 0)
    if len(series.slices) * size[0] * size[1] > MAX_VOXELS:
        raise UnreadableImage(
            f"{series.slices[0].path}: its series has {len(series.slices)} x {size[0]} x {size[1]} voxels, more than"
            f" the limit of {MAX_VOXELS:,}"
        )
    values = np.empty((len(series.slices), *size), np.float32)
    for number, one in enumerate(series.slices):
        values[number] = _values(one)
    place = series.slices[0].place
    affine = np.eye(4)
    affine[:3, 0] = series.step
    affine[:3, 1], affine[:3, 2] = place.down * place.spacing[0], place.across * place.spacing[1]
    affine[:3, 3] = place.position
    return Volume(values, affine, series.facts.series, series)


def _values(one: ScanSlice) -> npt.NDArray[np.float64]:
    """The values of a slice in their unit; pixels of padding have the lowest of the others."""
    try:
        with open_regular(one.path) as file, quiet:
            header, stream = read_header(file)
            picture = DicomPicture(with_pixels(header, stream, one.frame), extent(header))
            return picture.values()
    except Exception as error:
        raise _named(error, one.path) from None


def _named(error: Exception, path: Path) -> UnreadableImage:
    """Whatever a damaged file makes a library raise, as one line that begins with the file's name."""
    if isinstance(error, DataError):
        return UnreadableImage(f"{path}: {str(error).removeprefix(f'{path}: ')}")
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return UnreadableImage(f"{path}: cannot be decoded ({reason})")


def read_nifti(path: str | Path) -> Volume:
    """The volume of a NIfTI file; raises UnreadableImage with its name."""
    path = Path(path)
    try:
        with open_regular(path) as file, quiet:
            image = nifti_image(file)
            values = np.asarray(image.dataobj, np.float32).reshape(image.shape[:3])
            affine = (_FLIP @ np.asarray(image.affine, np.float64))[:, [2, 1, 0, 3]]
    except Exception as error:
        raise _named(error, path) from None
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise UnreadableImage(f"{path}: does not say where its voxels lie")
    return Volume(np.ascontiguousarray(values.transpose(2, 1, 0)), affine, path.name)
