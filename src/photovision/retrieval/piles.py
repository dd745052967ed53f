"""Piles: an unlabelled folder sorted into clusters of pictures that are alike, for a person to name.

`group` writes a contact sheet and two tables; the person fills in names, one a pile, and `label_piles` makes of them a
table of labels that a training reads. No picture is moved, and no name is guessed.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, UsageError
from photovision.core.files import open_regular, write_text
from photovision.core.output import check_report
from photovision.core.page import write_report
from photovision.core.phrases import count
from photovision.core.progress import Listener, visible
from photovision.core.report import Figure, Report
from photovision.core.text import cells, plain_cell
from photovision.core.thumbnail import picture_grid
from photovision.core.types import Floats, Ints, Sample
from photovision.engine.progress import narrated
from photovision.retrieval.search import open_index

PILES, PICTURES, LABELS = "piles.csv", "pictures.csv", "labels.csv"
MAX_PILES = 100
"""Piles that are made where their number is not chosen; naming more of them is no work for one sitting."""
BETWEEN = 0.05
"""A picture that is nearer to its own pile than to the next by less than this part is between two piles."""
_EXAMPLES = 8
_SAMPLED = 20_000  # pictures by which the centres are found
_LARGEST = 1 << 28  # bytes of a table


@dataclass(frozen=True, eq=False)
class Piles:
    """N pictures in K clusters, the largest first.

    Attributes:
        files: paths below the folder.
        pile: int64 (N,), 0 to K - 1.
        sure: bool (N,), whether a picture is clearly nearer to its own pile than to the next.
        distance: float32 (N,), to the centre of its pile.
    """

    files: tuple[str, ...]
    pile: Ints
    sure: np.ndarray
    distance: Floats

    def members(self, pile: int) -> Ints:
        """Rows of a pile, the most typical picture first."""
        rows = np.flatnonzero(self.pile == pile)
        return rows[np.argsort(self.distance[rows], kind="stable")].astype(np.int64)


def find_piles(files: Sequence[str], vectors: Floats, number: int | None = None, seed: int = 0) -> Piles:
    """Cluster pictures by k-means of their features.

    Args:
        files: of N pictures.
        vectors: float (N, D), centred features.
        number: of piles; None for the root of N, at most `MAX_PILES`: more piles than classes, so that each is pure.
        seed: random seed.

    Raises:
        UsageError: fewer than 2 piles, or more piles than pictures.

    Example:
        >>> rows = np.float32([[0, 1], [0, 1.1], [1, 0], [1.1, 0]])
        >>> find_piles(["a", "b", "c", "d"], rows, 2).sure.all()
        np.True_
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    total = len(vectors)
    wanted = min(MAX_PILES, max(2, math.isqrt(total))) if number is None else number
    if not 2 <= wanted <= total:
        raise UsageError(f"the number of piles should be 2 to the number of pictures, {total:,}, got {wanted:,}")
    rng = np.random.default_rng(seed)
    rows = np.asarray(vectors, np.float32)
    sample = rows if total <= _SAMPLED else rows[np.sort(rng.permutation(total)[:_SAMPLED])]
    with threadpool_limits(1, "blas"):
        found = KMeans(wanted, n_init=3, random_state=seed).fit(sample)
        away = np.concatenate([found.transform(part) for part in np.array_split(rows, max(1, total // 4096))])
    nearest, two = away.argmin(1), np.partition(away, 1, axis=1)[:, :2]
    numbers, sizes = np.unique(nearest, return_counts=True)  # of equal pictures, a centre may have none
    rank = np.empty(wanted, np.int64)
    rank[numbers[np.argsort(-sizes, kind="stable")]] = np.arange(len(numbers))
    sure = two[:, 0] <= (1 - BETWEEN) * two[:, 1]
    return Piles(tuple(files), rank[nearest], sure, two[:, 0].astype(np.float32))


@narrated
def group(
    folder: str | Path,
    output: str | Path | None = None,
    *,
    piles: int | None = None,
    seed: int = 0,
    listener: Listener = visible,
) -> Report:
    """Sort a folder of pictures into piles of pictures that are alike.

    The features are those of an index in the cache, so that only new pictures are read when it is run again.

    Args:
        folder: of pictures, or an index of it.
        output: where the contact sheet and the tables of piles and pictures are written; None writes nothing.
        piles: how many; None lets their number grow with that of the pictures.
        seed: random seed.
        listener: of the progress of indexing.

    Raises:
        DataError: the folder does not exist, or holds fewer than 2 readable pictures.
        UsageError: a wrong number of piles, or piles in `output` that somebody may have named.
    """
    place = None if output is None else Path(output)
    if place is not None:
        check_report(place, "group", (PICTURES,))
        if os.path.lexists(place / PILES):
            raise UsageError(
                f"{place} holds piles that somebody may have named: choose another folder with --output, or make"
                f" labels of them with 'photovision group --confirm {place}'"
            )
    with open_index(folder, listener=listener) as opened:
        ids, vectors = opened.store.vectors()
        if len(ids) < 2:
            raise DataError(
                f"{folder} holds {count(len(ids), 'readable picture')}, and piles need at least 2: add some"
            )
        known, root = opened.store.pictures(), opened.folder
    found = find_piles([known[number].file for number in ids.tolist()], vectors, piles, seed)
    report = _report(found, root, seed)
    if place is not None:
        write_report(report, place)
        _write(place / PICTURES, ("file_name", "pile", "sure"), _picture_rows(found))
        _write(place / PILES, ("pile", "name", "pictures", "sure"), _pile_rows(found))
    return report


def label_piles(output: str | Path) -> tuple[Path, int]:
    """Make a table of labels of the piles that a person named; pictures between two piles are left out.

    Args:
        output: folder that `group` wrote, with names in the column "name" of piles.csv. A pile without a name is left
            out, and piles of one name become one class.

    Returns:
        the table, with the columns file_name and label, and how many pictures it names.

    Raises:
        DataError: the tables are not there or damaged, or fewer than 2 names were filled in.
        UsageError: there are labels already.
    """
    place = Path(output)
    if os.path.lexists(place / LABELS):
        raise UsageError(f"{place / LABELS} is there already: move it away to make it again")
    names = {row["pile"]: plain_cell(row["name"]).strip() for row in _read(place / PILES, ("pile", "name"))}
    classes = {name for name in names.values() if name}
    if len(classes) < 2:
        raise DataError(
            f"{place / PILES} should name at least 2 classes in its column 'name', got {len(classes)}: fill in a name"
            " for each pile that shows one kind of thing"
        )
    rows = [
        (plain_cell(row["file_name"]), names[row["pile"]])
        for row in _read(place / PICTURES, ("file_name", "pile", "sure"))
        if row["sure"] == "yes" and names.get(row["pile"])
    ]
    _write(place / LABELS, ("file_name", "label"), rows)
    return place / LABELS, len(rows)


def _report(found: Piles, root: Path, seed: int) -> Report:
    total, number, unsure = len(found.files), int(found.pile.max()) + 1, int((~found.sure).sum())
    figures: list[Figure] = []
    for pile in range(number):
        rows = found.members(pile)
        shown = rows[np.unique(np.linspace(0, len(rows) - 1, min(_EXAMPLES, len(rows))).astype(int))]
        samples = [Sample(found.files[row], root / found.files[row]) for row in shown.tolist()]
        drawn = picture_grid(
            f"Pile {pile + 1}: {count(len(rows), 'picture')}", samples, [one.id for one in samples], ""
        )
        if drawn is not None:
            figures.append(drawn)
    summary = (
        f"{count(total, 'picture')} in {count(number, 'pile')} of pictures that are alike.",
        f"{count(unsure, 'picture')} between two piles: left out when the piles are named.",
        f"Fill in the column 'name' of {PILES}, then run 'photovision group --confirm' on this folder. Piles of one"
        " name become one class; a pile without a name is left out.",
    )
    listed = [
        {"pile": pile + 1, "pictures": [found.files[row] for row in found.members(pile).tolist()]}
        for pile in range(number)
    ]
    between = [file for file, sure in zip(found.files, found.sure.tolist(), strict=True) if not sure]
    data = {"folder": str(root), "piles": listed, "between": between, "seed": seed}
    return Report("group", f"Piles of {root.name}", summary, figures=tuple(figures), data=data)


def _picture_rows(found: Piles) -> Iterable[tuple[Any, ...]]:
    for pile in range(int(found.pile.max()) + 1):
        for row in found.members(pile).tolist():
            yield found.files[row], pile + 1, "yes" if found.sure[row] else "no"


def _pile_rows(found: Piles) -> Iterable[tuple[Any, ...]]:
    for pile in range(int(found.pile.max()) + 1):
        rows = found.members(pile)
        yield pile + 1, "", len(rows), int(found.sure[rows].sum())


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    page = io.StringIO()
    table = csv.writer(page, lineterminator="\n")
    table.writerow(columns)
    table.writerows(cells(row) for row in rows)
    write_text(path, page.getvalue())


def _read(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a table that a person may have saved in a spreadsheet; raises DataError."""
    try:
        with open_regular(path) as file:
            text = file.read(_LARGEST).decode("utf-8-sig")
        first = text.partition("\n")[0]
        rows = list(csv.DictReader(io.StringIO(text), delimiter=";" if ";" in first and "," not in first else ","))
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
        raise DataError(f"{path} {why}: name a folder that 'photovision group' wrote") from None
    except (UnicodeDecodeError, csv.Error):
        raise DataError(f"{path} is no CSV file in UTF-8: save it as one") from None
    if not rows or any(row.get(name) is None for row in rows for name in columns):
        raise DataError(f"{path} should have the columns {', '.join(columns)} in every row: save it with all of them")
    return rows
