"""Samples: pictures of the folder to try a model with, best those that it has not learned from."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from photovision.app.web.browse import file_of
from photovision.app.web.catalogue import Catalogue, Catalogues
from photovision.app.web.workspace import State
from photovision.core.errors import PhotovisionError
from photovision.core.files import open_regular
from photovision.runtime.bundle import Bundle, read_bundle

if TYPE_CHECKING:
    from photovision.runtime.training_images import TrainingImages

OFFERED = 12
"""Pictures that are offered at once."""
_TRIED = 60  # pictures of other data that are compared with those of the training
_LARGEST = 64 << 20

TESTED = "Test pictures of its own data: it has not learned from them."
APART = "It has not learned from these pictures."
UNCERTAIN = "Whether it learned from these pictures is not recorded."


class Samples:
    """Which pictures are offered for each model, found out once for a model and the data sets that are there.

    Args:
        state: the folder.
        catalogues: of its data sets.
    """

    def __init__(self, state: State, catalogues: Catalogues) -> None:
        self._state, self._catalogues = state, catalogues
        self._known: dict[tuple[str, int, tuple[str, ...]], dict[str, Any]] = {}
        self._guard = threading.Lock()

    def of(self, model: str) -> dict[str, Any]:
        """For the page: the data set, its "pictures" with position, name and label, and a "note" on them."""
        key = model, self._state.stamp(model), tuple(self._state.data)
        with self._guard:
            if key not in self._known:
                self._known[key] = self._found(read_bundle(self._state.path_of(model)))
            return self._known[key]

    def _found(self, bundle: Bundle) -> dict[str, Any]:
        from photovision.runtime.training_images import TEST  # brings SciPy, which the first page does not wait for

        catalogues = self._fitting(bundle)
        fingerprint = (bundle.info.get("data") or {}).get("fingerprint")
        own = next((one for one in catalogues if one.dataset.fingerprint == fingerprint), None)
        record = _record(bundle)
        if own is not None and record is not None and len(record) >= len(own):
            held_out = np.flatnonzero(record.role[: len(own)] == TEST)
            if len(held_out):
                return _told(own, _spread(own, held_out.tolist()), TESTED)
        for catalogue in [one for one in catalogues if one is not own] + ([own] if own is not None else []):
            positions = _spread(catalogue, list(range(len(catalogue))), _TRIED)
            if record is not None:
                positions = [i for i in positions if not _is_known(catalogue, i, record)]
            if positions:
                return _told(catalogue, positions[:OFFERED], UNCERTAIN if record is None else APART)
        return {"pictures": [], "note": ""}

    def _fitting(self, bundle: Bundle) -> list[Catalogue]:
        """Data sets that hold what the model predicts, those with most of its classes first."""
        found = []
        for name in self._state.data:
            try:
                if self._state.annotation_type(name) == bundle.row.annotation_type:
                    found.append(self._catalogues.get(name))
            except PhotovisionError:  # the view that shows it says what is wrong with it
                continue
        common = {one.name: len(set(one.dataset.classes) & set(bundle.classes)) for one in found}
        return sorted((one for one in found if common[one.name]), key=lambda one: -common[one.name])


def _record(bundle: Bundle) -> TrainingImages | None:
    from photovision.runtime.training_images import read_training_images

    try:
        return read_training_images(bundle.path)
    except PhotovisionError:
        return None


def _spread(catalogue: Catalogue, positions: list[int], most: int = OFFERED) -> list[int]:
    """Some positions, of all classes in turn, evenly within each; the same ones every time."""
    by_label: dict[int, list[int]] = defaultdict(list)
    for position in positions:
        by_label[int(catalogue.codes[position])].append(position)
    even = []
    for own in by_label.values():
        rows = np.unique(np.linspace(0, len(own) - 1, min(most, len(own))).astype(int)).tolist()
        even.append([own[row] for row in _outside_in(rows)])
    turns = itertools.zip_longest(*even)
    return [position for turn in turns for position in turn if position is not None][:most]


def _outside_in(rows: list[int]) -> list[int]:
    """The middle one first, so that the few that are taken of each class are not all of its beginning."""
    middle = len(rows) // 2
    return [*rows[middle:], *rows[:middle]]


def _is_known(catalogue: Catalogue, position: int, record: TrainingImages) -> bool:
    """Whether the model learned from a picture, by the bytes of its file; also where it cannot be read to find out."""
    from photovision.runtime.training_images import TRAIN, VAL

    try:
        with open_regular(file_of(catalogue, position)) as file:
            content = file.read(_LARGEST + 1)
    except (OSError, PhotovisionError):
        return True
    digest = np.uint64(int.from_bytes(hashlib.sha256(content).digest()[:8], "little"))
    return len(content) > _LARGEST or bool(np.isin(record.role[record.digest == digest], (TRAIN, VAL)).any())


def _told(catalogue: Catalogue, positions: list[int], note: str) -> dict[str, Any]:
    rows = [{"i": i, "name": catalogue.ids[i], "label": list(catalogue.given(i))} for i in positions]
    return {"data": catalogue.name, "version": catalogue.version, "pictures": rows, "note": note}


def samples_of(state: State) -> Samples:
    """Those of a page, for `State.shared`."""
    return Samples(state, state.shared(Catalogues))
