"""Audit context: what an audit was asked for, the evaluation that it rests on, and what its checks share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from photovision.core.errors import DataError, UsageError
from photovision.core.parallel import in_order
from photovision.core.progress import Listener, ProgressCallback, counted, silent
from photovision.core.report import Finding
from photovision.core.suggest import did_you_mean
from photovision.core.types import Image, Ints, Sample
from photovision.data.augment.image import load_pixels
from photovision.data.corruptions import CORRUPTIONS, names
from photovision.trust.robustness.suite import spread

MAX_VALUES = 20
"""An attribute of more values than this (file numbers, patients) is compared only when it is asked for by name."""
MAX_IMAGES = 1000
_MIN_IMAGES, _MAX_BYTES = 50, 300_000_000


@dataclass(frozen=True)
class AuditRequest:
    """What an audit is asked for.

    Attributes:
        by: attributes to compare groups by; empty takes all that have few values.
        only: names of the checks to run; empty runs all.
        minutes: wall time for all of them; the costly ones look at as many images as fit.
        seed: random seed.
        conditions: what can happen at the place of use: names of places, families or corruptions, see
            `data.corruptions.names`; empty tries all.
    """

    by: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    minutes: float = 3.0
    seed: int = 0
    conditions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.minutes <= 1440:
            raise UsageError(f"minutes should be above 0 and at most a day, got {self.minutes}")
        names(self.conditions)  # a mistaken one is reported before the work

    def chosen(self, checks: Collection[str], a_model: str) -> list[str]:
        """Names of the checks to run, in their order.

        Args:
            checks: names of all checks that models of the task have.
            a_model: what such a model is, with its article, for the message.

        Raises:
            UsageError: a check was asked for that does not exist for such a model.
        """
        strange = [name for name in self.only if name not in checks]
        if strange:
            meant = did_you_mean(strange[0], checks, f"; its checks are {', '.join(checks)}")
            raise UsageError(f"there is no check '{strange[0]}' of {a_model}{meant}")
        chosen = [name for name in checks if not self.only or name in self.only]
        if self.conditions and "conditions" not in chosen:
            why = "'only' leaves out" if self.only else f"is none of {a_model}"
            raise UsageError(f"'conditions' needs the check of that name, which {why}")
        return chosen


@dataclass(frozen=True, eq=False)
class Groups:
    """The attributes of N images.

    Attributes:
        values: attribute -> one value an image, "" where it is not known; columns of annotators are no attributes.
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
            known = f"known: {', '.join(values)}" if values else "give a table of them with --attributes"
            meant = did_you_mean(strange[0], values, f"; {known}")
            raise DataError(f"no picture has the attribute '{strange[0]}' to compare groups by{meant}")
        few = [name for name, column in values.items() if 2 <= len(set(column) - {""}) <= MAX_VALUES]
        return cls(values, tuple(by) or tuple(few))

    def of_compared(self, rows: Ints) -> dict[str, list[str]]:
        """Attribute to compare by -> its values at some rows."""
        return {name: [self.values[name][int(row)] for row in rows] for name in self.compared}


@dataclass(frozen=True, eq=False)
class AuditContext:
    """What is audited, with everything that the checks share.

    Attributes:
        model: an opened model of any task.
        evaluation: its predictions beside the ground truth of N images.
        request: what was asked for.
        seconds: wall time that is left for all checks together.
        listener: called with the progress of every check.
    """

    model: Any
    evaluation: Any
    request: AuditRequest
    seconds: float
    listener: Listener = silent

    @cached_property
    def groups(self) -> Groups:
        """The attributes of the images; raises DataError where one that was asked for does not exist."""
        return Groups.of(self.samples, self.request.by)

    @property
    def samples(self) -> Sequence[Sample]:
        """The N images."""
        samples: Sequence[Sample] = self.evaluation.samples
        return samples

    @property
    def seed(self) -> int:
        """Random seed of the checks."""
        return self.request.seed

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the corruptions to try."""
        return names(self.request.conditions) or tuple(CORRUPTIONS.names())

    @property
    def train_counts(self) -> Mapping[str, Mapping[str, int]]:
        """Attribute -> value -> number of training images, as the bundle knows them."""
        counts: Mapping[str, Mapping[str, int]] = (self.model.info.get("data") or {}).get("groups") or {}
        return counts

    @cached_property
    def rows(self) -> Ints:
        """int64 (M,): rows of the evaluation whose pixels checks work on; spread evenly, as many as memory allows."""
        height, width = self.model.preprocess.size
        n = len(self.samples)
        most = min(MAX_IMAGES, max(_MIN_IMAGES, _MAX_BYTES // (height * width * 3)), n)
        return spread(n, most)

    @cached_property
    def images(self) -> Image:
        """uint8 (M, H, W, 3): the images at `rows`, as the network sees them."""
        return self.pixels(self.rows)

    @cached_property
    def part(self) -> Any:
        """The evaluation at `rows`."""
        return self.evaluation.at(self.rows)

    def pixels(self, rows: Sequence[int] | Ints) -> Image:
        """uint8 (M, H, W, 3): the images at some rows of the evaluation, as the network sees them."""
        samples = [self.samples[int(row)] for row in rows]
        loaded = in_order(samples, lambda sample: load_pixels(sample, self.model.preprocess))
        return np.stack([image for _, image in loaded])

    def progress(self, check: str) -> ProgressCallback:
        """A callback (done, total) for one check."""
        return counted(self.listener, check)


Check = Callable[[AuditContext], Finding | None]
"""One question of an audit; None where there is nothing to look at."""
