"""The catalogue: one data set as columns, which filters and pages of a grid are taken from; nothing is decoded."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from photovision.app.web.check_results import KINDS, NOTHING, CheckResults, read_examined
from photovision.app.web.predictions import colours, counted
from photovision.app.web.workspace import State
from photovision.core.errors import DataError
from photovision.core.types import Ints
from photovision.data.corrections import LABEL, LEAVE_OUT, RIGHT, Corrections
from photovision.data.dataset import Correction, Dataset
from photovision.data.formats.colours import BACKGROUND
from photovision.data.formats.mvtec import good_class
from photovision.data.read import read_dataset, root_of
from photovision.data.session_corrections import ALONE, SessionCorrections

MOST_VALUES = 60
"""Attributes with more values than this (file numbers, patients) are searched as text, and not offered as filters."""
_REMEMBERED = 24
BY_NAME, BY_NUMBER = "name:", "found:"
"""What the keys of capture sessions begin with: those of people, and those that were found."""


@dataclass(frozen=True)
class LabelFilter:
    """What the grid should show.

    Attributes:
        split: "train", "val", "test", or None for all.
        label: a class, by the labels as they are corrected, or None for all.
        kind: one of `KINDS`, "problems" for any of them, a decision of `photovision.data.corrections`, or None for all.
        text: part of the name; "" for all.
        groups: attribute -> value.
        session: key of a capture session, see `Catalogue.sessions`, or None for all.
        worst: whether pictures with problems come first.
        as_of: any number that the page chooses for one question; the pages of its answer then fit together, whatever is
            corrected meanwhile.
    """

    split: str | None = None
    label: str | None = None
    kind: str | None = None
    text: str = ""
    groups: tuple[tuple[str, str], ...] = ()
    session: str | None = None
    worst: bool = True
    as_of: int = 0


@dataclass(eq=False)
class Catalogue:
    """The N pictures of a data set.

    Attributes:
        name: what the page calls it.
        source: its folder.
        dataset: as it lies on the disk, without corrections.
        corrections: what people decided; session_corrections: what they know of capture sessions.
        examined: what `check` found, `NOTHING` before.
    """

    name: str
    source: Path
    dataset: Dataset
    corrections: Corrections
    session_corrections: SessionCorrections
    examined: CheckResults = NOTHING
    _lists: OrderedDict[LabelFilter, Ints] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        count = len(self.dataset)
        self.ids: list[str] = []
        self.codes = np.zeros(count, np.int64)
        self.targets: list[tuple[str, ...]] = []
        known: dict[tuple[str, ...], int] = {}
        columns: dict[str, dict[int, str]] = defaultdict(dict)
        for position, sample in enumerate(self.dataset.samples):
            self.ids.append(sample.id)
            self.codes[position] = known.setdefault(sample.target or (), len(known))
            for name, value in sample.groups.items():
                columns[name][position] = value
        self.targets = list(known)
        self.columns: Mapping[str, dict[int, str]] = columns
        self.position = {name: position for position, name in enumerate(self.ids)}
        self.split = np.full(count, "", dtype="<U5")
        for name, positions in self.dataset.splits.items():
            self.split[list(positions)] = name
        # Addresses of thumbnails carry this, so that a browser never shows those of an earlier state of the folder.
        self.version = hashlib.sha256("\n".join([str(self.source), *self.ids]).encode("utf-8", "replace")).hexdigest()[
            :12
        ]

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, position: int) -> int:
        """The position, checked; raises DataError for one that does not exist."""
        if not 0 <= position < len(self.ids):
            raise DataError(f"there is no picture number {position} in {self.name}: reload the page")
        return position

    def given(self, position: int) -> tuple[str, ...]:
        """The classes that the data give a picture."""
        return self.targets[int(self.codes[position])]

    def decisions(self) -> dict[int, Correction]:
        """Position -> the decision that counts, of those that fit the data."""
        found = {self.position[name]: c for name, c in self.corrections.latest().items() if name in self.position}
        return {position: c for position, c in found.items() if c.was == self.given(position)}

    def positions(self, wish: LabelFilter) -> Ints:
        """int64 (n,): the pictures that a wish asks for, in their order; remembered, so that pages fit together."""
        if wish not in self._lists:
            self._lists[wish] = self._chosen(wish, self.decisions())
            while len(self._lists) > _REMEMBERED:
                self._lists.popitem(last=False)
        return self._lists[wish]

    def _chosen(self, wish: LabelFilter, decisions: Mapping[int, Correction]) -> Ints:
        mask = np.ones(len(self), bool)
        if wish.split:
            mask &= self.split == wish.split
        if wish.label:
            mask &= self._labelled(wish.label, decisions)
        for name, value in wish.groups:
            column = self.columns.get(name, {})
            mask &= self._at([position for position, one in column.items() if one == value])
        if wish.kind in (LABEL, LEAVE_OUT, RIGHT):
            mask &= self._at([position for position, c in decisions.items() if c.decision == wish.kind])
        elif wish.kind:
            mask &= self._at(self.examined.of(wish.kind))
        if wish.session:
            mask &= self._at([position for position, key in self.sessions().items() if key == wish.session])
        if text := wish.text.strip().lower():
            mask &= np.fromiter((text in name.lower() for name in self.ids), bool, len(self))
        rows = np.flatnonzero(mask).astype(np.int64)
        if not wish.worst or not self.examined.marks:
            return rows
        rank = self.examined.rank(len(self))
        rank[list(decisions)] = np.inf  # they have been looked at
        ordered: Ints = rows[np.argsort(rank[rows], kind="stable")]
        return ordered

    def sessions(self) -> dict[int, str]:
        """Position -> key of the capture session of a picture, as people know it or as it was found."""
        keys = {position: f"{BY_NUMBER}{number}" for position, number in self.examined.sessions.items()}
        for name, session in self.session_corrections.latest().items():
            position = self.position.get(name)
            if position is None:
                continue
            if session == ALONE:
                keys.pop(position, None)
            else:
                keys[position] = f"{BY_NAME}{session}"
        return keys

    def session_name(self, key: str | None) -> str | None:
        """What people read for a key: "session 3", or the name that it was given."""
        if key is None or key.startswith(BY_NAME):
            return key and key.removeprefix(BY_NAME)
        return f"session {int(key.removeprefix(BY_NUMBER)) + 1:,}"

    def _at(self, positions: list[int]) -> np.ndarray:
        mask = np.zeros(len(self), bool)
        mask[positions] = True
        return mask

    def _labelled(self, label: str, decisions: Mapping[int, Correction]) -> np.ndarray:
        mask = np.isin(self.codes, [code for code, target in enumerate(self.targets) if label in target])
        for position, change in decisions.items():
            if change.decision in (LABEL, LEAVE_OUT):
                mask[position] = change.decision == LABEL and label in change.label
        return mask

    def row(self, position: int, decisions: Mapping[int, Correction], sessions: Mapping[int, str]) -> dict[str, Any]:
        """A picture as the grid shows it."""
        return {
            "i": position,
            "name": self.ids[position],
            "label": list(self.given(position)),
            "split": str(self.split[position]) or None,
            "marks": [mark.kind for mark in self.examined.marks.get(position, ())],
            "suggested": self.examined.suggested(position),
            "decision": decision_json(decisions.get(position)),
            "session": self.session_name(sessions.get(position)),
            "objects": counted(self.dataset.samples[position].annotations),
        }

    def _is_ground(self, name: str) -> bool:
        """Whether a class is what lies around the objects or defects of a picture."""
        if self.dataset.annotation_type == "defects":
            return name == good_class(self.dataset.classes)
        return name == BACKGROUND

    def summary(self) -> dict[str, Any]:
        """What the filters offer."""
        decisions = self.decisions()
        counts = Counter(name for code in self.codes.tolist() for name in self.targets[code])
        offered = {name: Counter(column.values()) for name, column in self.columns.items()}
        return {
            "name": self.name,
            "version": self.version,
            "pictures": len(self),
            "multilabel": self.dataset.multilabel,
            "annotation_type": self.dataset.annotation_type,
            "hidden": [place for place, name in enumerate(self.dataset.classes) if self._is_ground(name)],
            "colours": colours(len(self.dataset.classes)) if self.dataset.annotation_type != "labels" else None,
            "notes": len(self.dataset.notes),
            "classes": [{"name": name, "pictures": counts[name]} for name in self.dataset.classes],
            "splits": {name: len(positions) for name, positions in self.dataset.splits.items()},
            "groups": {name: dict(c.most_common()) for name, c in offered.items() if 1 < len(c) <= MOST_VALUES},
            "problems": [vars(problem) for problem in self.dataset.problems[:200]],
            "left_out": len(self.dataset.problems),
            "examined": self.examined.summary(),
            "kinds": KINDS,
            "decisions": Counter(change.decision for change in decisions.values()),
            "file": self.corrections.file.name,
        }


def decision_json(change: Correction | None) -> dict[str, Any] | None:
    """A decision for the page."""
    return None if change is None else {"decision": change.decision, "label": list(change.label), "time": change.time}


class Catalogues:
    """The catalogues of all data sets of the page, each read when it is first asked for."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._known: dict[str, Catalogue] = {}
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def get(self, name: str, *, anew: bool = False) -> Catalogue:
        """The catalogue of a data set; `anew` reads the folder again. Raises DataError where there is none."""
        source = self.state.data_of(name)
        with self._locks[name]:
            if anew or name not in self._known:
                self._known[name] = read_catalogue(name, source)
            return self._known[name]

    def forget(self) -> None:
        """Read every data set again when it is next asked for."""
        self._known.clear()


def read_catalogue(
    name: str, source: Path, examined: Callable[[Dataset, Path], CheckResults] = read_examined
) -> Catalogue:
    """Read the names and labels of a data set, and what `check` found in it before."""
    dataset = read_dataset(source, corrections=False)
    root = root_of(source)
    return Catalogue(name, source, dataset, Corrections(root), SessionCorrections(root), examined(dataset, source))
