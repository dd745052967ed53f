"""What headers and names state of scans, added to any data set: patients, groups of the audit, frames as pictures.

Patients are kept on one side of every split without being asked (`photovision.data.split`). They come from the header
(issuer and PatientID, as a pseudonym), from a column of the data that is called like one, or from the names of files.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from photovision.core.errors import MissingExtra, UnreadableImage
from photovision.core.image_formats import SUFFIXES
from photovision.core.types import Sample
from photovision.data.dataset import ColumnSamples, Dataset, FileSamples, Problem
from photovision.data.dicom.frames import unpacked_frames, unpacked_slices
from photovision.data.dicom.headers import ScanFacts, is_dicom, read_facts
from photovision.data.dicom.volume import is_nifti
from photovision.data.sessions import PATIENT

PATIENT_NAMES = frozenset(
    ("patient", "patientid", "patientnumber", "subject", "subjectid", "participant", "participantid", "caseid")
)
"""Names of columns that tell patients, without blanks, signs and letter case."""
_RULES = (
    (re.compile(r"(?:^|[/_. -])(?:patient|pat|subject|subj)[ _-]?(\d+)(?=[/_. -]|$)", re.IGNORECASE), "as 'patient12'"),
    (re.compile(r"(?:^|[/_. -])sub-([A-Za-z0-9]+)(?=[/_. -]|$)"), "as 'sub-01' (BIDS)"),
    (re.compile(r"(?:^|/)(\d{8})_\d{3}\.[A-Za-z0-9]+$"), "before the underscore (NIH)"),
)
_SCANS = frozenset((".dcm", ".dicom", ".ima", ""))


def with_scans(dataset: Dataset) -> Dataset:
    """The data set with what headers and names state: patients, groups, and a picture for each frame and slice.

    Attributes that the data give themselves are kept. Scouts become problems; a file that cannot be read stays, for
    the check to name it. Columns stay as they are: what is known was written with them.
    """
    if isinstance(dataset.samples, ColumnSamples):
        return dataset
    return _with_names(_with_headers(_with_column(dataset)))


def _with_headers(dataset: Dataset) -> Dataset:
    files = [_file(sample) for sample in dataset.samples] if _may_hold_scans(dataset) else []
    if not any(file is not None for file in files):
        return dataset
    samples: list[Sample] = []
    places: list[list[int]] = []
    problems: list[Problem] = []
    for sample, file in zip(dataset.samples, files, strict=True):
        found = [sample]
        if file is not None:
            try:
                found = list(_scans(sample, file, problems))
            except (UnreadableImage, MissingExtra) as error:
                if is_nifti(file):
                    problems.append(Problem(sample.id, "unreadable", str(error).removeprefix(f"{file}: ")))
                    found = []
        places.append(list(range(len(samples), len(samples) + len(found))))
        samples += found
    splits = {name: tuple(new for old in rows for new in places[old]) for name, rows in dataset.splits.items()}
    return replace(dataset, samples=tuple(samples), splits=splits, problems=(*dataset.problems, *problems))


def _may_hold_scans(dataset: Dataset) -> bool:
    """Whether any file is called as scans are; of a million photographs no sample is made for this."""
    names = dataset.samples.files if isinstance(dataset.samples, FileSamples) else None
    return names is None or any(_called_scan(name) for name in names)


def _called_scan(name: str) -> bool:
    suffix = os.path.splitext(name)[1].lower()
    return suffix in _SCANS or suffix not in SUFFIXES or is_nifti(name)


def _file(sample: Sample) -> Path | None:
    """The file of a sample where it is a scan."""
    if isinstance(sample.image, np.ndarray) or not _called_scan(sample.image.name):
        return None
    return sample.image if is_nifti(sample.image) or is_dicom(sample.image) else None


def _scans(sample: Sample, file: Path, problems: list[Problem]) -> Iterator[Sample]:
    """The samples that a file makes: one, one for each frame, or none for a scout."""
    if is_nifti(file):
        yield from _numbered(sample, unpacked_slices(file))
        return
    facts = read_facts(file)
    if facts.localizer:
        problems.append(Problem(sample.id, "scout", "is a scout (LOCALIZER), and is left out"))
        return
    stated = replace(sample, groups=_groups(sample, facts))
    if facts.frames > 1 and sample.annotations is None:
        yield from _numbered(stated, unpacked_frames(file, facts.frames))
    else:
        yield stated


def _groups(sample: Sample, facts: ScanFacts) -> dict[str, str]:
    return {**facts.groups(), **sample.groups}


def _numbered(sample: Sample, files: Sequence[Path]) -> Iterator[Sample]:
    """A sample for each file, called after the one that they come from."""
    for number, file in enumerate(files, 1):
        yield replace(sample, id=f"{sample.id}#{number}", image=file)


def _with_column(dataset: Dataset) -> Dataset:
    """The data set with the attribute "patient", where a column that is called like one tells it."""
    samples = dataset.samples
    if not isinstance(samples, FileSamples) or PATIENT in samples.attributes:
        return dataset
    columns = samples.attributes
    column = next((name for name in columns if re.sub(r"[\W_]+", "", name.casefold()) in PATIENT_NAMES), None)
    return dataset if column is None else replace(dataset, samples=samples.with_attribute(PATIENT, columns[column]))


def _with_names(dataset: Dataset) -> Dataset:
    """The data set with the attribute "patient", where nothing but the names of its files tells it."""
    samples = dataset.samples
    files = samples.files if isinstance(samples, FileSamples) else [sample.id for sample in samples]
    if (found := patients_in_names(files)) is None or any(sample.groups.get(PATIENT) for sample in samples):
        return dataset
    patients, how = found
    note = (
        f"the names of the files tell {len(set(patients)):,} patients ({how}), whose pictures are kept on one side of a"
        " split; a column 'patient' in a table goes before this"
    )
    if isinstance(samples, FileSamples):
        named: Sequence[Sample] = samples.with_attribute(PATIENT, patients)
    else:
        both = zip(samples, patients, strict=True)
        named = tuple(replace(sample, groups={**sample.groups, PATIENT: patient}) for sample, patient in both)
    return replace(dataset, samples=named, notes=(*dataset.notes, Problem(files[0], "reading", note)))


def patients_in_names(files: Sequence[str]) -> tuple[list[str], str] | None:
    """The patient of every file and the rule by which its name tells it; None where not all names do.

    Example:
        >>> patients_in_names(["a/00000013_005.png", "b/00000013_006.png", "a/00000021_000.png"])
        (['patient 00000013', 'patient 00000013', 'patient 00000021'], 'before the underscore (NIH)')
        >>> patients_in_names(["a/1.png", "a/2.png"]) is None
        True
    """
    for pattern, how in _RULES:
        if not files or pattern.search(files[0]) is None:
            continue
        matches = [pattern.search(file) for file in files]
        patients = [f"patient {match[1]}" for match in matches if match]
        if len(patients) == len(files) and len(set(patients)) > 1 and max(Counter(patients).values()) > 1:
            return patients, how
    return None
