"""Shelf and stock counting: how many of what, which slots are empty, and what changed since the visit before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, UsageError
from photovision.core.progress import ProgressCallback
from photovision.core.regions import Detections
from photovision.core.result import Size
from photovision.core.types import Floats
from photovision.engine.load import load_predicting
from photovision.recipes.shelf.align import Alignment, align, fixed
from photovision.recipes.shelf.counts import Count, count
from photovision.recipes.shelf.slots import HIDERS, Slot, SlotDecision, decide_slots, learn_slots
from photovision.recipes.shelf.visits import AlignedView, ShelfChange, changes

LOW = 0.05
"""Boxes below this probability are left out of expected counts."""


@dataclass(frozen=True, eq=False)
class ShelfMonitor:
    """What is known of one picture of the visit.

    Attributes:
        view: the picture and what is in it.
        counts: class -> count, of classes that occur.
        slots: judged slots; () without a planogram.
        changes: since the visit before; None where it has no picture of this name, or they could not be aligned.
        warnings: what could not be done, a line each.
    """

    view: AlignedView
    counts: Mapping[str, Count]
    slots: tuple[SlotDecision, ...] = ()
    changes: tuple[ShelfChange, ...] | None = None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        facts = None if self.changes is None else [change.to_json() for change in self.changes]
        return {
            "file": self.view.file,
            "size": list(self.view.size),
            "counts": {label: found.to_json() for label, found in self.counts.items()},
            "slots": [slot.to_json() for slot in self.slots],
            "changes": facts,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, eq=False)
class ShelfVisit:
    """Everything that one visit brought.

    Attributes:
        shelves: one a picture.
        totals: class -> count over all pictures.
        calibrated: whether the detector's scores were calibrated, as those of trained ones are.
        learned: slots that were learned from the reference; () where a planogram was given, or nothing.
        warnings: what could not be done at all.
    """

    shelves: tuple[ShelfMonitor, ...]
    totals: Mapping[str, Count]
    calibrated: bool
    learned: tuple[Slot, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def alarms(self) -> list[tuple[ShelfMonitor, SlotDecision]]:
        """Slots that are empty or short."""
        return [(shelf, slot) for shelf in self.shelves for slot in shelf.slots if slot.alarm]


class Looker:
    """A detector that tells also of doubtful boxes, with the classes that are asked for.

    Args:
        model: a detector's folder.
        classes: names of the classes that count; () for all but persons, who only hide what is behind them.
        threshold: the least score of a box that is shown; None: the bundle's, one a class.
        tile: (H, W) of windows for big pictures, see `photovision.runtime.tiles`.

    Raises:
        UsageError: the model has no such class, or a number is out of its range.
    """

    def __init__(
        self, model: Path, classes: Sequence[str] = (), threshold: float | None = None, tile: Size | None = None
    ) -> None:
        detector = load_predicting(model, "boxes").with_options(threshold=threshold)
        self.thresholds: Floats = detector.thresholds
        self._detector = detector.with_options(threshold=min(LOW, float(self.thresholds.min())), tile=tile)
        self.calibrated = "calibration" in detector.info
        known = self._detector.classes
        if strange := [name for name in classes if name not in known]:
            raise UsageError(f"'{strange[0]}' is not one of the model's classes: {', '.join(known[:20])}")
        self.classes = tuple(name for name in known if (name in classes if classes else name not in HIDERS))
        self._wanted = np.array([name in self.classes for name in known])
        self._hides = np.array([name in HIDERS for name in known])

    def views(
        self, files: Iterable[str], progress: ProgressCallback | None = None
    ) -> tuple[list[AlignedView], list[str]]:
        """What is in every picture, and a line for each that cannot be read; raises DataError where none can."""
        views, problems, names = [], [], list(files)
        for number, seen in enumerate(self._detector.results(names, batch_size=4), 1):
            if seen.value is None or seen.file is None:
                problems.append(str(seen.error))
            else:
                views.append(self._view(seen.file, seen.size, seen.value))
            if progress is not None:
                progress(number, len(names))
        if not views:
            raise DataError(f"none of {len(names)} pictures can be read: {(problems or ['there are none'])[0]}")
        often = Counter(view.name for view in views)
        problems += [
            f"{number} pictures are called {name}: rename them" for name, number in often.items() if number > 1
        ]
        return views, problems

    def _view(self, file: str, size: Size, found: Detections) -> AlignedView:
        scores = np.zeros(0, np.float32) if found.scores is None else found.scores
        shown = scores >= self.thresholds[found.labels]
        rows, hiders = self._wanted[found.labels], found.boxes[shown & self._hides[found.labels]]
        found = Detections(found.boxes[rows], found.labels[rows], found.classes, scores[rows])
        return AlignedView(
            Path(file).stem, file, size, found, shown[rows], hiders, self._detector.preprocess.value_ranges
        )


def visit(
    looker: Looker,
    files: Iterable[str],
    *,
    planogram: Sequence[Slot] = (),
    reference: Iterable[str] | None = None,
    before: Iterable[str] | None = None,
    still: bool = False,
    progress: ProgressCallback | None = None,
) -> ShelfVisit:
    """Count what stands on the shelves of a visit, judge their slots, and compare it with the visit before.

    Pictures of one shelf are found by their name, or because every visit has one only.

    Args:
        looker: the detector.
        files: pictures of this visit; no object should be in two of them.
        planogram: slots in shares of the reference's pictures, or of these pictures where there is no reference.
        reference: pictures of full shelves; without a planogram every object in them becomes a slot.
        before: pictures of the visit before.
        still: the camera does not move, so that pictures need no alignment.
        progress: called with (pictures looked at, pictures in all) of each of the three sets.

    Raises:
        DataError: no picture of a set can be read.
        UsageError: the planogram wants a class that the detector does not look for.
    """
    if strange := sorted({slot.label for slot in planogram} - set(looker.classes)):
        raise UsageError(f"the planogram wants '{strange[0]}', but the model finds: {', '.join(looker.classes[:20])}")
    views, problems = looker.views(files, progress)
    full, unread = looker.views(reference, progress) if reference is not None else ([], [])
    old, missed = looker.views(before, progress) if before is not None else ([], [])
    learned = () if planogram else tuple(slot for view in full for slot in _learned(view))
    slots = tuple(planogram) or learned
    shelves, alone = [], len(views) == 1
    for view in views:
        notes: list[str] = []
        decisions = _decisions(view, slots, _Others(full, alone, still), notes)
        found = _changed(view, _Others(old, alone, still), notes)
        shelves.append(ShelfMonitor(view, counted([view]), tuple(decisions), found, tuple(notes)))
    warnings = (*problems, *unread, *missed, *_unused(slots, views))
    return ShelfVisit(tuple(shelves), counted(views), looker.calibrated, learned, warnings)


def counted(views: Sequence[AlignedView]) -> dict[str, Count]:
    """Class -> count over pictures, most frequent first; classes that no probable box speaks of are left out."""
    counts = {}
    classes = views[0].found.classes if views else ()
    for label, name in enumerate(classes):
        parts = [view.found.scores[view.found.labels == label] for view in views if view.found.scores is not None]
        boxes = sum(int(view.shown[view.found.labels == label].sum()) for view in views)
        found = count(np.concatenate(parts), boxes)
        if boxes or found.expected >= 0.5:
            counts[name] = found
    return dict(sorted(counts.items(), key=lambda item: -item[1].expected))


def _learned(view: AlignedView) -> tuple[Slot, ...]:
    rows = np.flatnonzero(view.shown)
    shown = Detections(view.found.boxes[rows], view.found.labels[rows], view.found.classes)
    return learn_slots(shown, view.size, view.name)


@dataclass(frozen=True, eq=False)
class _Others:
    """The pictures of another visit, and how one of this visit is laid over its partner among them."""

    views: Sequence[AlignedView]
    alone: bool  # whether this visit has one picture only
    still: bool

    def partner(self, view: AlignedView) -> AlignedView | None:
        """The picture of the same shelf."""
        named = [other for other in self.views if other.name == view.name]
        return named[0] if named else self.views[0] if self.alone and len(self.views) == 1 else None

    def aligned(self, old: AlignedView, new: AlignedView) -> Alignment:
        """How they lie over each other; raises DataError."""
        return fixed(old.image, new.image) if self.still else align(old.image, new.image)


def _decisions(view: AlignedView, slots: Sequence[Slot], full: _Others, notes: list[str]) -> list[SlotDecision]:
    if not slots:
        return []
    if not full.views:
        return decide_slots([slot for slot in slots if slot.picture in ("", view.name)], view)
    reference = full.partner(view)
    if reference is None:
        notes.append(f"no picture of the reference is called {view.name}: its slots are not judged")
        return []
    mine = [slot for slot in slots if slot.picture in ("", reference.name)]
    try:
        alignment = full.aligned(reference, view)
    except DataError as error:
        notes.append(f"{view.file}: its slots are not judged; against the reference {reference.file} {error}")
        return []
    return decide_slots(mine, view, alignment, reference.size)


def _changed(view: AlignedView, old: _Others, notes: list[str]) -> tuple[ShelfChange, ...] | None:
    if not old.views:
        return None
    earlier = old.partner(view)
    if earlier is None:
        notes.append(f"no picture of the visit before is called {view.name}: it is compared with nothing")
        return None
    try:
        return tuple(changes(earlier, view, old.aligned(earlier, view)))
    except DataError as error:
        notes.append(f"{view.file} is not compared with {earlier.file}: {error}")
        return None


def _unused(slots: Sequence[Slot], views: Sequence[AlignedView]) -> list[str]:
    """Pictures of the planogram that the visit does not have."""
    names = {view.name for view in views}
    absent = sorted({slot.picture for slot in slots if slot.picture} - names) if len(names) > 1 else []
    return [f"the visit has no picture called {name}: its slots are not judged" for name in absent]
