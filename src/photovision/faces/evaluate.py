"""evaluate: how often a store's threshold is wrong about people whom the user knows, over all and by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.inputs import as_pixels
from photovision.core.progress import ProgressCallback
from photovision.core.report import Metric, Report
from photovision.faces.evaluate_text import face_report
from photovision.faces.pairs import FaceData, read_face_data
from photovision.faces.recognise import FaceRecogniser
from photovision.faces.register import FaceStore
from photovision.faces.thresholds import DEFAULT_FMR, FaceThreshold
from photovision.trust.metrics.verification import FacePairs, all_pairs, clopper_pearson, match_rate

UNFAIR = 3.0
"""A group whose false-match rate is so many times that of all is warned of."""


@dataclass(frozen=True)
class FaceGroup:
    """How a group fares.

    Attributes:
        column, name: which group.
        people, pictures: in it.
        missed: share of the pictures in which no face was found.
        fmr: share of pairs of different people of the group that are called the same; None without such pairs.
        fnmr: share of pairs of one person that are not; None without such pairs.
        units: pairs of people that may count as independent.
        verdict: "higher", "too few" or "like all".
    """

    column: str
    name: str
    people: int
    pictures: int
    missed: Metric
    fmr: Metric | None
    fnmr: Metric | None
    units: int
    verdict: str


@dataclass(frozen=True, eq=False)
class FaceEvaluation:
    """What was measured.

    Attributes:
        threshold: of the store.
        pairs: with their scores.
        pictures, people: how many there were.
        missed: pictures without a face, or unreadable -> why.
        failure: share of the pictures in which no face was found; fmr, fnmr: error rates at the threshold, None without
            such pairs.
        groups: by column and name.
    """

    threshold: FaceThreshold
    pairs: FacePairs
    pictures: int
    people: int
    missed: dict[str, str]
    failure: Metric
    fmr: Metric | None
    fnmr: Metric | None
    groups: tuple[FaceGroup, ...]


def evaluate(
    store: FaceStore,
    source: str | Path,
    *,
    by: Sequence[str] = (),
    fmr: float = DEFAULT_FMR,
    progress: ProgressCallback | None = None,
) -> Report:
    """A report on false matches and false non-matches at the threshold of a store, with intervals over people.

    Args:
        store: whose threshold is tried; its people are not looked for.
        source: a folder with a folder for each person; a table of pictures (file_name, person, and groups of your own);
            or a table of pairs (a, b, same).
        by: columns of the table whose groups are compared. Nothing about people is guessed from their pictures.
        fmr: the false-match rate that the threshold is for.
        progress: called with pictures done, and in all.

    Raises:
        DataError, UsageError: as of `read_face_data`; or no picture has a face.
    """
    data = read_face_data(source, by)
    threshold = store.threshold(fmr)
    vectors, missed = embedded(store.recogniser, data.files, progress)
    found = evaluated(data, vectors, missed, threshold)
    store.note("evaluate", pictures=len(data.files), people=found.people, threshold=threshold.score, fmr=fmr)
    return face_report(found, Path(source).name)


def embedded(
    recogniser: FaceRecogniser, files: Sequence[Path], progress: ProgressCallback | None = None
) -> tuple[np.ndarray, dict[str, str]]:
    """float32 (N, 128), NaN in the rows of pictures without a face; and why these have none."""
    vectors = np.full((len(files), 128), np.nan, np.float32)
    missed: dict[str, str] = {}
    for row, file in enumerate(files):
        try:
            faces = recogniser.faces(as_pixels(file))
        except UnreadableImage as error:
            missed[str(file)] = str(error)
            continue
        finally:
            if progress is not None:
                progress(row + 1, len(files))
        if faces:
            vectors[row] = faces[0].vector
        else:
            missed[str(file)] = "no face was found"
    return vectors, missed


def evaluated(data: FaceData, vectors: np.ndarray, missed: dict[str, str], threshold: FaceThreshold) -> FaceEvaluation:
    """Rates over all and by group, from embeddings (N, 128) with NaN where no face was found."""
    seen = np.isfinite(vectors).all(axis=1)
    if seen.sum() < 2:
        raise DataError("faces were found in fewer than two pictures: check that these show people")
    pairs, rows = _paired(data, vectors, seen)
    groups = []
    whole = _rate(pairs.impostor, threshold.score)
    for column, names in data.groups.items():
        for name in sorted(set(names) - {""}):
            inside = np.array([one == name for one in names])
            groups.append(
                _group(column, name, data, inside, seen, pairs.take(inside[rows].all(axis=1)), threshold, whole)
            )
    unseen = int((~seen).sum())
    low, high = clopper_pearson(unseen, len(seen))
    failure = Metric(unseen / len(seen), low, high, len(seen))
    fnmr = _missed_rate(pairs.genuine, threshold.score)
    people = len(set(data.people))
    return FaceEvaluation(threshold, pairs, len(seen), people, missed, failure, whole, fnmr, tuple(groups))


def _paired(data: FaceData, vectors: np.ndarray, seen: np.ndarray) -> tuple[FacePairs, np.ndarray]:
    """The pairs in which both pictures have a face, and int64 (P, 2) the pictures of each."""
    places = np.flatnonzero(seen)
    every = all_pairs(vectors[places], [data.people[place] for place in places])
    first, second = np.triu_indices(len(places), 1)
    rows = np.stack([places[first], places[second]], axis=1)
    if data.pairs is None:
        return every, rows
    wanted = {(min(pair), max(pair)) for pair in data.pairs}
    chosen = np.array([(int(a), int(b)) in wanted for a, b in rows], bool)
    return every.take(chosen), rows[chosen]


def _group(
    column: str,
    name: str,
    data: FaceData,
    inside: np.ndarray,
    seen: np.ndarray,
    pairs: FacePairs,
    threshold: FaceThreshold,
    whole: Metric | None,
) -> FaceGroup:
    pictures, unseen = int(inside.sum()), int((inside & ~seen).sum())
    low, high = clopper_pearson(unseen, pictures)
    fmr, units = _rate(pairs.impostor, threshold.score), pairs.impostor.units
    people = len({person for person, member in zip(data.people, inside, strict=True) if member})
    verdict = "like all"
    if fmr is None or whole is None or units * threshold.fmr < 1:
        verdict = "too few"
    if fmr is not None and whole is not None and fmr.value > UNFAIR * whole.value and (fmr.low or 0) > whole.value:
        verdict = "higher"
    missed = Metric(unseen / pictures, low, high, pictures)
    return FaceGroup(
        column, name, people, pictures, missed, fmr, _missed_rate(pairs.genuine, threshold.score), units, verdict
    )


def _rate(impostor: FacePairs, threshold: float) -> Metric | None:
    return Metric(*match_rate(impostor, threshold), len(impostor)) if len(impostor) else None


def _missed_rate(genuine: FacePairs, threshold: float) -> Metric | None:
    if not len(genuine):
        return None
    value, low, high = match_rate(genuine, threshold)
    return Metric(1 - value, 1 - high, 1 - low, len(genuine))
