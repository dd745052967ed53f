"""What an audit is asked for, and the checks that are run for it: the same for models of every task."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from photovision.core.errors import DataError, UsageError
from photovision.core.progress import Listener, Progress, silent
from photovision.core.report import Finding
from photovision.core.types import Sample

C = TypeVar("C")

NAMES = ("groups", "objects", "slices", "shortcuts", "conditions", "calibration", "labels", "raters", "explanations")
"""All checks there are; the model's task decides which of them exist for it."""
MOST_VALUES = 20
"""An attribute of more values than this (file numbers, patients) is audited only when it is asked for by name."""


@dataclass(frozen=True)
class AuditRequest:
    """What an audit is asked for.

    Attributes:
        by: attributes to compare groups by; empty takes all that have few values.
        only: names of the checks to run; empty runs all.
        minutes: wall time for all of them; the costly ones look at as many pictures as fit.
        seed: of everything random.
    """

    by: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    minutes: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        strange = [name for name in self.only if name not in NAMES]
        if strange:
            raise UsageError(f"no check is called '{strange[0]}'; the checks are {', '.join(NAMES)}")
        if not 0 < self.minutes <= 1440:
            raise UsageError(f"minutes should be above 0 and at most a day, got {self.minutes}")

    def among(self, checks: Mapping[str, object], model: str) -> None:
        """Raise UsageError where a check that was asked for does not exist for such a model, as in "a detector"."""
        strange = [name for name in self.only if name not in checks]
        if strange:
            raise UsageError(f"there is no check '{strange[0]}' of {model}; its checks are {', '.join(checks)}")


def run_checks(
    checks: Mapping[str, Callable[[C], Finding | None]], case: C, only: Sequence[str], listener: Listener = silent
) -> tuple[list[Finding], dict[str, float]]:
    """What the checks that are asked for found, in their order, and how many seconds each took."""
    found, seconds = [], {}
    for name, check in checks.items():
        if only and name not in only:
            continue
        began = time.monotonic()
        listener(Progress(name, 0, 1))
        finding = check(case)
        found += [finding] if finding else []
        seconds[name] = round(time.monotonic() - began, 1)
        listener(Progress(name, 1, 1))
    return found, seconds


@dataclass(frozen=True, eq=False)
class Groups:
    """The attributes of N pictures.

    Attributes:
        values: attribute -> one value a picture, "" where it is not known; columns of raters are no attributes.
        compared: attributes to compare groups by: those asked for, else all with 2 to 20 values.
    """

    values: dict[str, list[str]]
    compared: tuple[str, ...]

    @classmethod
    def of(cls, samples: Sequence[Sample], by: Sequence[str]) -> Groups:
        """From samples; raises DataError where an attribute that was asked for does not exist."""
        from photovision.trust.labels.annotators import is_rater

        names = sorted({name for sample in samples for name in sample.groups if not is_rater(name)})
        values = {name: [sample.groups.get(name, "") for sample in samples] for name in names}
        strange = [name for name in by if name not in values]
        if strange:
            known = ", ".join(values) or "none"
            raise DataError(f"no picture has the attribute '{strange[0]}' to compare groups by; known: {known}")
        few = [name for name, column in values.items() if 2 <= len(set(column) - {""}) <= MOST_VALUES]
        return cls(values, tuple(by) or tuple(few))
