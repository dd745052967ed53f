"""The doctor for boxes and masks: what should be known about them before training, and how they look."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.boxes import draw_regions
from photovision.core.errors import UnreadableImage
from photovision.core.image import open_sample, to_array
from photovision.core.overlap import overlap
from photovision.core.phrases import count
from photovision.core.regions import Bools, Detections, Regions
from photovision.core.report import WRONG, Figure, Finding, Table
from photovision.core.thumbnail import jpeg
from photovision.core.types import Floats, Image, Ints, Sample
from photovision.data.check.contents import classes_text, sides_text
from photovision.data.dataset import SPLITS, Dataset, Problem
from photovision.data.scan import Scan
from photovision.data.split import Splits

NAMED = 20
SHOWN = 8
MAX_FAULTS = 5000
OUTSIDE = 1.0
"""Pixels by which a box may reach over the edge, so far programs round."""
SAME = 0.95
"""Intersection over union from which two boxes of one class are the same box twice."""
MATCHED = 0.3
NEAR, MOST_PAIRS = 1000, 50_000_000
"""Boxes beside it that a box is compared with, and pairs of boxes of two pictures: more would take for ever."""
FAULTS = {
    "outside": "reach outside their picture",
    "nothing": "have no area",
    "twice": "are there twice",
    "unlabelled copy": "are missing in a copy of their picture",
}
_SIDE = 480


@dataclass(frozen=True)
class Fault:
    """One object with something wrong: its kind, one of FAULTS, and the position of its picture."""

    kind: str
    picture: int
    message: str


def examine(dataset: Dataset, scan: Scan, splits: Splits) -> Finding:
    """Look at the boxes and masks of a dataset; nothing is decoded but the few pictures that are shown.

    Found are boxes outside their picture (as large as the scan saw it), without area and there twice, objects that a
    near-duplicate of their picture has and it lacks, videos on both sides of a split, and what the reader of the format
    noted: sizes swapped or turned by EXIF, labels without pictures and pictures without labels.

    Args:
        dataset: N pictures with regions.
        scan: what `scan(dataset)` found.
        splits: what `make_splits(dataset, scan)` made.

    Returns:
        warnings, tables and pictures; `data` has "objects" (a count), "objects_of_class", "faults" (kind -> count),
        "faulty" (picture, kind and message of the first of them) and "notes".
    """
    faults = [*_faults(dataset, scan), *_copies(dataset, scan)]
    ids = _ids(dataset, faults[:MAX_FAULTS])
    counts, sizes = _counts(dataset)
    warnings = _warnings(dataset, faults) + _noted(dataset.notes) + _videos(dataset, splits)
    tables = [table for table in (_classes(dataset, counts, sizes), _table(dataset, faults), _notes(dataset)) if table]
    data = {
        "objects": sum(counts.values()),
        "objects_of_class": {name: counts[name] for name in dataset.classes},
        "faults": dict(Counter(fault.kind for fault in faults)),
        "faulty": [
            {"id": ids[fault.picture], "kind": fault.kind, "message": fault.message} for fault in faults[:MAX_FAULTS]
        ],
        "notes": [vars(note) for note in dataset.notes],
    }
    return Finding(_summary(dataset, counts, sizes), {}, tables, _figures(dataset, scan, faults), warnings, data)


def _ids(dataset: Dataset, faults: Sequence[Fault]) -> dict[int, str]:
    """Names of their pictures; each sample is made once, for it may hold very many objects."""
    return {position: dataset.samples[position].id for position in {fault.picture for fault in faults}}


def _objects(dataset: Dataset) -> Iterator[tuple[int, Detections]]:
    for position, sample in enumerate(dataset.samples):
        if isinstance(sample.annotations, Detections):
            yield position, sample.annotations


def _faults(dataset: Dataset, scan: Scan) -> Iterator[Fault]:
    for position, found in _objects(dataset):
        boxes, names = found.boxes.astype(np.float64), found.names
        if scan.readable[position]:
            edge = np.array([scan.width[position], scan.height[position]] * 2) + OUTSIDE
            for row in np.flatnonzero(((boxes < -OUTSIDE) | (boxes > edge)).any(axis=1)).tolist():
                size = f"{scan.width[position]} x {scan.height[position]}"
                yield Fault("outside", position, f"{names[row]} at {_shown(boxes[row])} in a picture of {size}")
        flat = (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
        for row in np.flatnonzero(flat).tolist():
            yield Fault("nothing", position, f"{names[row]} at {_shown(boxes[row])}")
        for row in _repeated(found):
            yield Fault("twice", position, f"{names[row]} at {_shown(boxes[row])}")


def _repeated(found: Detections) -> list[int]:
    """Objects that have the class and nearly the box of one that stays."""
    order = np.argsort(found.boxes[:, 0], kind="stable")
    repeated = np.zeros(len(found), dtype=bool)
    left, sides = found.boxes[order, 0], found.boxes[order, 2] - found.boxes[order, 0]
    # The left edges of equal boxes are near each other; a picture of a million boxes must not take for ever.
    ends = np.minimum(np.searchsorted(left, left + (1 - SAME) * sides, side="right"), np.arange(len(found)) + NEAR)
    for place, row in enumerate(order.tolist()):
        if sides[place] <= 0 or repeated[row]:
            continue
        near = order[place + 1 : ends[place]]
        near = near[(found.labels[near] == found.labels[row]) & ~repeated[near]]
        repeated[near[overlap(found.boxes[row : row + 1], found.boxes[near])[0] >= SAME]] = True
    return np.flatnonzero(repeated).tolist()


def _copies(dataset: Dataset, scan: Scan) -> Iterator[Fault]:
    """Objects that one of two near-duplicates has and the other lacks: the cheap and sure part of missing labels."""
    members: dict[int, list[int]] = defaultdict(list)
    for position, first in enumerate(scan.duplicates.tolist()):
        if scan.readable[position]:
            members[first].append(position)
    for group in members.values():
        if len(group) < 2:
            continue
        shares = {p: _shares(dataset.samples[p].annotations, scan, p) for p in group}
        fullest = max(group, key=lambda p: len(shares[p]))
        for position in group:
            for row in _unmatched(shares[fullest], shares[position]) if position != fullest else ():
                regions = dataset.samples[fullest].annotations
                name = regions.names[row] if isinstance(regions, Detections) else "?"
                message = f"{name}, which is in {dataset.samples[fullest].id}, a picture that shows the same"
                yield Fault("unlabelled copy", position, message)


def _shares(regions: Regions | None, scan: Scan, position: int) -> Floats:
    """Boxes as shares of the picture's width and height."""
    if not isinstance(regions, Detections):
        return np.empty((0, 4), dtype=np.float32)
    sides = np.array([scan.width[position], scan.height[position]] * 2, dtype=np.float32)
    return np.asarray(regions.boxes / np.maximum(sides, 1), dtype=np.float32)


def _unmatched(some: Floats, others: Floats) -> Ints:
    if not len(some) or len(some) * len(others) > MOST_PAIRS:
        return np.empty(0, dtype=np.int64)
    best = overlap(some, others).max(axis=1) if len(others) else np.zeros(len(some))
    return np.flatnonzero(best < MATCHED)


def _warnings(dataset: Dataset, faults: Sequence[Fault]) -> list[str]:
    found = []
    for kind, words in FAULTS.items():
        some = [fault for fault in faults if fault.kind == kind]
        if some:
            pictures = list(dict.fromkeys(fault.picture for fault in some))
            more = f" and {len(pictures) - 3:,} more pictures" if len(pictures) > 3 else ""
            names = ", ".join(dataset.samples[position].id for position in pictures[:3])
            found.append(f"Objects that {words}: {len(some):,}, in {names}{more}.")
    return found


def _noted(notes: Sequence[Problem]) -> list[str]:
    """What the reader noted, a line for each kind; that videos were found is no reason to worry."""
    kinds: dict[str, list[Problem]] = defaultdict(list)
    for note in notes:
        if note.kind not in ("video", "no label file"):
            kinds[note.kind].append(note)
    return [
        f"Noted while reading: {kind} ({len(some):,}), first {some[0].id}: {some[0].message}."
        for kind, some in kinds.items()
    ]


def _videos(dataset: Dataset, splits: Splits) -> list[str]:
    sides: dict[str, set[str]] = defaultdict(set)
    for name, positions in zip(SPLITS, (splits.train, splits.val, splits.test), strict=True):
        for position in positions.tolist():
            for kind in ("video", "scene"):
                if value := dataset.samples[position].groups.get(kind):
                    sides[f"{kind} '{value}'"].add(name)
    shared = [name for name, where in sides.items() if len(where) > 1]
    if not shared:
        return []
    first = ", ".join(shared[:3])
    return [
        f"Videos or scenes with frames in several splits: {len(shared):,} (first {first}); scores flatter the model."
    ]


def _counts(dataset: Dataset) -> tuple[Counter[str], dict[str, list[float]]]:
    counts: Counter[str] = Counter()
    sizes: dict[str, list[float]] = defaultdict(list)
    for _, found in _objects(dataset):
        counts.update(found.names)
        sides = np.sqrt(np.clip(found.boxes[:, 2:] - found.boxes[:, :2], 0, None).prod(axis=1))
        for name, side in zip(found.names, sides.tolist(), strict=True):
            sizes[name].append(side)
    return counts, sizes


def _summary(dataset: Dataset, counts: Counter[str], sizes: dict[str, list[float]]) -> tuple[str, ...]:
    if dataset.annotation_type == "masks":
        return (f"Every pixel has one of {len(dataset.classes):,} classes.",)
    objects = sum(counts.values())
    empty = sum(not len(found) for _, found in _objects(dataset))
    shown = "every picture has some" if not empty else f"{count(empty, 'picture')} without any"
    videos = {s.groups["video"] for s in dataset.samples if "video" in s.groups}
    kept = f" {len(videos):,} videos, each kept on one side of a split that is drawn." if videos else ""
    first = f"{count(objects, 'object')}, {objects / max(len(dataset), 1):.1f} a picture; {shown}.{kept}"
    each = {name: counts[name] for name in dataset.classes}
    return tuple(text for text in (first, classes_text(each, "object"), sides_text(sizes)) if text)


def _classes(dataset: Dataset, counts: Counter[str], sizes: dict[str, list[float]]) -> Table | None:
    if not counts:
        return None
    pictures: Counter[str] = Counter(name for sample in dataset.samples for name in sample.target or ())
    rows = tuple(
        (name, counts[name], pictures[name], *np.percentile(sizes[name], (5, 50, 95)).round().astype(int).tolist())
        for name in dataset.classes
        if counts[name]
    )
    note = "The side of an object is the root of its box's area, in pixels: 5%, half and 95% are smaller."
    return Table("Objects of each class", ("class", "objects", "pictures", "small", "median side", "large"), rows, note)


def _table(dataset: Dataset, faults: Sequence[Fault]) -> Table | None:
    if not faults:
        return None
    named = [fault for kind in FAULTS for fault in [one for one in faults if one.kind == kind][:NAMED]]
    ids = _ids(dataset, named)
    rows = tuple((ids[fault.picture], FAULTS[fault.kind], fault.message) for fault in named)
    return Table("Objects to look at", ("file", "objects that", "which"), rows, f"The first {NAMED} of each kind.")


def _notes(dataset: Dataset) -> Table | None:
    some: dict[str, list[Problem]] = defaultdict(list)
    for note in dataset.notes:
        some[note.kind].append(note)
    rows = tuple((note.id, kind, note.message) for kind, notes in some.items() for note in notes[:NAMED])
    below = f"These files are used. The first {NAMED} of each kind are named; report.json has more."
    return Table("Noted while reading the annotations", ("file", "kind", "what is odd"), rows, below) if rows else None


def _figures(dataset: Dataset, scan: Scan, faults: Sequence[Fault]) -> list[Figure]:
    """Pictures with what was drawn on them: some with faults first, then some from all over the data set."""
    faulty = list(dict.fromkeys(fault.picture for fault in faults))[: SHOWN // 2]
    some = np.flatnonzero(scan.readable & _drawn(dataset))
    spread = some[np.linspace(0, len(some) - 1, min(SHOWN, len(some))).astype(int)].tolist() if len(some) else []
    pictures = []
    for position in list(dict.fromkeys([*faulty, *spread]))[:SHOWN]:
        sample = dataset.samples[position]
        image = _picture(sample)
        if image is not None:
            wrong = "; ".join(dict.fromkeys(FAULTS[fault.kind] for fault in faults if fault.picture == position))
            lines = (_caption(sample), f"{WRONG}objects that {wrong}" if wrong else "", sample.id)
            pictures.append((jpeg(image), "\n".join(line for line in lines if line)))
    note = "Pictures with faults come first." if faulty else ""
    title = "What is drawn on the pictures"
    return [Figure(title, pictures=tuple(pictures), note=note, wide=True, first=True)] if pictures else []


def _drawn(dataset: Dataset) -> Bools:
    return np.array([s.annotations is not None and bool(s.target) for s in dataset.samples], dtype=bool)


def _picture(sample: Sample) -> Image | None:
    if sample.annotations is None:
        return None
    try:
        image = to_array(open_sample(sample))
    except UnreadableImage:
        return None
    return draw_regions(image, sample.annotations, _SIDE)


def _caption(sample: Sample) -> str:
    if isinstance(sample.annotations, Detections):
        return (
            ", ".join(f"{count} {name}" for name, count in Counter(sample.annotations.names).most_common(4))
            or "nothing"
        )
    return ", ".join((sample.target or ())[:4])


def _shown(box: np.ndarray) -> str:
    return ", ".join(f"{value:.0f}" for value in box.tolist())
