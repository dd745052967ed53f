"""Patients on one side: nobody learns from, chooses by and judges with pictures of the same patient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from photovision.core.phrases import count
from photovision.core.types import Ints
from photovision.data.dataset import Dataset
from photovision.data.sessions import PATIENT

_NAMED = 10
_SPOILT = 0.5
"""Share of the training pictures from which on a published split that parts patients is not kept."""


class Sides(NamedTuple):
    """Positions that learn, choose and judge, how many patients are shared in a sentence ("" where none are known),
    and what was left out."""

    train: Ints
    val: Ints
    test: Ints
    shared: str = ""
    notes: tuple[str, ...] = ()


def patients_of(dataset: Dataset) -> Ints:
    """int64 (N,): equal for pictures of one patient, -1 where the patient is not known."""
    numbers: dict[str, int] = {}
    names = (sample.groups.get(PATIENT, "") for sample in dataset.samples)
    return np.array([numbers.setdefault(name, len(numbers)) if name else -1 for name in names], np.int64)


def spoilt(patients: Ints, splits: dict[str, Ints]) -> bool:
    """Whether keeping a published split and its patients apart would lose more than half of the training pictures."""
    train = splits.get("train", np.empty(0, np.int64))
    others = np.concatenate([part for name, part in splits.items() if name != "train"] or [train[:0]])
    return bool(len(train)) and bool(_shared(patients, train, others).mean() > _SPOILT)


def kept_apart(dataset: Dataset, patients: Ints, train: Ints, val: Ints, test: Ints) -> Sides:
    """The same without pictures of train and val whose patient is in test, and of train whose patient is in val.

    Args:
        dataset: N pictures.
        patients: int64 (N,), of `patients_of`.
        train, val, test: int64 positions.
    """
    if not (patients >= 0).any():
        return Sides(train, val, test)
    lost_train, lost_val = _shared(patients, train, test), _shared(patients, val, test)
    kept_val = val[~lost_val]
    lost_train |= _shared(patients, train, kept_val)
    lost = np.concatenate([train[lost_train], val[lost_val]])
    notes = [_left_out(dataset, patients, lost)] if len(lost) else []
    sides = train[~lost_train], kept_val, test
    numbers = [len(np.unique(patients[part][patients[part] >= 0])) for part in sides]
    shared = f"0 patients are shared between train ({numbers[0]:,}), val ({numbers[1]:,}) and test ({numbers[2]:,})."
    unknown = int((patients[np.concatenate(sides)] < 0).sum())
    if unknown:
        notes.append(f"The patient of {count(unknown, 'picture')} is not known.")
    return Sides(*sides, shared, tuple(notes))


def _shared(patients: Ints, some: Ints, others: Ints) -> np.ndarray:
    """bool: which pictures at `some` are of a patient who is at `others`, too."""
    return (patients[some] >= 0) & np.isin(patients[some], patients[others])


def _left_out(dataset: Dataset, patients: Ints, lost: Ints) -> str:
    """Who is on two sides of a published split, in a sentence."""
    _, first = np.unique(patients[lost], return_index=True)
    names = [dataset.samples[int(position)].groups[PATIENT] for position in lost[np.sort(first)]]
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    are, who = ("is", "this patient") if len(names) == 1 else ("are", "these patients")
    return (
        f"{count(len(names), 'patient')} {are} on two sides of the published split ({', '.join(names[:_NAMED])}{more}):"
        f" {count(len(lost), 'picture')} of {who} in train or val {'is' if len(lost) == 1 else 'are'} left out."
    )
