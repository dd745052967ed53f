"""Row: one answer of a model, as it is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from photovision.core.errors import UsageError
from photovision.core.types import Floats

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Row:
    """The prediction of one model for one picture.

    Attributes:
        id: of the request; the record does not ask that it be unique.
        at: when, with a time zone; comes back in UTC, to the microsecond.
        model, version: who answered.
        label: the answer, "unknown" for a picture of something else. Detectors: the class of the most probable box,
            "" where there is none. Segmenters: the class that covers most.
        best: the most probable class.
        prob: its probability, 0 to 1; for detectors the mean score of the boxes, for segmenters the mean probability of
            the predicted classes of all pixels.
        novelty: how unlike the training pictures it is; None for a model without a gate.
        known: whether it passed the gate; None for a model without one.
        prediction_set: classes, most probable first; empty, too, for a model without sets.
        embedding: float32 (D,), kept to float16's precision; None where it is not to be kept.
        found: boxes or areas, ready for JSON: {"size", "boxes"} of a detector, {"size", "areas", ...} of a segmenter;
            None of a classifier.
        seconds: from the arrival of the request to the answer.
        picture: the content of the picture's file, to be kept where the record has a folder for pictures. It is kept
            as it came, with the metadata in it. None in rows that are read: see `kept`.
        kept: name of the picture kept, for `Record.picture`; set by `Record.read`.

    Raises:
        UsageError: `at` has no time zone.
    """

    id: str
    at: datetime
    model: str
    version: str
    label: str
    best: str
    prob: float
    novelty: float | None = None
    known: bool | None = None
    prediction_set: tuple[str, ...] = ()
    embedding: Floats | None = None
    found: Mapping[str, Any] | None = None
    seconds: float = 0.0
    picture: bytes | None = None
    kept: str | None = None

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise UsageError("a recorded time needs a time zone: datetime.now(UTC), got one without")


def to_ticks(at: datetime) -> int:
    """Microseconds since 1970 in UTC, which all databases order and keep alike.

    Example:
        >>> to_ticks(datetime(1970, 1, 2, tzinfo=UTC))
        86400000000
    """
    return (at - _EPOCH) // timedelta(microseconds=1)


def from_ticks(ticks: int) -> datetime:
    """The time that `to_ticks` was given, in UTC."""
    return _EPOCH + timedelta(microseconds=ticks)
