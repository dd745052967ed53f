"""Headers of DICOM files: whose scan it is, where and how it was taken, where its slice lies. No pixels are read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from photovision.core.dicom_file import extent, frames_of, of_frame, read_header
from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import open_regular
from photovision.core.image_formats import BEGINNING, DICOM, sniff
from photovision.core.quiet import quiet

Vector = npt.NDArray[np.float64]
AGES = ((18, "0 to 17"), (40, "18 to 39"), (60, "40 to 59"), (80, "60 to 79"), (10**6, "80 and over"))
"""Age in years below which a patient belongs to a band, and its name."""
_DIGITS = 12


@dataclass(frozen=True)
class Place:
    """Where a slice lies, in the patient's coordinates (left, posterior, superior), in mm.

    Attributes:
        position: (3,), the centre of the first pixel.
        across, down: (3,), unit vectors along a row and along a column.
        spacing: between rows and between columns, in mm.
    """

    position: Vector
    across: Vector
    down: Vector
    spacing: tuple[float, float]

    @property
    def normal(self) -> Vector:
        """(3,), the unit vector through the slices."""
        return np.cross(self.across, self.down)

    @property
    def along(self) -> float:
        """Where the slice lies along its normal, in mm."""
        return float(self.position @ self.normal)


@dataclass(frozen=True)
class ScanFacts:
    """What the header of one file states; "" where it states nothing.

    Attributes:
        patient: a pseudonym of issuer and PatientID, the same everywhere; the number itself is kept nowhere.
        numbered: the same of PatientID alone, as tables without an issuer name patients.
        study, series, instance: UIDs.
        modality: such as "CT".
        hospital, device, sex, age: as groups: InstitutionName; manufacturer and model; F, M or O; a band of years.
        size: (H, W) in pixels; None for a file without pixels.
        frames: how many frames the file has.
        localizer: whether it is a scout, which shows where the slices lie.
        place: of a single frame; None where it is not stated.
        number: InstanceNumber, 0 where unknown.
        spacing: between rows and between columns in mm; None where it is not stated.
    """

    patient: str
    numbered: str
    study: str
    series: str
    instance: str
    modality: str
    hospital: str
    device: str
    sex: str
    age: str
    size: tuple[int, int] | None
    frames: int
    localizer: bool
    place: Place | None
    number: int
    spacing: tuple[float, float] | None

    def groups(self) -> dict[str, str]:
        """The attributes that a picture has by its header; those of which nothing is known are absent."""
        known = {
            "patient": self.patient,
            "hospital": self.hospital,
            "device": self.device,
            "sex": self.sex,
            "age": self.age,
        }
        return {name: value for name, value in known.items() if value}


def is_dicom(path: str | Path) -> bool:
    """Whether a file begins like DICOM; never raises."""
    try:
        with open_regular(path) as file:
            return sniff(file.read(BEGINNING)) == DICOM
    except (OSError, DataError):
        return False


def read_facts(path: str | Path) -> ScanFacts:
    """What the header of a DICOM file states; raises UnreadableImage with the file's name."""
    try:
        with open_regular(path) as file:
            header, _ = read_header(file)
            with quiet:
                return facts_of(header)
    except DataError as error:
        raise UnreadableImage(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    except Exception as error:  # damaged files make pydicom raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UnreadableImage(f"{path}: cannot be decoded ({reason})") from None


def facts_of(header: Any) -> ScanFacts:
    """What a header that was read states; raises what pydicom does for damaged values."""
    pixels = header.get("Rows") is not None and header.get("Columns") is not None
    frames = frames_of(header) if pixels else 0
    first = of_frame(header, 0) if frames > 1 or "PerFrameFunctionalGroupsSequence" in header else header
    spacing = _pair(first.get("PixelSpacing") or first.get("ImagerPixelSpacing"))
    kinds = [str(kind).upper() for kind in _listed(header.get("ImageType"))]
    return ScanFacts(
        patient=pseudonym(_text(header, "IssuerOfPatientID"), _text(header, "PatientID")),
        numbered=pseudonym("", _text(header, "PatientID")),
        study=_text(header, "StudyInstanceUID"),
        series=_text(header, "SeriesInstanceUID"),
        instance=_text(header, "SOPInstanceUID"),
        modality=_text(header, "Modality"),
        hospital=_text(header, "InstitutionName"),
        device=" ".join(
            part for part in (_text(header, "Manufacturer"), _text(header, "ManufacturerModelName")) if part
        ),
        sex=_text(header, "PatientSex").upper()[:1],
        age=age_band(_years(header)),
        size=extent(header) if pixels else None,
        frames=frames,
        localizer="LOCALIZER" in kinds,
        place=place_of(first) if frames == 1 else None,
        number=int(header.get("InstanceNumber") or 0),
        spacing=spacing,
    )


def place_of(header: Any) -> Place | None:
    """Where the slice of a frame lies; None where the header does not say, or says what cannot be."""
    position, turned = header.get("ImagePositionPatient"), header.get("ImageOrientationPatient")
    spacing = _pair(header.get("PixelSpacing"))
    if spacing is None or len(_listed(position)) != 3 or len(_listed(turned)) != 6:
        return None
    vectors = np.array([float(part) for part in turned]).reshape(2, 3)
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.allclose(lengths, 1, atol=1e-2) or abs(vectors[0] @ vectors[1]) > 1e-2:
        return None
    across, down = vectors / lengths[:, None]
    return Place(np.array([float(part) for part in position]), across, down, spacing)


def pseudonym(issuer: str, patient: str) -> str:
    """A name for a patient that is the same everywhere and from which the number is not read; "" without a number.

    Example:
        >>> pseudonym("", "12345")
        'patient 5994471abb01'
    """
    if not patient:
        return ""
    return f"patient {hashlib.sha256(f'{issuer}{chr(0) * bool(issuer)}{patient}'.encode()).hexdigest()[:_DIGITS]}"


def age_band(years: float | None) -> str:
    """The band of years that an age is in; "" where it is not known."""
    return "" if years is None or years < 0 else next(name for below, name in AGES if years < below)


def _years(header: Any) -> float | None:
    """Age in years, as stated ("045Y", "018M"), else from the dates of birth and study."""
    stated = _text(header, "PatientAge")
    unit = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}.get(stated[-1:].upper())
    if unit is not None and stated[:-1].isdigit():
        return int(stated[:-1]) / unit
    born, studied = _text(header, "PatientBirthDate"), _text(header, "StudyDate")
    if len(born) == len(studied) == 8 and (born + studied).isdigit():
        return (int(studied) - int(born)) / 10_000
    return None


def _text(header: Any, name: str) -> str:
    value = header.get(name)
    return "" if value is None else " ".join(str(value).split())[:200]


def _listed(value: Any) -> Sequence[Any]:
    if value is None or value == "":
        return ()
    return (value,) if isinstance(value, str) or not hasattr(value, "__len__") else value


def _pair(value: Any) -> tuple[float, float] | None:
    """Two spacings above 0."""
    numbers = [float(part) for part in _listed(value)]
    return (numbers[0], numbers[1]) if len(numbers) == 2 and min(numbers) > 0 and np.isfinite(numbers).all() else None
