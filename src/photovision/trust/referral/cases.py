"""Cases: pictures brought together by study, eye or side, and what a rule decides about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.suggest import did_you_mean
from photovision.core.types import Floats, Ints, Sample
from photovision.trust.referral.rules import ReferralRule

UNITS = ("study", "exam", "visit", "case", "patient")
"""Attributes of which the first that pictures have is the unit of a decision, where none is chosen."""
SIDES = ("eye", "side", "laterality", "breast")
"""Attributes that part such a unit."""
PATIENTS = ("patient", "patient_id", "patientid", "subject", "person", "group")
"""Attributes of which the first that pictures have tells whose they are."""


@dataclass(frozen=True, eq=False)
class Cases:
    """N cases, each with one picture or several.

    Attributes:
        names: of the cases.
        by: the attributes that make a case; () where each picture is one.
        rows: int64 (M,), the case of each picture.
        patients: int64 (N,), whose they are.
        patient: the attribute that tells; "" where each case counts as a patient of its own.
        probs: float32 (N, C), the mean of the pictures'.
        unknown: bool (N,), whether a picture is unlike the training pictures.
    """

    names: tuple[str, ...]
    by: tuple[str, ...]
    rows: Ints
    patients: Ints
    patient: str
    probs: Floats
    unknown: np.ndarray

    @classmethod
    def of(
        cls, samples: Sequence[Sample], probs: Floats, unknown: np.ndarray, by: Sequence[str] = (), patient: str = ""
    ) -> Cases:
        """Bring M pictures together.

        Args:
            samples: the pictures.
            probs: float32 (M, C).
            unknown: bool (M,).
            by: attributes whose equal values make one case; () takes what there is of UNITS and SIDES.
            patient: the attribute that tells whose a picture is; "" takes the first of PATIENTS that there is.

        Raises:
            UsageError: no picture has an attribute that was asked for.
        """
        known = list(dict.fromkeys(name for sample in samples for name in sample.groups))
        for name in (*by, *([patient] if patient else [])):
            if name not in known:
                meant = did_you_mean(name, known, f"; known: {', '.join(known) or 'none'}")
                raise UsageError(f"no picture has the attribute '{name}'{meant}")
        lower = {name.lower(): name for name in reversed(known)}
        unit = next((lower[name] for name in UNITS if name in lower), None)
        chosen = tuple(by) or ((unit, *(lower[side] for side in SIDES if side in lower)) if unit else ())
        whose = patient or next((lower[name] for name in PATIENTS if name in lower), "")
        names, rows = _numbered(_keys(samples, chosen))
        owners = _numbered(_keys(samples, (whose,) if whose else ()))[1] if whose else rows
        first = np.unique(rows, return_index=True)[1]
        sums = np.zeros((len(names), probs.shape[1]))
        np.add.at(sums, rows, probs)
        mean = (sums / np.bincount(rows)[:, None]).astype(np.float32)
        strange = np.zeros(len(names), bool)
        np.logical_or.at(strange, rows, unknown)
        return cls(names, chosen, rows, owners[first], whose, mean, strange)

    def at(self, kept: Ints) -> Cases:
        """Some of the cases, by position, with their pictures; `rows` then number these."""
        number = np.full(len(self.names), -1)
        number[kept] = np.arange(len(kept))
        rows = number[self.rows]
        return replace(
            self,
            names=tuple(self.names[int(one)] for one in kept),
            rows=rows[rows >= 0].astype(np.int64),
            patients=self.patients[kept],
            probs=self.probs[kept],
            unknown=self.unknown[kept],
        )

    def most_urgent(self, referrals: Ints) -> Ints:
        """int64 (N,): the most urgent of the referrals int64 (M,) of each case's pictures; -1 where all are -1."""
        found = np.full(len(self.names), np.iinfo(np.int64).max)
        known = referrals >= 0
        np.minimum.at(found, self.rows[known], referrals[known])
        return np.where(found == np.iinfo(np.int64).max, -1, found).astype(np.int64)

    def readers(
        self, samples: Sequence[Sample], names: Sequence[str], rule: ReferralRule, classes: Sequence[str]
    ) -> Ints:
        """int64 (R, N): what each of R readers decided, -1 where one did not look.

        Args:
            samples: the M pictures, whose attributes hold classes or referrals.
            names: of the readers' attributes.
            rule: gives the right referral of a class.
            classes: of the model.

        Raises:
            UsageError: a reader used another word.
        """
        meaning: Mapping[str, int] = {
            **{name: int(best) for name, best in zip(classes, rule.best, strict=True)},
            **{name: number for number, name in enumerate(rule.referrals)},
            "": -1,
        }
        found = []
        for name in names:
            words = [sample.groups.get(name, "").strip() for sample in samples]
            odd = next((word for word in words if word not in meaning), None)
            if odd is not None:
                listed = ", ".join([*rule.referrals, *classes][:12])
                raise UsageError(f"reader '{name}' used '{odd}': give one of {listed}, or nothing")
            found.append(self.most_urgent(np.array([meaning[word] for word in words], np.int64)))
        return np.array(found, np.int64).reshape(len(names), len(self.names))


def _keys(samples: Sequence[Sample], by: Sequence[str]) -> list[str]:
    """The case of each picture; one without the attributes is a case of its own."""
    parts = [[sample.groups.get(name, "") for name in by] for sample in samples]
    return [" ".join(part) if any(part) else f"\0{sample.id}" for sample, part in zip(samples, parts, strict=True)]


def _numbered(keys: Sequence[str]) -> tuple[tuple[str, ...], Ints]:
    index: dict[str, int] = {}
    rows = np.array([index.setdefault(key, len(index)) for key in keys], np.int64)
    return tuple(key.removeprefix("\0") for key in index), rows
