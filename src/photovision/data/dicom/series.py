"""Series: slices of DICOM files brought together by UID, orientation, spacing and size, and sorted along their normal.

What does not belong together is taken apart, never stacked in silence: another orientation, a scout, a second picture
at the same place, a missing slice, another distance between slices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from photovision.core.dicom_file import of_frame, read_header
from photovision.core.errors import UnreadableImage
from photovision.core.files import open_regular
from photovision.core.quiet import quiet
from photovision.data.dataset import Problem
from photovision.data.dicom.headers import Place, ScanFacts, place_of, read_facts

_SAME = 1e-3
"""mm; slices nearer than this are at the same place."""
_EVEN, _EVEN_MM = 0.02, 0.02
"""Share of the distance, and mm, by which distances between slices may differ."""


class ScanSlice(NamedTuple):
    """One slice: its file, its frame in it (from 0), and where it lies."""

    path: Path
    frame: int
    place: Place
    number: int


@dataclass(frozen=True)
class Series:
    """Slices at even distances that make a volume.

    Attributes:
        facts: of the first file.
        slices: sorted along the normal.
        step: (3,) as a tuple, from a slice to the next in mm; along the normal where there is only one.
    """

    facts: ScanFacts
    slices: tuple[ScanSlice, ...]
    step: tuple[float, float, float]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its files, each once."""
        return tuple(dict.fromkeys(one.path for one in self.slices))

    @property
    def tilted(self) -> bool:
        """Whether slices are shifted against each other, as with a tilted gantry."""
        step, normal = np.array(self.step), self.slices[0].place.normal
        return bool(np.linalg.norm(np.cross(step, normal)) > 1e-2 * np.linalg.norm(step))


class Grouped(NamedTuple):
    """The series of files, and what was left out or taken apart, by the names of the files."""

    series: tuple[Series, ...]
    problems: tuple[Problem, ...]


def group_series(paths: Iterable[str | Path]) -> Grouped:
    """Bring slices together into volumes; files that are none are problems, never errors.

    Args:
        paths: DICOM files, of any number of series, in any order.
    """
    stacks: dict[tuple[object, ...], list[tuple[ScanFacts, ScanSlice]]] = {}
    problems: list[Problem] = []
    for path in map(Path, paths):
        try:
            facts = read_facts(path)
            slices = _slices(path, facts)
        except UnreadableImage as error:
            problems.append(Problem(str(path), "unreadable", str(error).removeprefix(f"{path}: ")))
            continue
        if facts.localizer or not slices:
            why = (
                "is a scout, which is no slice of a volume" if facts.localizer else "does not say where its slice lies"
            )
            problems.append(Problem(str(path), "no slice", why))
            continue
        for one in slices:
            stacks.setdefault(_key(facts, one.place), []).append((facts, one))
    problems += _mixed(stacks)
    series: list[Series] = []
    for stack in stacks.values():
        for part in _single(stack, problems):
            series += _even(part, problems)
    return Grouped(tuple(series), tuple(problems))


def _slices(path: Path, facts: ScanFacts) -> list[ScanSlice]:
    """The slices of a file, as far as it says where they lie."""
    if facts.place is not None:
        return [ScanSlice(path, 0, facts.place, facts.number)]
    if facts.frames < 2:
        return []
    with open_regular(path) as file, quiet:
        header, _ = read_header(file)
        places = [place_of(of_frame(header, frame)) for frame in range(facts.frames)]
    return [ScanSlice(path, frame, place, frame) for frame, place in enumerate(places) if place is not None]


def _key(facts: ScanFacts, place: Place) -> tuple[object, ...]:
    """What slices of one volume have in common."""
    turned = np.round(np.concatenate([place.across, place.down]), 2) + 0.0
    return facts.patient, facts.study, facts.series, facts.size, tuple(turned), tuple(np.round(place.spacing, 3))


def _mixed(stacks: dict[tuple[object, ...], list[tuple[ScanFacts, ScanSlice]]]) -> list[Problem]:
    """Problems of series whose slices have several orientations, spacings or sizes: all but the largest part."""
    parts: dict[object, list[list[tuple[ScanFacts, ScanSlice]]]] = {}
    for key, stack in stacks.items():
        parts.setdefault(key[:3], []).append(stack)
    found = []
    for own in parts.values():
        largest = max(own, key=len)
        for stack in (one for one in own if one is not largest):
            for path in dict.fromkeys(piece.path for _, piece in stack):
                why = "has another orientation, spacing or size than most of its series, and is taken apart from it"
                found.append(Problem(str(path), "mixed series", why))
    return found


def _single(
    stack: Sequence[tuple[ScanFacts, ScanSlice]], problems: list[Problem]
) -> list[list[tuple[ScanFacts, ScanSlice]]]:
    """A stack taken apart where slices lie at the same place: whole repetitions each by itself, others left out."""
    ordered = sorted(stack, key=lambda one: (round(one[1].place.along / _SAME), one[1].number, str(one[1].path)))
    places: list[list[tuple[ScanFacts, ScanSlice]]] = []
    for one in ordered:
        if places and abs(one[1].place.along - places[-1][0][1].place.along) < 2 * _SAME:
            places[-1].append(one)
        else:
            places.append([one])
    counts = Counter(map(len, places))
    if len(counts) == 1:  # several phases or echoes
        return [[place[number] for place in places] for number in range(len(places[0]))]
    for place in places:
        for _, double in place[1:]:
            why = f"lies at the same place as {place[0][1].path.name}, and is left out"
            problems.append(Problem(str(double.path), "double slice", why))
    return [[place[0] for place in places]]


def _even(stack: Sequence[tuple[ScanFacts, ScanSlice]], problems: list[Problem]) -> list[Series]:
    """A stack taken apart where the distance between its slices changes."""
    runs: list[list[tuple[ScanFacts, ScanSlice]]] = [[stack[0]]]
    step: np.ndarray | None = None
    for before, after in pairwise(stack):
        here = after[1].place.position - before[1].place.position
        if step is None or np.linalg.norm(here - step) <= _EVEN_MM + _EVEN * np.linalg.norm(step):
            step = here if step is None else step
            runs[-1].append(after)
            continue
        times = np.linalg.norm(here) / np.linalg.norm(step)
        missing = round(times) - 1 if round(times) > 1 and abs(times - round(times)) < 0.1 else 0
        what = (
            f"{missing:,} slices are" if missing > 1 else "a slice is" if missing else "the distance changes, none is"
        )
        why = f"{np.linalg.norm(here):.2f} mm after {before[1].path.name} in place of {np.linalg.norm(step):.2f}"
        problems.append(
            Problem(str(after[1].path), "gap", f"lies {why}: {what} missing; the series is taken apart here")
        )
        runs.append([after])
        step = None
    return [_series(run) for run in runs]


def _series(run: Sequence[tuple[ScanFacts, ScanSlice]]) -> Series:
    slices = tuple(one for _, one in run)
    if len(slices) > 1:
        step = (slices[-1].place.position - slices[0].place.position) / (len(slices) - 1)
    else:
        step = slices[0].place.normal
    return Series(replace(run[0][0], place=None), slices, tuple(float(part) for part in step))  # type: ignore[arg-type]
